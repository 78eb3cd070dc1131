"""How the commands speak: tables and progress for a terminal, plain lines for a pipe.

Results go to standard output, progress to standard error. rich is imported only when there is a
terminal to draw on: a script that calls us in a loop does not pay for it.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import click

from changecapture.core.clock import UNDATED

JOINERS = "\u200c\u200d"
"""Not printable, and part of names as they are written in Persian or Hindi."""
Report = Callable[[str, int, int], None]
"""Called with what is done, how much of it, and of how much in all (0: nobody knows)."""


def plain(text: str) -> str:
    """Return a line that a terminal shows and does not obey: what comes from peers may hold anything."""
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in JOINERS else c.encode("unicode_escape").decode() for c in text
    )


def say(text: str, *, err: bool = False) -> None:
    """Print a line that may hold what came from elsewhere."""
    click.echo(plain(text), err=err)


def print_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their heads: drawn on a terminal, else padded, one line a row."""
    rows = [tuple(map(plain, row)) for row in rows]
    if sys.stdout.isatty():
        _draw_table(title, heads, rows)
        return
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    for row in (heads, *rows):
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(padded).rstrip())


def _draw_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console().print(table)


@contextmanager
def progress_bar() -> Iterator[Report]:
    """Give a function to report progress to: a bar for each thing that is done, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks = {}

        def report(what: str, done: int, total: int) -> None:
            if not done and not total:  # there is nothing to do
                return
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=None)
            bar.update(tasks[what], completed=done, total=total or None)

        yield report


def describe_age(microseconds: int) -> str:
    """Return a time span in words, by its largest unit."""
    seconds = max(microseconds // 1_000_000, 0)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        if seconds >= length or unit == "second":
            return count(seconds // length, unit)
    raise AssertionError(microseconds)


def show_time(microseconds: int) -> str:
    """Return a time, given in microseconds since 1970 UTC, for people."""
    if 0 <= microseconds < UNDATED:
        return "before the installation"
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def count(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun if number == 1 else _plural(noun)}"


def _plural(noun: str) -> str:
    return f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
