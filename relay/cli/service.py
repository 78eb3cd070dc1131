"""``changecapture-relay service``, ``ensure``, ``web2py``: the ways in which a relay is started for good."""

import shutil
import subprocess
import sys
from pathlib import Path

import click

from changecapture.errors import ConfigError
from relay.cli.options import config_option, ending, example

UNITS = Path("/etc/systemd/system")


@click.command(epilog=example("service install --config /etc/changecapture/relay.toml"))
@config_option
@click.option("--print", "print_only", is_flag=True, help="install: print the systemd unit, change nothing.")
@click.option("--user", help="install: who it runs as; the owner of the configuration if it is left out.")
@click.option("--units", default=UNITS, hidden=True, type=click.Path(path_type=Path))
@click.argument("verb", type=click.Choice(["install", "uninstall", "start", "stop", "status"]))
def service(config_file: Path, print_only: bool, user: str | None, units: Path, verb: str) -> None:
    """Let the system start the relay: systemd, or Windows.

    install writes the unit and lets it start at boot; start, stop and status are passed on. The variables
    that the configuration names (CHANGECAPTURE_URL) go into relay.env beside it, NAME=value, chmod 600.
    """
    with ending():
        if sys.platform == "win32":
            from relay.windows import manage

            click.echo(manage(verb, config_file))
        elif print_only:
            click.echo(_make_unit(config_file, user), nl=False)
        elif verb == "install":
            _install(units, _make_unit(config_file, user))
        elif verb == "uninstall":
            _uninstall(units)
        else:
            raise SystemExit(_systemctl(verb, _unit_name(), check=False))


@click.command(epilog=example("ensure --config /home/me/relay.toml"))
@config_option
@click.option("--log", type=click.Path(path_type=Path), help="Where it writes; relay.log if it is left out.")
def ensure(config_file: Path, log: Path | None) -> None:
    """Start the relay unless it runs, apart from this terminal.

    For cron. It says nothing when there was nothing to do.
    """
    from relay.config import read_program
    from relay.detach import ensure as ensure_running

    with ending():
        log = log or config_file.with_suffix(".log")
        if ensure_running(config_file, read_program(config_file), log):
            click.echo(f"started; its log is {log}")


@click.command(epilog=example("web2py > web2py/applications/eden/models/zz_changecapture.py"))
@config_option
def web2py(config_file: Path) -> None:
    """Print a file that starts the relay with a web2py server.

    It goes to models/ of an application.
    """
    from relay.web2py import make_drop_in

    with ending():
        from relay.config import read_program

        read_program(config_file, database=False)
    command = [sys.executable, "-m", "relay", "ensure", "--config", str(config_file.absolute())]
    click.echo(make_drop_in(command), nl=False)


def _unit_name() -> str:
    from relay.systemd import NAME

    return f"{NAME}.service"


def _make_unit(config_file: Path, user: str | None) -> str:
    """Return the unit; the state directories are made, for its user alone."""
    from relay.config import read_program
    from relay.systemd import make_unit

    config = read_program(config_file, database=False)
    return make_unit(
        user=user or config_file.owner(),
        command=[sys.executable, "-m", "relay", "run", "--config", str(config_file.absolute())],
        environment=config_file.absolute().with_suffix(".env"),
        writable=[site.state.absolute() for site in config.sites],
    )


def _install(units: Path, text: str) -> None:
    user = next(line.partition("=")[2] for line in text.splitlines() if line.startswith("User="))
    states = next(line.partition("=")[2] for line in text.splitlines() if line.startswith("ReadWritePaths="))
    path = units / _unit_name()
    try:
        # systemd refuses to start what may write where nothing is.
        for state in map(Path, [s.strip('"') for s in states.split(" ")]):
            if not state.exists():
                state.mkdir(mode=0o700, parents=True)
                shutil.chown(state, user)
        path.write_text(text)
    except (OSError, LookupError) as error:
        raise ConfigError(
            f"cannot write {path}", why=str(error), mend="run it as root, or see `service install --print`"
        ) from error
    _systemctl("daemon-reload")
    _systemctl("enable", _unit_name())
    click.echo(f"wrote {path}; next: changecapture-relay service start")


def _uninstall(units: Path) -> None:
    _systemctl("disable", "--now", _unit_name(), check=False)
    try:
        (units / _unit_name()).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot remove the unit in {units}", why=str(error), mend="run it as root"
        ) from error
    _systemctl("daemon-reload")
    click.echo("removed; the configuration and the state directory stay as they are")


def _systemctl(*arguments: str, check: bool = True) -> int:
    program = shutil.which("systemctl")
    if program is None:
        raise ConfigError(
            "this system has no systemctl", mend="start the relay by cron: `changecapture-relay ensure`"
        )
    status = subprocess.run([program, *arguments]).returncode
    if check and status:
        raise ConfigError(f"systemctl {' '.join(arguments)} failed", mend="what it said stands above")
    return status
