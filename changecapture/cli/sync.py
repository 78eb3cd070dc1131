"""``changecapture sync``."""

import json
from typing import TYPE_CHECKING

import click

from changecapture.cli.exits import DONE, NO
from changecapture.cli.options import find_url, json_option
from changecapture.cli.output import count, progress_bar
from changecapture.errors import ConfigError

if TYPE_CHECKING:
    from changecapture.config import DatabaseURL
    from changecapture.status import Status

EPILOG = """\b
Example:
  changecapture sync env:CAMP_URL mysql://eden:secret@headquarters/eden
"""


@click.command("sync", epilog=EPILOG)
@click.argument("first", metavar="URL_A")
@click.argument("second", required=False, metavar="[URL_B]")
@json_option
def command(first: str, second: str | None, as_json: bool) -> int:
    """Bring two databases in step, without any network of ours.

    Both must be installed. Each gets what the other has and it has not, until nothing is left; then both
    are compared by what they hold. The exit status is 0 when they are equal and show all of it, 1 when they
    are not or rows are parked, and the last line says why: where somebody is writing, run it again. With one
    URL the other is that of CHANGECAPTURE_URL. Databases without a table in common are refused.
    """
    left, right = find_url(first if second else None), find_url(second or first)
    if left.place == right.place:
        raise ConfigError(f"both URLs name one database, {left}", mend="name the other site's database")
    return report(*_synchronise(left, right), as_json=as_json)


def report(entries: int, left: "Status", right: "Status", *, as_json: bool = False) -> int:
    """Print what came of it; return the exit status."""
    apart = _explain(left, right)
    why = apart or _find_parked(left, right)
    if as_json:
        sites = [
            {"database": end.database, "site": end.site, "holds": _describe(end)} for end in (left, right)
        ]
        click.echo(json.dumps({"travelled": entries, "equal": not why, "why": why, "sites": sites}, indent=2))
        return NO if why else DONE
    click.echo(f"{count(entries, 'entry')} travelled")
    for end in (left, right):
        click.echo(f"{end.database}: {_describe(end)}")
    click.echo(f"{'not equal' if apart else 'in step, but'}: {why}" if why else "equal")
    return NO if why else DONE


def _explain(left: "Status", right: "Status") -> str:
    """Return why two sites are not equal, '' when they are."""
    for end in (left, right):
        if not end.finished:
            # What is not captured cannot be compared.
            return f"{end.database} is not installed to the end (run: changecapture install URL)"
    if left.vector != right.vector:
        return "each holds changes that the other has not"
    waiting = left.captured + right.captured
    return f"{count(waiting, 'change')} came meanwhile" if waiting else ""


def _find_parked(*sites: "Status") -> str:
    """Return at which sites rows are left to a person, '' when there are none."""
    parked = {str(site.database): sum(site.parked.values()) for site in sites}
    return "; ".join(
        f"{count(number, 'row')} parked in {database} (see: changecapture parked list URL)"
        for database, number in parked.items()
        if number
    )


def _describe(status: "Status") -> str:
    parked = count(sum(status.parked.values()), "row")
    return f"{count(status.entries, 'entry')}, {parked} parked, {count(status.conflicts, 'conflict')}"


def _synchronise(left: "DatabaseURL", right: "DatabaseURL") -> tuple[int, "Status", "Status"]:
    from changecapture.memo import find_memo
    from changecapture.pair import check_shared, note_in_step, synchronise_apart
    from changecapture.status import read_status
    from changecapture.store import open_store
    from changecapture.sync import Received

    first = open_store(left, memo=find_memo(left))
    try:
        second = open_store(right, memo=find_memo(right))
        try:
            check_shared(first, second)
            with progress_bar() as show:
                names = {"left": f"into {left}", "right": f"into {right}"}
                arrived = dict.fromkeys(names, 0)

                def advance(site: str, received: Received) -> None:
                    arrived[site] += received.entries
                    show(names[site], arrived[site], 0)

                entries = synchronise_apart(first, second, advance)
            if first.read_vector() == second.read_vector():
                note_in_step(first, second)
            return entries, read_status(first), read_status(second)
        finally:
            second.close()
    finally:
        first.close()
