"""``changecapture parked``: rows that are in the log and cannot be shown, and why."""

import json
from dataclasses import asdict

import click

from changecapture.cli.conflicts import opened
from changecapture.cli.options import url_argument
from changecapture.cli.output import count, print_table

EPILOG = """\b
Example:
  changecapture parked list
  changecapture parked show pr_person urn:uuid:4f6b..
  changecapture parked retry
"""
STILL_PARKED = 1


@click.group("parked", epilog=EPILOG)
def command() -> None:
    """Show rows that came and cannot be shown here, and try them again."""


@command.command("list")
@url_argument
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
def list_parked(url: str | None, as_json: bool) -> None:
    """List the parked rows with their reasons."""
    from changecapture.review import read_parked_rows

    with opened(url) as store:
        found = read_parked_rows(store)
    if as_json:
        click.echo(json.dumps([asdict(parked) for parked in found], indent=2, ensure_ascii=False))
    elif found:
        rows = [(p.table, p.key, p.reason, p.detail) for p in found]
        print_table("Parked", ("table", "key", "reason", "detail"), rows)
    else:
        click.echo("no parked rows")


@command.command("show")
@click.argument("table")
@click.argument("key")
@url_argument
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")
def show_parked(table: str, key: str, url: str | None, as_json: bool) -> None:
    """Show one parked row: why, and what its waiting entries would write."""
    from changecapture.core.change import Row
    from changecapture.review import find_parked

    with opened(url) as store:
        parked, entries = find_parked(store, Row(table, key))
    if as_json:
        click.echo(json.dumps({**asdict(parked), "entries": entries}, indent=2, ensure_ascii=False))
        return
    click.echo(f"{parked.table} {parked.key}: {parked.reason}: {parked.detail}")
    for entry in entries:
        click.echo(f"entry {entry['name']}:")
        for name, value in entry["columns"].items():
            click.echo(f"  {name} = {json.dumps(value, ensure_ascii=False)}")


@command.command("retry")
@url_argument
def retry_parked(url: str | None) -> int:
    """Try to show the parked rows now. The exit status is 1 when some are still parked."""
    from changecapture.apply import retry

    with opened(url) as store:
        left = retry(store)
    click.echo(f"{count(left, 'row')} parked")
    return STILL_PARKED if left else 0
