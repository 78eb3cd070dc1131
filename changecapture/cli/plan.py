"""``changecapture plan``."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from changecapture.cli.options import find_url, profile_option, url_argument
from changecapture.cli.output import count, print_table

if TYPE_CHECKING:
    from changecapture.plan import Decision

EPILOG = """\b
Example:
  changecapture plan postgresql://eden:secret@localhost/eden
  changecapture plan env:EDEN_URL --profile our-eden.toml --notes | grep pr_
"""
WORDS = {True: "synced", False: "left out"}


@click.command("plan", epilog=EPILOG)
@url_argument
@profile_option
@click.option("--notes", is_flag=True, help="Also what to know of each table, and the columns that stay.")
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
def command(url: str | None, profile: str | None, notes: bool, as_json: bool) -> None:
    """Show which tables would be synced, and why. Changes nothing.

    Every table of the database gets a decision, the module that it is counted by, and a reason.
    """
    from changecapture.store import open_store
    from changecapture.wanted import decide

    database = find_url(url)
    store = open_store(database, installed=False)
    try:
        name, decisions = decide(store, profile)
    finally:
        store.close()
    if as_json:
        click.echo(json.dumps(_to_json(str(database), name, decisions), indent=2, ensure_ascii=False))
    else:
        _print(name, decisions, notes)


def _to_json(database: str, profile: str, decisions: Sequence["Decision"]) -> dict[str, object]:
    tables = [
        {
            "table": decision.table,
            "synced": decision.synced,
            "module": decision.module,
            "reason": decision.reason,
            "notes": list(decision.notes),
            "local": dict(decision.local),
        }
        for decision in decisions
    ]
    synced = sum(decision.synced for decision in decisions)
    counts = {"synced": synced, "left_out": len(tables) - synced}
    return {"database": database, "profile": profile, "counts": counts, "tables": tables}


def _print(profile: str, decisions: Sequence["Decision"], notes: bool) -> None:
    rows = [
        (d.table, WORDS[d.synced], d.module, "; ".join((d.reason, *(_remarks(d) if notes else ()))))
        for d in decisions
    ]
    print_table(f"Profile {profile}", ("table", "decision", "module", "reason"), rows)
    counted = Counter(decision.synced for decision in decisions)
    click.echo(f"\nprofile {profile}: {count(counted[True], 'table')} synced, {counted[False]} left out")


def _remarks(decision: "Decision") -> Sequence[str]:
    return (*decision.notes, *(f"{column} stays: {why}" for column, why in decision.local))
