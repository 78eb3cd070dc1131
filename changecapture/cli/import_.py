"""``changecapture import``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from changecapture.cli.conflicts import opened
from changecapture.cli.exits import NO
from changecapture.cli.options import json_option, take_url
from changecapture.cli.output import count, progress_bar, say

if TYPE_CHECKING:
    from changecapture.record.load import Loaded

NAMED = 20
"""Columns that are named where none of them is here."""
EPILOG = """\b
Example:
  changecapture import env:EDEN_URL people.xml
  changecapture import env:EDEN_URL sheets.zip

\b
A value keeps the time with which it was exported: the later one stays, the other is kept as a
conflict. A value that you have changed in the file wins over the one that it was made from, and
loses to what was written since; without a stamp it is written now, and wins.
Exit status: 0 all taken, 1 something was parked or refused, 2 error.
"""


@click.command("import", epilog=EPILOG)
@click.argument("first", metavar="[URL]", required=False)
@click.argument("second", metavar="FILE", required=False)
@json_option
def command(first: str | None, second: str | None, as_json: bool) -> int:
    """Take the records of a file that export wrote, or a person.

    A row whose uuid is known here is updated by the times of its values, another is created. To import twice
    changes nothing; an import that was interrupted is run again. What cannot be shown is parked, what
    is no record is refused, each with its number and the reason.
    """
    from changecapture.record.load import import_rows

    url, file = take_url(first, second, names=("FILE",))
    with opened(url) as store, progress_bar() as progress:
        loaded = import_rows(store, Path(str(file)), progress)
    if as_json:
        found = {**asdict(loaded), "carried": sorted(loaded.carried)}
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        _print(loaded)
    return NO if loaded.parked or loaded.refusals else 0


def _print(loaded: "Loaded") -> None:
    for place, why in loaded.refused:
        say(f"refused: {place}: {why}")
    for place, why in loaded.parked:
        say(f"parked: {place}: {why}")
    if loaded.carried:
        left = f" and {len(loaded.carried) - NAMED} more" if len(loaded.carried) > NAMED else ""
        say(f"carried, not columns here: {', '.join(sorted(loaded.carried)[:NAMED])}{left}")
    click.echo(
        f"{count(loaded.records, 'record')}: {loaded.written} written, {loaded.same} here already, "
        f"{loaded.refusals} refused, {len(loaded.parked)} parked"
    )
    if loaded.older or loaded.conflicts:
        click.echo(
            f"{count(loaded.older, 'value')} lost to a later one here, {loaded.conflicts} of here to the "
            "file (changecapture conflicts list)"
        )
