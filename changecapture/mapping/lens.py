"""The lens of a record: ``get`` makes common rows of local ones, ``put`` local rows of common ones. Pure.

``put`` is a function of the common rows alone, and a local change is what ``get`` of the local rows tells
otherwise than ``get`` of what ``put`` would show (``difference``). So what was cut to a column's length,
rounded, composed or translated to a shorter list is not a change and never travels back.

What a local column says more exactly than the common ones do travels beside them as ``exact``: the common
value and the local text. It counts while the common value is that, at every site of that application.
"""

import re
from collections.abc import Mapping
from datetime import date
from functools import lru_cache
from typing import Any

from changecapture.core.values import dump
from changecapture.mapping.model import Record
from changecapture.mapping.parts import KEY, Local, Pair

Columns = dict[str, Any]
Parts = dict[str, Columns | None]
"""Part name to its columns, None where there is no such row."""
NOTHING = (None, "", "NULL", "0000-00-00", "0000-00-00T00:00:00")
"""What the PHP applications write for an empty field."""


def local_key(part: Local, key: str) -> str:
    """Return the key of a local row of the record with that key."""
    if part.key == (KEY,):
        return key
    before, after = _form(part.key)
    return f"{before}{dump(key)}{after}"


@lru_cache(maxsize=256)
def _form(items: tuple[str, ...]) -> tuple[str, str]:
    """Return what stands before and after the record's key in a key of these items."""
    place = items.index(KEY)
    before, after = (dump(list(part))[1:-1] for part in (items[:place], items[place + 1 :]))
    return f"[{before}{',' if before else ''}", f"{',' if after else ''}{after}]"


def get(record: Record, local: Parts) -> Parts:
    """Return the common rows that local rows stand for; only the columns that correspond."""
    if local.get(record.anchor.name) is None:
        return dict.fromkeys(record.tables)
    rows = {name: columns.copy() for name, columns in _blank(record, local).items()}
    for pair, part, column in record.reading:
        row = local.get(part)
        value = None if row is None else row.get(column)
        if value is not None or (row is not None and pair.composed and pair.local_none is not None):
            _tell(rows, pair, value, True)
    root = rows[record.root.name]
    for part, column, name in record.carried:
        row = local.get(part)
        if row is not None:
            root[name] = row.get(column)
    found: Parts = {**rows}
    for name in record.further:
        if all(value is None for value in rows[name].values()):
            found[name] = None
    return found


def _blank(record: Record, local: Parts) -> dict[str, Columns]:
    """Return the common rows of local ones in which all columns are empty: what is made of the others is
    written over it."""
    here = frozenset(name for name, row in local.items() if row is not None)
    found = record.blank.get(here)
    if found is None:
        found = record.blank[here] = {name: {} for name in record.tables}
        for pair, part, _ in record.reading:
            _tell(found, pair, None, part in here)
        found[record.root.name].update((item.name, None) for item in record.carried)
    return found


def _tell(rows: dict[str, Columns], pair: Pair, value: Any, here: bool) -> None:
    """Write into common rows what a local value says, and beside it what they do not say exactly."""
    if pair.own:
        common = to_common(pair, value) if here else None
        if pair.composed:
            common = _without_others(rows, pair, common)
        if pair.length is not None and isinstance(common, str):
            common = common[: pair.length]
        for place in pair.own[1:]:
            rows[place.part][place.column] = None
        for place in (pair.own[0], *pair.copies):
            rows[place.part][place.column] = common
    plain = pair.local_none if value is None or value in NOTHING else value
    said: Any = None
    if plain is not None:
        told = [rows[place.part].get(place.column) for place in pair.common]
        if pair.whole is not None and not any(told):
            rows[pair.whole.part][pair.whole.column] = plain
            told = [rows[place.part].get(place.column) for place in pair.common]
        if from_common(pair, told) != plain:
            said = [told, value]
    rows[pair.common[0].part][pair.exact] = said


def _without_others(rows: dict[str, Columns], pair: Pair, common: Any) -> Any:
    """Take from the end of a composed text what belongs to other pairs."""
    if isinstance(common, str):
        for place in reversed([place for place in pair.common if place not in pair.own]):
            other = rows[place.part].get(place.column)
            if isinstance(other, str) and other and common.endswith(other):
                common = common.removesuffix(other).rstrip()
    return common


