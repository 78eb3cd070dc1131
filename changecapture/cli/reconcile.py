"""``changecapture reconcile``: find what no trigger saw."""

import json
from dataclasses import asdict

import click

from changecapture.cli.conflicts import opened
from changecapture.cli.options import json_option, url_argument
from changecapture.cli.output import count, print_table, progress_bar

EPILOG = """\b
Example:
  changecapture reconcile --dry-run
  changecapture reconcile --table pr_person --table pr_contact
"""


@click.command("reconcile", epilog=EPILOG)
@url_argument
@click.option("--table", "tables", multiple=True, metavar="NAME", help="Only this one; may be repeated.")
@click.option("--dry-run", "look", is_flag=True, help="Only say what would be sent.")
@json_option
def command(url: str | None, tables: tuple[str, ...], look: bool, as_json: bool) -> None:
    """Send what was written or deleted and no trigger saw.

    The tables are compared with the log. To be run after a TRUNCATE on MySQL, after triggers were off, and
    when status lists missed changes. The application and the relay may go on meanwhile.
    """
    from changecapture.reconcile import reconcile

    with opened(url) as store, progress_bar() as progress:
        found = reconcile(store, tables, progress, look=look)
    differing = [one for one in found if one.total or one.set_aside]
    if as_json:
        click.echo(json.dumps([asdict(one) for one in differing], indent=2, ensure_ascii=False))
    elif differing:
        rows = [(one.table, str(one.appeared), str(one.changed), str(one.vanished)) for one in differing]
        print_table("Written unseen", ("table", "appeared", "changed", "vanished"), rows)
        if look:
            click.echo("nothing is sent yet: run it without --dry-run")
        if apart := sum(one.set_aside for one in differing):
            click.echo(
                f"{count(apart, 'row')} could not be compared: changecapture status says why", err=True
            )
    else:
        click.echo(f"{count(len(found), 'table')} compared: nothing was written unseen")
