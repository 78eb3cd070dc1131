"""``changecapture history``."""

import json
from dataclasses import asdict

import click

from changecapture.cli.conflicts import opened
from changecapture.cli.options import json_option, take_url, url_and
from changecapture.cli.output import print_table, say, show_time

EPILOG = """\b
Example:
  changecapture history env:EDEN_URL pr_person urn:uuid:0b9c..
  changecapture history pr_person urn:uuid:0b9c..               # of CHANGECAPTURE_URL
"""
HEADS = ("time", "what", "site", "detail")


@click.command("history", epilog=EPILOG)
@url_and("TABLE", "KEY")
@json_option
def command(given: tuple[str, ...], as_json: bool) -> None:
    """Show one row's life over all sites.

    Changes, deletes, conflicts, and how it stands here. Times are those of the sites where it happened. What
    was overtaken long ago may be compacted.
    """
    from changecapture.history import read_history

    url, table, key = take_url(*given, names=("TABLE", "KEY"))
    with opened(url) as store:
        life = read_history(store, str(table), str(key))
    if as_json:
        click.echo(json.dumps(asdict(life), indent=2, ensure_ascii=False))
        return
    say(f"{life.table} {life.key}: {life.state}")
    if len(life.keys) > 1:
        say(f"joined: {', '.join(life.keys)}")
    print_table("History", HEADS, [(show_time(h.at), h.what, h.site, h.detail) for h in life.happenings])
