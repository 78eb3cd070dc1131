"""Rows as text, made column by column: one look at each column instead of a call for each value.

A ``Spell`` says how the values of a column stand in a line: a %-pattern, and what fills it for each row, or
None where the pattern says it for all of them.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from changecapture.core.values import dump

Column = Sequence[Any]
"""The values of one column, at least one."""
ROWS = 500
"""Written at once: rows may be large."""
Spelled = tuple[str, Sequence[Any] | None]
Spell = Callable[[Column], Spelled]


def write_lines(
    columns: Sequence[Column],
    spell: Spell | Sequence[Spell],
    *,
    between: str,
    around: tuple[str, str],
) -> Iterator[list[str]]:
    """Yield the lines of rows that are given column by column, some at a time; ``spell``: of all columns or
    of each."""
    spells = spell if isinstance(spell, Sequence) else [spell] * len(columns)
    for start in range(0, len(columns[0]) if columns else 0, ROWS):
        yield _write_some([column[start : start + ROWS] for column in columns], spells, between, around)


def _write_some(
    columns: Sequence[Column], spells: Sequence[Spell], between: str, around: tuple[str, str]
) -> list[str]:
    patterns: list[str] = []
    given: list[Sequence[Any]] = []
    for column, spell in zip(columns, spells, strict=True):
        pattern, items = spell(column)
        patterns.append(pattern)
        if items is not None:
            given.append(items)
    line = f"{around[0]}{between.join(patterns)}{around[1]}"
    if not given:
        return [line % ()] * len(columns[0])
    return [line % row for row in zip(*given, strict=True)]


def write_objects(names: Sequence[str], columns: Sequence[Column]) -> list[str]:
    """Return rows that are given column by column as JSON objects, each as ``dump`` writes it."""
    spells = [partial(_spell_json, f"{dump(name)}:".replace("%", "%%")) for name in names]
    parts = write_lines(columns, spells, between=",", around=("{", "}"))
    return [line for lines in parts for line in lines]


def _spell_json(name: str, column: Column) -> Spelled:
    if is_constant(column):
        return name + dump(column[0]).replace("%", "%%"), None
    types = set(map(type, column))
    if types == {int}:
        return f"{name}%s", column
    if types == {str} and _SPECIAL.search("".join(column)) is None:
        return f'{name}"%s"', column
    return f"{name}%s", list(map(dump, column))


_SPECIAL = re.compile(r'["\\\0-\x1f]')
"""What does not stand for itself in a JSON text."""


def is_constant(column: Column) -> bool:
    """Return whether all values of a column are the same, of one type; never of floats (0.0 is -0.0)."""
    first = column[0]
    if type(first) is float or column[-1] != first or column.count(first) < len(column):
        return False
    return len(set(map(type, column))) == 1
