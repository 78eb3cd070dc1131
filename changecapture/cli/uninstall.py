"""``changecapture uninstall``."""

from typing import TYPE_CHECKING

import click

from changecapture.cli.options import find_url, url_argument
from changecapture.cli.output import count
from changecapture.errors import ChangeCaptureError, ConfigError

if TYPE_CHECKING:
    from changecapture.config import DatabaseURL

EPILOG = """\b
Example:
  changecapture uninstall postgresql://eden:secret@localhost/eden
"""
DECLINED = 1


@click.command("uninstall", epilog=EPILOG)
@url_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
def command(url: str | None, yes: bool) -> int:
    """Take everything of changecapture away again, after a question.

    The application's tables and rows stay as they are. The change history is lost: what was captured and
    not sent yet, what other sites sent, deleted rows kept for audit, conflicts. Stop the relay first.
    The exit status is 1 when the question was answered with no.
    """
    from changecapture.install import find_traces, uninstall

    database = find_url(url)
    if not find_traces(database):
        click.echo(f"nothing of changecapture is in {database}")
        return 0
    if not yes and not _confirm(database):
        click.echo("nothing was changed")
        return DECLINED
    uninstall(database)
    click.echo(f"changecapture is gone from {database}; its tables are as they were")
    return 0


def _confirm(database: "DatabaseURL") -> bool:
    click.echo(f"This takes change capture away from {database}. Lost for good:", err=True)
    click.echo(f"  {_describe_loss(database)}", err=True)
    try:
        return click.confirm("Go on?", err=True)
    except click.Abort as error:
        if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise ConfigError("the question was not answered", mend="add --yes to go on without it") from error


def _describe_loss(database: "DatabaseURL") -> str:
    from changecapture.status import read_status
    from changecapture.store import open_store

    store = open_store(database, installed=False)
    try:
        status = read_status(store)
    except ChangeCaptureError as error:
        return f"what a half-made installation holds ({error.what})"
    finally:
        store.close()
    return ", ".join(
        (
            f"the change history of site {status.site}: {count(status.entries, 'entry')}",
            f"{count(status.captured, 'captured change')} not published yet",
            count(status.deleted_rows, "deleted row"),
            count(status.conflicts, "open conflict"),
            count(sum(status.parked.values()), "parked row"),
        )
    )