def to_common(pair: Pair, value: Any) -> Any:
    """Return the common value that a local one stands for."""
    if value is None or value in NOTHING:
        value = pair.local_none
    if pair.coded:
        return _look_up(pair.to_common, value, pair.common_none)
    if value is None:
        return pair.common_none
    if pair.number:
        return _number(value, pair.unit)
    if (pair.date or pair.day) and not _is_date(value):
        return None
    if pair.day:
        return f"{value}T00:00:00"
    return value.replace("\0", "") if isinstance(value, str) else value


def _look_up(codes: Mapping[Any, Any], value: Any, none: Any) -> Any:
    """Return what a list has for a value; a peer may send a value of any kind."""
    return codes.get(value, none) if isinstance(value, (str, int, float)) else none


def _number(value: Any, unit: str) -> int | None:
    """Return a whole number, alone or with its unit. Any other text is none: 150 lb are not 150 kg."""
    found = re.fullmatch(r"\s*([0-9]{1,9})(?:\.0*)?\s*([a-z]*)\.?\s*", str(value).lower(), re.ASCII)
    return int(found[1]) if found and found[2] in ("", unit) else None


def _is_date(value: Any) -> bool:
    try:
        return bool(date.fromisoformat(value))
    except (TypeError, ValueError):
        return False


def from_common(pair: Pair, common: list[Any]) -> Any:
    """Return the local value of common ones, as exactly as they say it."""
    if pair.composed:
        text = pair.join.join(str(value) for value in common if value not in (None, ""))
        return text or pair.local_none
    value = common[0]
    if pair.coded:
        return _look_up(pair.to_local, value, pair.local_none)
    if value is None or value == pair.common_none:
        return pair.local_none
    if pair.day and isinstance(value, str):
        return value[:10]
    return str(value) if pair.number else value


def put(record: Record, parts: Parts) -> Parts:
    """Return the local rows that show common ones; only the columns that correspond or are carried."""
    root = parts.get(record.root.name)
    shown: Parts = {part.name: None for part in record.local}
    if root is None or not all((parts.get(p.part) or {}).get(p.column) is not None for p in record.needs):
        return shown
    unsaid, pairs = _unsaid(record, parts)
    rows = {name: columns.copy() for name, columns in unsaid.items()}
    speaking: set[str] = {part.name for part in record.local if part.always} | {record.anchor.name}
    for pair in pairs:
        part, column = pair.local
        rows[part][column] = value = show_pair(pair, parts)
        if value != pair.local_none:
            speaking.add(part)
    for part, column, name in record.carried:
        value = root.get(name)
        if value is not None:
            rows[part][column] = value
            speaking.add(part)
    for name in speaking:
        shown[name] = rows[name]
    return shown


def _unsaid(record: Record, parts: Parts) -> tuple[dict[str, Columns], tuple[Pair, ...]]:
    """Return the local rows of common ones in which all columns are empty, and the pairs that may say more:
    of common rows that are there."""
    here = frozenset(name for name, row in parts.items() if row is not None)
    found = record.unsaid.get(here)
    if found is None:
        rows: dict[str, Columns] = {part.name: {} for part in record.local}
        for pair in record.pairs:
            rows[pair.local.part][pair.local.column] = pair.local_none
        for part, column, _ in record.carried:
            rows[part][column] = None
        pairs = tuple(p for p in record.pairs if any(place.part in here for place in p.common))
        found = record.unsaid[here] = rows, pairs
    return found


def show_pair(pair: Pair, rows: Mapping[str, Columns | None]) -> Any:
    """Return what a pair shows of common rows, by part: the exact text where it is there and still counts."""
    first, column = pair.common[0]
    row = rows.get(first)
    exact = None if row is None else row.get(pair.exact)
    if pair.composed:
        common = [None if (r := rows.get(p)) is None else r.get(name) for p, name in pair.common]
    else:
        value = None if row is None else row.get(column)
        if value is None and exact is None:
            return pair.local_none
        common = [value]
    if exact is not None and isinstance(exact, list) and len(exact) == 2 and exact[0] == common:
        return exact[1]
    return from_common(pair, common)


def fill(part: Local, key: str, columns: Columns) -> Columns:
    """Return a new local row: its columns, and what it gets besides."""
    return {**{name: key if value == KEY else value for name, value in part.set}, **columns}


def shorten(value: Any, length: int | None) -> Any:
    """Return a text as a column of that length shows it."""
    if length is not None and isinstance(value, str) and len(value) > length:
        return value[:length]
    return value
