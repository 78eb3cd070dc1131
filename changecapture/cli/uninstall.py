"""``changecapture uninstall``."""

import json
from typing import TYPE_CHECKING

import click

from changecapture.cli.exits import DONE, NO
from changecapture.cli.options import confirm, find_url, json_option, url_argument
from changecapture.cli.output import count, say
from changecapture.errors import ChangeCaptureError

if TYPE_CHECKING:
    from changecapture.config import DatabaseURL

EPILOG = """\b
Example:
  changecapture uninstall postgresql://eden:secret@localhost/eden
"""
AFTERWARDS = (
    "what the application changes before another installation loses to what other sites hold, and what it "
    "deletes comes back: change nothing meanwhile, or begin with empty tables"
)


@click.command("uninstall", epilog=EPILOG)
@url_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def command(url: str | None, yes: bool, as_json: bool) -> int:
    """Take everything of changecapture out of a database again.

    It asks first. The application's tables and rows stay as they are. The change history is lost: what was
    captured and not sent yet, what other sites sent, deleted rows kept for audit, conflicts. Another install
    makes a new site of the database. Accounts stay, and are named. Stop the relay first. The exit status is 1
    when the question was answered with no.
    """
    from changecapture.install import find_traces, sees_relay, uninstall

    database = find_url(url)
    if not find_traces(database):
        return _report(database, None, as_json, f"nothing of changecapture is in {database}")
    if sees_relay(database):
        say(f"warning: a relay works with {database} at this moment: stop it first", err=True)
    if not yes and not _confirm(database):
        _report(database, None, as_json, "nothing was changed")
        return NO
    accounts = uninstall(database)
    what = f"changecapture is gone from {database}; its tables are as they were"
    return _report(database, accounts, as_json, f"{what}\n{_describe_rest(accounts)}")


def _report(database: "DatabaseURL", accounts: list[str] | None, as_json: bool, what: str) -> int:
    """Say what was done; ``accounts``: those that stay, None where nothing was taken away."""
    told = {"database": str(database), "removed": accounts is not None, "accounts": accounts or []}
    click.echo(json.dumps(told) if as_json else what)
    return DONE


def _describe_rest(accounts: list[str]) -> str:
    """Return what is to be done elsewhere."""
    lines = [
        "a relay that still runs for it has nothing to work with: stop it",
        "another installation makes a new site of it: other sites keep what this one has sent",
        AFTERWARDS,
    ]
    if accounts:
        lines += [
            f"accounts that stay, for other databases may need them: {', '.join(accounts)}",
            "after another installation the relay's account needs its rights anew: "
            "changecapture doctor URL --role NAME",
        ]
    return "\n".join(lines)


def _confirm(database: "DatabaseURL") -> bool:
    click.echo(f"This takes change capture away from {database}. Lost for good:", err=True)
    click.echo(f"  {_describe_loss(database)}", err=True)
    click.echo(f"Stop its relay first, if one runs; {AFTERWARDS}.", err=True)
    return confirm("Go on?")


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
