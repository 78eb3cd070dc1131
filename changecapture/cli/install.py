"""``changecapture install``."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from changecapture.cli.options import find_url, json_option, profile_option, url_argument
from changecapture.cli.output import count, progress_bar

if TYPE_CHECKING:
    from changecapture.config import DatabaseURL
    from changecapture.install import Installed

EPILOG = """\b
Example:
  changecapture install mysql://eden:secret@localhost/eden
  changecapture install env:EDEN_URL --sql > install.sql
"""


@click.command("install", epilog=EPILOG)
@url_argument
@profile_option
@click.option(
    "--definer",
    type=click.Choice(["account", "current"]),
    help="MySQL only, whose rights the triggers have. account: changecapture@localhost, which is made, "
    "locked and never dropped. current: whoever installs; once that account is dropped every write of the "
    "application fails (error 1449). Left out: what was installed before, else account.",
)
@click.option(
    "--mapping",
    metavar="NAME|FILE|none",
    help="What stands between this application's tables and those of other sites: vesuvius, sahana2, a file. "
    "Left out: what was installed before, else none.",
)
@click.option(
    "--new-keys",
    is_flag=True,
    help="Go on where rows would get other names at every site, as the index that kept their uuids unique is "
    "gone: peers delete them and get them anew.",
)
@json_option
@click.option("--sql", is_flag=True, help="Print what would be run, for psql or mariadb, and run nothing.")
def command(
    url: str | None,
    profile: str | None,
    definer: str | None,
    mapping: str | None,
    new_keys: bool,
    as_json: bool,
    sql: bool,
) -> None:
    """Install change capture, or bring it up to date.

    Makes what the relay keeps (schema changecapture, or tables changecapture_*), then a trigger set and a
    history view for each synced table, then captures the rows that are there. The application's tables
    keep their columns. An installation that was interrupted is completed; one that is as it should be is
    left alone. After the application has changed its tables, run it again.
    """
    database = find_url(url)
    if sql:
        _print_script(database, profile, definer, mapping, new_keys)
    else:
        done = _install(database, profile, definer, mapping, new_keys)
        if as_json:
            click.echo(json.dumps(asdict(done), indent=2))
        else:
            _print(done)


def _install(
    database: "DatabaseURL", profile: str | None, definer: str | None, mapping: str | None, new_keys: bool
) -> "Installed":
    from changecapture.install import install

    with progress_bar() as report:
        return install(database, profile, report, definer=definer, mapping=mapping, new_keys=new_keys)


def _print(done: "Installed") -> None:
    click.echo(f"profile {done.profile}: {count(done.tables, 'table')} synced")
    click.echo(f"{count(done.created, 'trigger')} created, {done.dropped} dropped")
    click.echo(f"{count(done.rows, 'row')} captured from before the installation")
    if done.found:
        click.echo(f"{count(done.found, 'row')} found that had been written unseen")


def _print_script(
    database: "DatabaseURL", profile: str | None, definer: str | None, mapping: str | None, new_keys: bool
) -> None:
    from changecapture.script import write_script

    for part in write_script(database, profile, definer, mapping, new_keys=new_keys):
        # As bytes: the script says that it is UTF-8, whatever this terminal is.
        click.echo(part.encode(), nl=False)
