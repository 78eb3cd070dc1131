"""``changecapture mapping``."""

import click

from changecapture.cli.options import find_url
from changecapture.cli.output import count

EPILOG = """\b
Example:
  changecapture mapping check vesuvius --url mysql://vesuvius:secret@localhost/vesuvius
  changecapture mapping check ours.toml --url env:EDEN_URL
"""


@click.group("mapping", epilog=EPILOG)
def command() -> None:
    """What stands between this application's tables and those of other sites."""


@command.command("check", epilog=EPILOG)
@click.argument("name", metavar="NAME|FILE")
@click.option("--url", help="A database of the application, or an Eden: what it lacks is told.")
@click.pass_context
def check(context: click.Context, name: str, url: str | None) -> None:
    """Say what is wrong with a mapping, by its lines. Changes nothing; exit status 1 when something is."""
    from changecapture.mapping import load_mapping, read_text
    from changecapture.mapping.check import check_mapping

    text = read_text(name)
    mapping = load_mapping(text, name)
    pairs = sum(len(record.pairs) for record in mapping.records)
    click.echo(f"{name}: {count(len(mapping.records), 'record')}, {count(pairs, 'column')} that correspond")
    if url is None:
        return
    from changecapture.store import open_store

    store = open_store(find_url(url), installed=False)
    try:
        findings = check_mapping(mapping, text, store.read_catalogue())
    finally:
        store.close()
    for finding in findings:
        click.echo(f"{name}, line {finding.line}: {finding.what}")
    context.exit(1 if findings else 0)
