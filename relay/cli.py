# mypy: untyped-calls-exclude=twisted
"""``changecapture-relay``: the commands."""

import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import click

from changecapture import __version__
from changecapture.errors import ChangeCaptureError

INTERRUPTED = 130


@click.group()
@click.version_option(__version__, prog_name="changecapture-relay")
def main() -> None:
    """Exchange changes with the other sites that are within reach."""


@main.command()
@click.option(
    "--config",
    "config_file",
    required=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The TOML file that says which database, which port and which peers.",
)
def run(config_file: Path) -> None:
    """Run in the foreground until SIGTERM or Ctrl-C; log to stderr."""
    from changecapture.memory import spare_collector
    from changecapture.packages import check_packages
    from relay.config import read_config
    from relay.exchange import DatabaseExchange
    from relay.log import TextLog
    from relay.service import make_service

    try:
        check_packages()
        config = read_config(config_file)
        log = TextLog(sys.stderr)
        log.begin()
        reactor = _reactor()
        relay = make_service(config, DatabaseExchange, reactor=reactor, log=log)
        relay.startService()
    except ChangeCaptureError as error:
        _fail(error)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
    spare_collector()
    reactor.addSystemEventTrigger("before", "shutdown", relay.stopService)
    reactor.run()


def _reactor() -> Any:
    """Return the reactor, on a clock that nobody sets.

    Twisted's timers follow the wall clock. A site without a battery that gets its time by radio
    would stop polling for as long as its clock was ahead.
    """
    from twisted.internet import reactor

    clocked: Any = reactor
    clocked.seconds = time.monotonic
    return clocked


def _fail(error: ChangeCaptureError) -> NoReturn:
    click.echo(f"changecapture-relay: error: {error}", err=True)
    raise SystemExit(2)
