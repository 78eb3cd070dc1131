"""``changecapture mapping``."""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from changecapture.cli.exits import NO
from changecapture.cli.options import find_url, json_option
from changecapture.cli.output import count

if TYPE_CHECKING:
    from changecapture.mapping.check import Finding
    from changecapture.mapping.model import Lens

EPILOG = """\b
Example:
  changecapture mapping check vesuvius --url mysql://vesuvius:secret@localhost/vesuvius
  changecapture mapping check ours.toml --url env:EDEN_URL
"""


@click.group("mapping", epilog=EPILOG)
def command() -> None:
    """Check what stands between the tables of two applications."""


@command.command("check", epilog=EPILOG)
@click.argument("name", metavar="NAME|FILE")
@click.option("--url", help="A database of the application, or an Eden: what it lacks is told.")
@json_option
@click.pass_context
def check(context: click.Context, name: str, url: str | None, as_json: bool) -> None:
    """Say what is wrong with a mapping, by its lines. Changes nothing; exit status 1 when something is."""
    from changecapture.mapping import load_mapping, read_text

    text = read_text(name)
    mapping = load_mapping(text, name)
    findings = compare(mapping, text, url) if url is not None else []
    pairs = sum(len(record.pairs) for record in mapping.records)
    if as_json:
        told: dict[str, object] = {"name": name, "records": len(mapping.records), "columns": pairs}
        told["findings"] = [asdict(finding) for finding in findings]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        click.echo(
            f"{name}: {count(len(mapping.records), 'record')}, {count(pairs, 'column')} that correspond"
        )
        for finding in findings:
            click.echo(f"{name}, line {finding.line}: {finding.what}")
    context.exit(NO if findings else 0)


def compare(mapping: "Lens", text: str, url: str) -> "list[Finding]":
    """Return what a database lacks of what a mapping names."""
    from changecapture.mapping.check import check_mapping
    from changecapture.store import open_store

    store = open_store(find_url(url), installed=False)
    try:
        return check_mapping(mapping, text, store.read_catalogue())
    finally:
        store.close()
