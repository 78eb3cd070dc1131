"""``changecapture doctor``."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from changecapture.cli.exits import NO
from changecapture.cli.options import find_url, json_option, profile_option, url_argument
from changecapture.cli.output import count, print_table, say

if TYPE_CHECKING:
    from changecapture.doctor import Finding

EPILOG = """\b
Example:
  changecapture doctor postgresql://dba:secret@localhost/eden
  changecapture doctor env:EDEN_URL --role relay       # what the relay's own account lacks
  changecapture doctor --json | jq '.[] | select(.state == "mend")'

\b
Exit status: 0 nothing to mend (the last line says when not all was looked at), 1 something to mend, 2 error.
"""

FEW = 3
"""Statements of a note that are printed: an Eden has one for each of 304 tables."""


@click.command("doctor", epilog=EPILOG)
@url_argument
@click.option(
    "--role",
    metavar="NAME",
    help="The account that the relay works as (MySQL: NAME@HOST where there are several): what it lacks is "
    "named with the GRANT that gives it. Left out: the account of the URL.",
)
@profile_option
@click.option("--all", "whole", is_flag=True, help="Print all statements of a note, not the first few.")
@json_option
def command(url: str | None, role: str | None, profile: str | None, whole: bool, as_json: bool) -> int:
    """Say what could stop changes, and the statement that mends it.

    All that could keep changes from being captured or shipped is looked for. Nothing is changed. Best run as
    an administrator: what the account cannot see is said.
    """
    from changecapture.doctor import examine
    from changecapture.store import open_store

    store = open_store(find_url(url), installed=False)
    try:
        findings = examine(store, role, profile)
    finally:
        store.close()
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2, ensure_ascii=False))
    else:
        _print(findings, whole)
    return NO if any(finding.state == "mend" for finding in findings) else 0


def _print(findings: Sequence["Finding"], whole: bool) -> None:
    print_table("Doctor", ("check", "state", "what"), [(f.check, f.state, f.what) for f in findings])
    for finding in findings:
        if finding.state != "well":
            click.echo()
            say(f"{finding.state}: {finding.what}")
            say(f"  why: {finding.why}")
            shown = finding.mend[:FEW] if finding.state == "note" and not whole else finding.mend
            for line in shown:
                say(f"  {_spell(line)}")
            if len(shown) < len(finding.mend):
                click.echo(f"  .. and {len(finding.mend) - len(shown)} more: --all prints them")
    click.echo(f"\n{_sum_up(findings)}")


def _sum_up(findings: Sequence["Finding"]) -> str:
    """Return the last line: what nobody has looked at is not called well."""
    problems = sum(finding.state == "mend" for finding in findings)
    unseen = sum(finding.state == "unseen" for finding in findings)
    found = f"{count(problems, 'problem')} to mend" if problems else "nothing to mend"
    if unseen:
        return f"{found} was found, but {count(unseen, 'check')} could not look: why stands above"
    return found if problems else "all well"


def _spell(line: str) -> str:
    """Return a statement ready to be run; commands and advice stay as they are."""
    return f"{line};" if line.split(" ", 1)[0].isupper() else line
