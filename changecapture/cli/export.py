"""``changecapture export``."""

import json
from pathlib import Path

import click

from changecapture.cli.conflicts import opened
from changecapture.cli.options import json_option, take_url, time_option
from changecapture.cli.output import count, print_table, progress_bar

EPILOG = """\b
Example:
  changecapture export env:EDEN_URL people.xml --format xml --module pr
  changecapture export env:EDEN_URL week.json --format json --since 2026-11-20
  changecapture export env:EDEN_URL sheets.zip --format csv --table pr_person --deleted

\b
json: one object a line. xml: valid against changecapture/record/export.xsd. csv: one file a
table, in an archive where FILE ends in .zip, else in a new folder of that name. Parked rows are in it.
"""


@click.command("export", epilog=EPILOG)
@click.argument("first", metavar="[URL]", required=False)
@click.argument("second", metavar="FILE", required=False)
@click.option("--format", "form", type=click.Choice(("json", "xml", "csv")), required=True)
@time_option(
    "--since", "Only rows that were written last at this time or later: 2026-11-20, or 2026-11-20T08:30."
)
@time_option("--until", "Only rows that were written last before this time.")
@click.option("--module", "modules", multiple=True, metavar="NAME", help="Only this module; may be repeated.")
@click.option("--table", "tables", multiple=True, metavar="NAME", help="Only this table; may be repeated.")
@click.option("--deleted", is_flag=True, help="Deleted rows as well, so that importing deletes them.")
@json_option
def command(
    first: str | None,
    second: str | None,
    form: str,
    since: int | None,
    until: int | None,
    modules: tuple[str, ...],
    tables: tuple[str, ...],
    deleted: bool,
    as_json: bool,
) -> None:
    """Write the rows of a site into a file: XML, JSON lines or CSV.

    For another site, a spreadsheet or a person. Rows are named by their uuid, and references by that of the
    row that they name; each says by which site it was written last, and when. The file may be edited by hand
    before it is imported.
    """
    from changecapture.record.export import Wanted, export_rows

    wanted = Wanted(modules, tables, since, until, deleted)
    url, name = take_url(first, second, names=("FILE",))
    file = Path(str(name))
    with opened(url) as store, progress_bar() as progress:
        done = export_rows(store, file, form, wanted, progress)
    if as_json:
        told = {"file": str(file), "tables": done.records, "parked": done.parked}
        click.echo(json.dumps(told, indent=2))
        return
    if done.records:
        print_table("Exported", ("table", "records"), [(name, str(n)) for name, n in done.records.items()])
    where = f"the folder {file}" if file.is_dir() else str(file)
    click.echo(f"{count(sum(done.records.values()), 'record')} written to {where}")
    if done.parked:
        click.echo(f"{done.parked} of them parked: known here and not shown, see changecapture parked list")
