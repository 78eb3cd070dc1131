"""``changecapture verify``."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from changecapture.cli.conflicts import opened
from changecapture.cli.options import json_option
from changecapture.cli.output import count, print_table, progress_bar

if TYPE_CHECKING:
    from changecapture.verify import Verified

EPILOG = """\b
Example:
  changecapture verify env:CAMP_URL env:CITY_URL
  changecapture verify env:CAMP_URL env:CITY_URL --repair

\b
Exit status: 0 both show the same, 1 they do not, 2 error.
"""
HEADS = ("table", "key", "left", "right", "columns")
DIFFERENT = 1


@click.command("verify", epilog=EPILOG)
@click.argument("first", metavar="URL_A")
@click.argument("second", metavar="URL_B")
@click.option(
    "--repair", is_flag=True, help="Ship the differing rows that one site knows and the other does not."
)
@json_option
def command(first: str, second: str, repair: bool, as_json: bool) -> int:
    """Compare what two sites show, row by row, by a hash tree: a differing row is found in few kilobytes.

    Each difference is told with its reason at both sites. Rows that a table shows otherwise than its log says
    are for changecapture reconcile: repairing them would lose what the application wrote.
    """
    from changecapture.verify import verify

    with opened(first) as left, opened(second) as right, progress_bar() as progress:
        found = verify(left, right, repair=repair, progress=progress)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2, ensure_ascii=False))
    else:
        _print(found)
    return DIFFERENT if found.differences else 0


def _print(found: "Verified") -> None:
    if found.differences:
        rows = [(d.table, d.key, d.left, d.right, ", ".join(d.columns)) for d in found.differences]
        print_table("Differences", HEADS, rows)
    if found.apart:
        click.echo(f"not compared, at one site only: {', '.join(found.apart)}")
    if not found.in_step:
        click.echo("the sites have not exchanged everything: changecapture sync brings them in step")
    if found.repaired:
        click.echo(f"{count(found.repaired, 'row')} shipped")
    differ = f"{count(len(found.differences), 'row')} differ" if found.differences else "equal"
    click.echo(f"{differ}: {count(found.rows, 'row')} compared, {found.bytes} bytes between the sites")
