"""``changecapture parked``: rows that are in the log and cannot be shown, and why."""

import json
from dataclasses import asdict
from itertools import zip_longest

import click

from changecapture.cli.conflicts import opened
from changecapture.cli.exits import NO
from changecapture.cli.options import json_option, take_url, url_and, url_argument
from changecapture.cli.output import count, print_table, say

EPILOG = """\b
Example:
  changecapture parked list
  changecapture parked show env:EDEN_URL pr_person urn:uuid:4f6b..
  changecapture parked retry
  changecapture parked join org_sector urn:uuid:4f6b..
  changecapture parked discard pr_person urn:uuid:4f6b..
"""

ADVISED = 20
"""Rows of which it is said what can be done."""


def _take(given: tuple[str, ...]) -> tuple[str | None, str, str]:
    """Return the URL, the table and the key that were given."""
    url, table, key = take_url(*given, names=("TABLE", "KEY"))
    return url, str(table), str(key)


@click.group("parked", epilog=EPILOG)
def command() -> None:
    """Show rows that cannot be shown here, and decide about them."""


@command.command("list", epilog=EPILOG)
@url_argument
@json_option
def list_parked(url: str | None, as_json: bool) -> None:
    """List the parked rows with their reasons, and what can be done about each."""
    from changecapture.review import advise, read_parked_rows

    with opened(url) as store:
        found = read_parked_rows(store)
        advice = [advise(store, parked) for parked in found[:ADVISED]]
    if as_json:
        told = [{**asdict(p), "advice": text} for p, text in zip_longest(found, advice)]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    elif found:
        rows = [(p.table, p.key, p.reason, p.detail) for p in found]
        print_table("Parked", ("table", "key", "reason", "detail"), rows)
        for parked, text in zip(found, advice, strict=False):
            click.echo()
            say(f"{parked.table} {parked.key}:")
            say(f"  {text}")
    else:
        click.echo("no parked rows")


@command.command("show", epilog=EPILOG)
@url_and("TABLE", "KEY")
@json_option
def show_parked(given: tuple[str, ...], as_json: bool) -> None:
    """Show one parked row: why, and what its waiting entries would write."""
    from changecapture.core.change import Row
    from changecapture.review import find_parked

    url, table, key = _take(given)
    with opened(url) as store:
        parked, entries = find_parked(store, Row(table, key))
    if as_json:
        click.echo(json.dumps({**asdict(parked), "entries": entries}, indent=2, ensure_ascii=False))
        return
    say(f"{parked.table} {parked.key}: {parked.reason}: {parked.detail}")
    for entry in entries:
        click.echo(f"entry {entry['name']}:")
        for name, value in entry["columns"].items():
            say(f"  {name} = {json.dumps(value, ensure_ascii=False)}")


@command.command("retry", epilog=EPILOG)
@url_argument
@json_option
def retry_parked(url: str | None, as_json: bool) -> int:
    """Try to show the parked rows now. The exit status is 1 when some are still parked."""
    from changecapture.apply import retry

    with opened(url) as store:
        left = retry(store)
    click.echo(json.dumps({"parked": left}) if as_json else f"{count(left, 'row')} parked")
    return NO if left else 0


@command.command("join", epilog=EPILOG)
@url_and("TABLE", "KEY")
@click.option("--with", "other", metavar="KEY", help="The key of the other row, where it is not clear.")
@json_option
def join_parked_row(given: tuple[str, ...], other: str | None, as_json: bool) -> int:
    """Say that a parked row and the row that has its place are the same: one row, at every site.

    The other row is the one that has the unique value of this one. Joining cannot be undone. The exit
    status is 1 when the joined row cannot be shown here yet.
    """
    from changecapture.core.change import Row
    from changecapture.review import join_parked

    url, table, key = _take(given)
    with opened(url) as store:
        name, shown = join_parked(store, Row(table, key), other)
    if as_json:
        click.echo(json.dumps({"table": name.table, "key": name.key, "shown": shown}, ensure_ascii=False))
    else:
        say(f"joined: {name.table} {name.key}" + ("" if shown else ", parked: see parked list"))
    return 0 if shown else NO


@command.command("discard", epilog=EPILOG)
@url_and("TABLE", "KEY")
@json_option
def discard_parked_row(given: tuple[str, ...], as_json: bool) -> None:
    """Delete a parked row, at every site. Where it is shown it goes, and what it kept out is shown."""
    from changecapture.core.change import Row
    from changecapture.review import discard_parked

    url, table, key = _take(given)
    with opened(url) as store:
        discard_parked(store, Row(table, key))
    discarded = {"table": table, "key": key, "discarded": True}
    click.echo(json.dumps(discarded, ensure_ascii=False) if as_json else "discarded")
