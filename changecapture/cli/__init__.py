"""The command line: one command per file; errors come out here, and only here.

Exit statuses: exits.py. An error of
ours is one line on standard error: what, why, and what to do. Commands import what they need when they
run, so that ``--help`` is quick.
"""

import sys
import traceback
from collections.abc import Sequence

import click

from changecapture import __version__
from changecapture.cli import (
    bundle,
    clock,
    compact,
    completion,
    conflicts,
    doctor,
    export,
    history,
    import_,
    install,
    log,
    mapping,
    parked,
    plan,
    reconcile,
    site,
    status,
    sync,
    uninstall,
    verify,
)
from changecapture.cli.exits import ERROR, INTERRUPTED, describe_exits
from changecapture.cli.output import say
from changecapture.errors import ChangeCaptureError, RetryLater
from changecapture.memory import spare_collector
from changecapture.packages import check_packages

PROGRAM = "changecapture"
AGAIN = "running the same command again goes on"
EPILOG = """\b
A database URL is postgresql://user:password@host:port/database or mysql://.. (MariaDB too).
env:NAME takes it from the environment variable NAME, so that no password stands on the
command line; where it is left out it is that of CHANGECAPTURE_URL.

\b
Example:
  export CHANGECAPTURE_URL=postgresql://eden:secret@localhost/eden
  changecapture plan
  changecapture install
  changecapture status

\b
"""


@click.group(epilog=EPILOG + describe_exits(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name=PROGRAM)
@click.option("--debug", is_flag=True, help="Show where an unexpected error came from.")
def commands(debug: bool) -> None:
    """Capture the changes of a Sahana database and bring sites in step."""


for module in (
    plan,
    install,
    uninstall,
    status,
    doctor,
    reconcile,
    sync,
    conflicts,
    parked,
    log,
    history,
    verify,
    bundle,
    export,
    import_,
    compact,
    site,
    clock,
    completion,
    mapping,
):
    commands.add_command(module.command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        check_packages()
        spare_collector()
        answer = commands.main(given, prog_name=PROGRAM, standalone_mode=False)
        return answer if isinstance(answer, int) else 0
    except (click.Abort, KeyboardInterrupt):
        return _report_interrupted()
    except click.ClickException as error:
        error.show()
    except Exception as error:
        if _was_interrupted(error):
            return _report_interrupted()
        if isinstance(error, ChangeCaptureError):
            again = f" ({AGAIN})" if isinstance(error, RetryLater) and not error.mend else ""
            say(f"{PROGRAM}: error: {error}{again}", err=True)
        else:
            _report_unexpected(error, given)
    return ERROR


def _was_interrupted(error: BaseException | None) -> bool:
    """Return whether Ctrl-C came first, and the error only on the way out: a connection that was
    interrupted within a statement does not take the ROLLBACK either."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False


def _report_interrupted() -> int:
    click.echo(f"{PROGRAM}: interrupted; {AGAIN}", err=True)
    return INTERRUPTED


def _report_unexpected(error: Exception, arguments: Sequence[str]) -> None:
    if "--debug" in arguments:
        traceback.print_exception(error)
        return
    text = " ".join(f"{type(error).__name__}: {error}".split())
    click.echo(
        f"{PROGRAM}: unexpected error: {text} (please report it with what --debug shows: "
        f"{PROGRAM} --debug COMMAND ..)",
        err=True,
    )
