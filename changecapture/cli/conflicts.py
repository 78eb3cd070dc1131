"""``changecapture conflicts``: values that lost to a concurrent change, for a person to see and decide."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from changecapture.cli.exits import NO
from changecapture.cli.options import find_url, json_option, take_url, url_and, url_argument
from changecapture.cli.output import count, print_table, say, show_time
from changecapture.errors import ConfigError

if TYPE_CHECKING:
    from changecapture.store.review import Lost
    from changecapture.store.sqlstore import SqlStore

EPILOG = """\b
Example:
  changecapture conflicts list
  changecapture conflicts show env:EDEN_URL 7
  changecapture conflicts resolve 7 --take
"""
HEADS = ("id", "table", "key", "column", "shown", "lost")


@click.group("conflicts", epilog=EPILOG)
def command() -> None:
    """Show values that lost to a concurrent change, and decide."""


@contextmanager
def opened(url: str | None) -> Iterator["SqlStore"]:
    """Open the store of an installed site for one command."""
    from changecapture.memo import find_memo
    from changecapture.store import open_store

    database = find_url(url)
    store = open_store(database, memo=find_memo(database))
    try:
        yield store
    finally:
        store.close()


@command.command("list", epilog=EPILOG)
@url_argument
@click.option("--all", "resolved", is_flag=True, help="Those that are resolved as well.")
@json_option
def list_conflicts(url: str | None, resolved: bool, as_json: bool) -> None:
    """List the open conflicts. @alive says whether the row exists."""
    from changecapture.review import read_conflicts

    with opened(url) as store:
        found = read_conflicts(store, resolved=resolved)
    if as_json:
        click.echo(json.dumps([asdict(conflict) for conflict in found], indent=2, ensure_ascii=False))
    elif found:
        rows = [(str(c.id), c.table, c.key, c.column, c.kept_value, c.lost_value) for c in found]
        print_table("Conflicts", HEADS, rows)
    else:
        click.echo("no conflicts")


@command.command("show", epilog=EPILOG)
@url_and("ID")
@json_option
def show_conflict(given: tuple[str, ...], as_json: bool) -> None:
    """Show one conflict: both values, who wrote them and when."""
    from changecapture.history import read_names
    from changecapture.review import find_conflict

    url, id_ = _take(given)
    with opened(url) as store:
        conflict = find_conflict(store, id_)
        names = read_names(store)
    if as_json:
        click.echo(json.dumps(asdict(conflict), indent=2, ensure_ascii=False))
        return
    for name, text in _lines(conflict, names):
        say(f"{name + ':':<10}{text}")


@command.command("resolve", epilog=EPILOG)
@url_and("ID")
@click.option("--keep", is_flag=True, help="What is shown is right.")
@click.option("--take", is_flag=True, help="Write the lost value, at every site.")
@click.option("--value", metavar="JSON", help="Write another value, as JSON: '\"text\"', 12, null.")
@json_option
def resolve_conflict(given: tuple[str, ...], keep: bool, take: bool, value: str | None, as_json: bool) -> int:
    """Decide a conflict. What is written is an ordinary change of this site, and wins everywhere.

    The exit status is 1 when the row cannot be shown at the moment: the decision stands, and waits.
    """
    from changecapture.review import find_conflict, keep_shown, read_decided, take_lost, write_value

    url, id_ = _take(given)
    if keep + take + (value is not None) != 1:
        what = (
            "what is right was not said"
            if not keep and not take and value is None
            else "more than one was said"
        )
        raise ConfigError(what, mend="give one of --keep, --take and --value JSON")
    with opened(url) as store:
        conflict = find_conflict(store, id_)
        if conflict.resolved_at is not None:
            raise ConfigError(f"conflict {id_} is resolved", mend="change the row in the application")
        if keep:
            shown = keep_shown(store, conflict)
        elif value is None:
            shown = take_lost(store, conflict)
        else:
            shown = write_value(store, conflict, read_decided(store, conflict, value))
    if as_json:
        click.echo(json.dumps({"conflict": id_, "shown": shown}))
    else:
        click.echo("resolved" if shown else f"resolved, but {count(1, 'row')} is parked: see parked list")
    return 0 if shown else NO


def _take(given: tuple[str, ...]) -> tuple[str | None, int]:
    """Return the URL and the number that were given."""
    url, number = take_url(*given, names=("ID",))
    try:
        return url, int(str(number))
    except ValueError:
        raise click.UsageError(
            f"{number!r:.40} is no number of a conflict: conflicts list has them"
        ) from None


def _lines(conflict: "Lost", names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    def describe(value: str, entry: str, stamp: int) -> str:
        origin = entry.partition("/")[0]
        return f"{value}  ({names.get(origin, origin)}, {show_time(stamp)}; entry {entry})"

    yield "row", f"{conflict.table} {conflict.key}"
    yield "column", conflict.column
    yield "shown", describe(conflict.kept_value, conflict.kept_name, conflict.kept_stamp)
    yield "lost", describe(conflict.lost_value, conflict.lost_name, conflict.lost_stamp)
    yield "found", show_time(conflict.found_at)
    yield "resolved", "no" if conflict.resolved_at is None else show_time(conflict.resolved_at)
