"""``changecapture log``."""

import json
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from changecapture.cli.conflicts import opened
from changecapture.cli.options import json_option, time_option, url_argument
from changecapture.cli.output import count, print_table, say, show_time
from changecapture.errors import ConfigError

if TYPE_CHECKING:
    from changecapture.envelope import Told
    from changecapture.store.sqlstore import SqlStore

EPILOG = """\b
Example:
  changecapture log env:EDEN_URL --table pr_person --since 2026-11-20
  changecapture log --key urn:uuid:0b9c..
  changecapture log --follow --json | jq 'select(.op == "d")'

\b
--json prints one object a line, as Debezium does: op (c created, u changed, d deleted), before,
after, source (origin, epoch, number: the entry's name; position: its place here), ts_ms.
"""
HEADS = ("time", "what", "table", "key", "site", "columns")
WHAT = {"c": "created", "u": "changed", "d": "deleted"}
POLL_SECONDS = 0.5
WIDTH = 100


@click.command("log", epilog=EPILOG)
@url_argument
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@time_option("--since", "Only what was written at this time or later: 2026-11-20, or 2026-11-20T08:30.")
@click.option("--table", metavar="NAME", help="Only this table.")
@click.option("--key", metavar="KEY", help="Only the row of this key: its uuid, or what stands for it.")
@click.option("--origin", metavar="SITE", help="Only what was written at this site: its name or its id.")
@json_option
def command(
    url: str | None,
    follow: bool,
    since: int | None,
    table: str | None,
    key: str | None,
    origin: str | None,
    as_json: bool,
) -> None:
    """Show the changes of all sites, in the order of arrival here.

    A change is there as soon as it is published: by the relay, within a second; else by sync or export.
    """
    from changecapture.envelope import check_table, read_log
    from changecapture.history import read_names
    from changecapture.store.search import Filter

    with opened(url) as store:
        names = read_names(store)
        wanted = Filter(since, table, key, None if origin is None else _find_origin(store, names, origin))
        if table is not None:
            check_table(store, table)
        position = 0
        while True:
            page: list[Told] = []
            last = store.last_position()
            for told in read_log(store, wanted, position):
                last = max(last, told.position)
                if as_json:
                    _print_json(store, told)
                elif follow:
                    say("  ".join(_cells(told, names)))
                else:
                    page.append(told)
            position = last
            if not follow:
                break
            time.sleep(POLL_SECONDS)
        if not as_json:
            _print(store, page, names)


def _find_origin(store: "SqlStore", names: Mapping[str, str], site: str) -> str:
    from changecapture.history import find_origin

    origin = find_origin(names, site)
    if origin not in names and all(origin != known for known, _, _ in store.read_vector()):
        raise ConfigError(f"no site {site} is known here", mend="changecapture status URL lists them")
    return origin


def _print_json(store: "SqlStore", told: "Told") -> None:
    from changecapture.envelope import to_envelope

    click.echo(json.dumps(to_envelope(told, store.url.database), ensure_ascii=False))


def _cells(told: "Told", names: Mapping[str, str]) -> tuple[str, ...]:
    from changecapture.envelope import describe

    entry = told.entry
    columns = describe(told.columns)
    shown = columns if len(columns) <= WIDTH else f"{columns[: WIDTH - 2]}.."
    held = "" if told.applied else " (not shown)"
    site = names.get(entry.origin, entry.origin)
    return show_time(entry.stamp), WHAT[told.operation] + held, entry.table, entry.key, site, shown


def _print(store: "SqlStore", page: "list[Told]", names: Mapping[str, str]) -> None:
    if page:
        print_table("Changes", HEADS, [_cells(told, names) for told in page])
    else:
        click.echo("no changes")
    waiting = store.count_captured()
    if waiting:
        click.echo(f"{count(waiting, 'change')} captured and not yet published", err=True)
