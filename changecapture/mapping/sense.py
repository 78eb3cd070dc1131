"""What makes no sense in a mapping that can be read: each with its line. Looks at no database."""

from collections.abc import Iterable, Iterator
from typing import Any

from changecapture.mapping.lines import Lines
from changecapture.mapping.model import Lens, Record
from changecapture.mapping.parts import KEY, NOW, Codes, Common, Local, Pair, Place

Problem = tuple[tuple[int, str, int], str, str, str]
"""Where in the file, the key of the line, what is wrong, what to do."""


def check_sense(lines: Lines, mapping: Lens) -> None:
    """Raise ConfigError for the first thing that makes no sense."""
    for problem in _find_problems(mapping):
        raise lines.error(*problem)


def _find_problems(mapping: Lens) -> Iterator[Problem]:
    for n, record in enumerate(mapping.records):
        for m, part in enumerate(record.local):
            yield from _check_local((n, "local", m), part)
        for m, common in enumerate(record.common):
            yield from _check_common((n, "common", m), common, common is record.root)
        for m, pair in enumerate(record.pairs):
            yield from _check_pair((n, "column", m), pair)
        yield from _check_record((n, "", 0), record)
    yield from _check_tables(mapping)


def _check_local(where: tuple[int, str, int], part: Local) -> Iterator[Problem]:
    if not all(isinstance(item, str) for item in part.key) or part.key.count(KEY) != 1:
        what = f"'key' is {list(part.key)!r:.40}"
        yield where, "key", what, f'write texts, one of them "{KEY}"'
    yield from _check_values(where, "set", dict(part.set).values())


def _check_common(where: tuple[int, str, int], part: Common, root: bool) -> Iterator[Problem]:
    if not all(isinstance(column, str) and column for column in part.parent):
        yield where, "parent", f"'parent' is {list(part.parent)!r:.40}", "write names of columns"
    if root and len(part.parent) == 1:
        mend = "leave it out, or name all columns that say which row it is"
        yield where, "parent", "the first common row is the record", mend
    for column, codes in part.codes.items():
        yield from _check_codes(where, "codes", codes)
        for local, _ in codes:
            if not isinstance(local, str):
                yield (
                    where,
                    "codes",
                    f"'codes' of {column} has {local!r:.40}",
                    "write a text: keys are made of it",
                )
    yield from _check_values(where, "match", dict(part.match).values())
    yield from _check_values(where, "set", dict(part.set).values())


def _check_pair(where: tuple[int, str, int], pair: Pair) -> Iterator[Problem]:
    yield from _check_codes(where, "values", (*pair.values, *pair.one_way))
    yield from _check_values(where, "local_none", [pair.local_none])
    yield from _check_values(where, "common_none", [pair.common_none])
    if pair.length is not None and pair.length < 1:
        yield where, "length", f"'length' is {pair.length}", "write how many characters it takes"
    ways = [
        name
        for name, given in (
            ("values", pair.coded),
            ("number", pair.number),
            ("date", pair.date),
            ("day", pair.day),
        )
        if given
    ]
    if len(ways) > 1:
        yield where, ways[1], f"'{ways[0]}' and '{ways[1]}' stand together", "keep one"
    if pair.unit and not pair.number:
        yield where, "unit", "'unit' without 'number'", "write number = true, or leave it out"
    if pair.whole is not None and (not pair.composed or pair.whole not in pair.common):
        yield where, "whole", f"'whole' names {pair.whole.column!r}", "name one of several common columns"
    if pair.composed and ways:
        yield where, ways[0], f"'{ways[0]}' of what several columns compose", "name one common column"


def _check_record(where: tuple[int, str, int], record: Record) -> Iterator[Problem]:
    if not all(isinstance(pattern, str) for pattern in record.skip):
        yield where, "skip", f"'skip' is {list(record.skip)!r:.40}", "write keys as texts"
    told = {pair.local for pair in record.pairs}
    for part, column, _ in record.carried:
        if Place(part, column) in told:
            yield (
                where,
                "carried",
                f"{part}.{column} is carried, and corresponds to a column",
                "keep one of both",
            )


def _check_tables(mapping: Lens) -> Iterator[Problem]:
    """A row of the application is of one record; what hangs on records does it in one way."""
    owners: dict[str, tuple[int, Local]] = {}
    hanging: dict[str, Common] = {}
    for n, record in enumerate(mapping.records):
        for m, part in enumerate(record.local):
            owner, other = owners.setdefault(part.table, (n, part))
            if owner != n or (part is not other and part.key == other.key):
                what = f"{part.table} belongs to two rows of the mapping"
                yield (n, "local", m), "table", what, "keep one, or tell them apart by 'key'"
        for m, common in enumerate(record.common):
            if not common.parent:
                continue
            first = hanging.setdefault(common.table, common)
            if (first.parent, first.codes) != (common.parent, common.codes):
                mend = "name the same columns everywhere"
                yield (n, "common", m), "parent", f"{common.table} hangs on records in two ways", mend


def _check_codes(where: tuple[int, str, int], key: str, codes: Codes) -> Iterator[Problem]:
    yield from _check_values(where, key, (value for pair in codes for value in pair))
    seen: list[Any] = []
    for local, _ in codes:
        if local in seen:
            yield where, key, f"{local!r:.40} stands twice in '{key}'", "keep one"
        seen.append(local)


def _check_values(where: tuple[int, str, int], key: str, values: Iterable[Any]) -> Iterator[Problem]:
    for value in values:
        if value is not None and not isinstance(value, (str, int, float)):
            yield (
                where,
                key,
                f"'{key}' has {value!r:.40}",
                f'write a text, a number, true, false, "{KEY}" or "{NOW}"',
            )
