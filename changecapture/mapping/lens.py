"""The lens of a record: ``get`` makes common rows of local ones, ``put`` local rows of common ones. Pure.

``put`` is a function of the common rows alone, and a local change is what ``get`` of the local rows tells
otherwise than ``get`` of what ``put`` would show (``find_difference``). So what was cut to a column's length,
rounded, composed or translated to a shorter list is not a change and never travels back.

What a local column says more exactly than the common ones do travels beside them as ``exact``: the common
value and the local text. It counts while the common value is that, at every site of that application.
"""

from collections.abc import Collection, Iterable
from collections.abc import Mapping as Dict
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

from changecapture.core.change import Order
from changecapture.core.values import dump
from changecapture.mapping.model import KEY, NOW, Common, Local, Mapping, Pair, Place, Record

Columns = dict[str, Any]
Parts = dict[str, Columns | None]
"""Part name to its columns, None where there is no such row."""
NOTHING = (None, "", "NULL", "0000-00-00", "0000-00-00T00:00:00")
"""What the PHP applications write for an empty field."""


class Known(NamedTuple):
    """A merged common row: whether it exists, its columns, and the order of the entry that wrote each."""

    alive: bool
    values: Dict[str, Any]
    orders: Dict[str, Order]


def local_key(part: Local, key: str) -> str:
    """Return the key of a local row of the record with that key."""
    items = [key if item == KEY else item for item in part.key]
    return str(items[0]) if len(items) == 1 else dump(items)


def derived_key(part: Common, key: str) -> str:
    """Return the key of a common row that this mapping makes: the same wherever it is made."""
    return uuid5(NAMESPACE_URL, f"changecapture/{part.table}/{part.name}/{key}").urn


def choose(record: Record, key: str, known: Dict[tuple[str, str], Known]) -> dict[str, str]:
    """Return {part: key of the common row that stands for it}, of rows that exist or would be made."""
    chosen: dict[str, str] = {}
    for part in record.common:
        if part.parent is None:
            chosen[part.name] = key
            continue
        fitting = [
            (table, own)
            for (table, own), row in known.items()
            if table == part.table and row.alive and _fits(part, key, row)
        ]
        if part.latest is not None and fitting:
            column = part.latest
            chosen[part.name] = max(fitting, key=lambda place: known[place].orders[column])[1]
        else:
            chosen[part.name] = min((own for _, own in fitting), default=derived_key(part, key))
    return chosen


def _fits(part: Common, key: str, row: Known) -> bool:
    if row.values.get(part.parent or "") != key:
        return False
    if part.latest is not None and row.values.get(part.latest) is None:
        return False
    return all(row.values.get(column) == value for column, value in part.match)


def read_parts(record: Record, key: str, known: Dict[tuple[str, str], Known]) -> Parts:
    """Return the common rows that stand for the parts of a record."""
    parts: Parts = {}
    for name, own in choose(record, key, known).items():
        row = known.get((_common(record, name).table, own))
        parts[name] = dict(row.values) if row is not None and row.alive else None
    return parts


def _common(record: Record, name: str) -> Common:
    return next(part for part in record.common if part.name == name)


def get(mapping: Mapping, record: Record, local: Parts) -> Parts:
    """Return the common rows that local rows stand for; only the columns that correspond."""
    if local.get(record.anchor.name) is None:
        return {part.name: None for part in record.common}
    found: Parts = {part.name: {} for part in record.common}
    for pair in sorted(record.pairs, key=lambda pair: pair.composed):
        row = local.get(pair.local.part)
        value = None if row is None else row.get(pair.local.column)
        _tell(found, pair, value, row is not None)
        _tell_exact(mapping, record, found, pair, value)
    for place in record.carried:
        row = local.get(place.part)
        root = found[record.root.name]
        assert root is not None
        root[beside(mapping, record, place)] = None if row is None else row.get(place.column)
    for part in record.common:
        columns = found[part.name]
        if part.parent is not None and columns is not None and not any(map(_says, columns.values())):
            found[part.name] = None
    return found


def _says(value: Any) -> bool:
    return value is not None


def _tell(found: Parts, pair: Pair, value: Any, here: bool) -> None:
    common = to_common(pair, value) if here else None
    for place in pair.own:
        row = found[place.part]
        assert row is not None
        row[place.column] = None
    if not pair.own:
        return
    if pair.composed and isinstance(common, str):
        for place in reversed([place for place in pair.common if place not in pair.own]):
            other = (found[place.part] or {}).get(place.column)
            if other and common.endswith(other):
                common = common.removesuffix(other).rstrip()
    first = found[pair.own[0].part]
    assert first is not None
    if pair.length is not None and isinstance(common, str):
        common = common[: pair.length]
    first[pair.own[0].column] = common
    for place in pair.copies:
        row = found[place.part]
        assert row is not None
        row[place.column] = common


def _tell_exact(mapping: Mapping, record: Record, found: Parts, pair: Pair, value: Any) -> None:
    """Say beside the common columns what they do not say exactly."""
    common = [(found[place.part] or {}).get(place.column) for place in pair.common]
    row = found[pair.common[0].part]
    assert row is not None
    plain = value if value not in NOTHING else pair.local_none
    lossy = plain is not None and from_common(pair, common) != plain
    row[beside(mapping, record, pair.local)] = [common, value] if lossy else None


def beside(mapping: Mapping, record: Record, place: Place) -> str:
    """Return the name of the column in which a local value travels."""
    table = next(part.table for part in record.local if part.name == place.part)
    name = table if table == place.part else place.part
    return f"{mapping.title}:{name}.{place.column}"


def to_common(pair: Pair, value: Any) -> Any:
    """Return the common value that a local one stands for."""
    if value in NOTHING:
        value = pair.local_none
    if pair.values:
        return next((common for local, common in pair.values if local == value), pair.common_none)
    if value is None:
        return pair.common_none
    if pair.number:
        return _number(value)
    return value


def _number(value: Any) -> int | None:
    digits = str(value).strip().split(" ")[0].split(".")[0]
    return int(digits) if digits.lstrip("-").isdigit() and len(digits) < 10 else None


def from_common(pair: Pair, common: list[Any]) -> Any:
    """Return the local value of common ones, as exactly as they say it."""
    if pair.composed:
        text = pair.join.join(str(value) for value in common if value not in (None, ""))
        return text or pair.local_none
    value = common[0]
    if pair.values:
        return next((local for local, other in pair.values if other == value), pair.local_none)
    if value is None or value == pair.common_none:
        return pair.local_none
    return str(value) if pair.number else value


def put(mapping: Mapping, record: Record, parts: Parts) -> Parts:
    """Return the local rows that show common ones; only the columns that correspond or are carried."""
    root = parts.get(record.root.name)
    shown: Parts = {part.name: None for part in record.local}
    if root is None or not all((parts.get(p.part) or {}).get(p.column) is not None for p in record.needs):
        return shown
    rows: dict[str, Columns] = {part.name: {} for part in record.local}
    speaking: set[str] = {part.name for part in record.local if part.always} | {record.anchor.name}
    for pair in record.pairs:
        value = _show(mapping, record, parts, pair)
        rows[pair.local.part][pair.local.column] = value
        if value != pair.local_none and any(parts.get(place.part) is not None for place in pair.common):
            speaking.add(pair.local.part)
    for place in record.carried:
        value = root.get(beside(mapping, record, place))
        rows[place.part][place.column] = value
        if value is not None:
            speaking.add(place.part)
    for name in speaking:
        shown[name] = rows[name]
    return shown


def _show(mapping: Mapping, record: Record, parts: Parts, pair: Pair) -> Any:
    rows = [parts.get(place.part) for place in pair.common]
    common = [None if row is None else row.get(p.column) for row, p in zip(rows, pair.common, strict=True)]
    exact = None if rows[0] is None else rows[0].get(beside(mapping, record, pair.local))
    if isinstance(exact, list) and len(exact) == 2 and exact[0] == common:
        return exact[1]
    return from_common(pair, common)


def shorten(value: Any, length: int | None) -> Any:
    """Return a text as a column of that length shows it."""
    if length is not None and isinstance(value, str) and len(value) > length:
        return value[:length]
    return value


class Difference(NamedTuple):
    """What the application did to one common row: whether it exists (None: as before) and its columns."""

    part: Common
    key: str
    alive: bool | None
    columns: Columns


def find_difference(
    mapping: Mapping,
    record: Record,
    key: str,
    known: Dict[tuple[str, str], Known],
    actual: Parts,
    expected: Parts,
    now_text: str,
) -> Iterable[Difference]:
    """Yield what makes common rows of what is known and the application did.

    ``actual`` and ``expected`` are common rows: ``get`` of the local rows, and of what was shown in them.
    ``now_text``: when it was done, as a canonical datetime.
    """
    chosen = choose(record, key, known)
    for part in record.common:
        now, before = actual[part.name], expected[part.name]
        special = {KEY: key, NOW: _later(now_text, part, known.get((part.table, chosen[part.name])))}
        own = derived_key(part, key) if part.latest is not None else chosen[part.name]
        row = known.get((part.table, own), Known(False, {}, {}))
        if now is None:
            if before is not None and row.alive:
                yield Difference(part, own, False, {})
        elif before is None or not row.alive:
            if before is not None and _same(now, before):
                continue
            fixed = {**dict(part.match), **{c: special.get(v, v) for c, v in part.set}}
            if part.parent is not None:
                fixed[part.parent] = key
            whole = {**fixed, **now}
            yield Difference(part, own, True, _other(whole, row.values, whole))
        else:
            changed = {column for column, value in now.items() if value != before.get(column)}
            columns = _other(now, row.values, _whole_units(record, part, changed))
            if part.latest is not None and changed:
                columns = {**now, **{c: special[v] for c, v in part.set if v == NOW}}
            if columns:
                yield Difference(part, own, True, columns)


def _later(now_text: str, part: Common, latest: Known | None) -> str:
    """Return the time of a change, but later than what the row says that was the latest before."""
    column = next((column for column, value in part.set if value == NOW), None)
    shown = None if latest is None or column is None else latest.values.get(column)
    if not isinstance(shown, str) or shown < now_text:
        return now_text
    try:
        return (datetime.fromisoformat(shown[:19]) + timedelta(seconds=1)).isoformat()
    except ValueError:
        return now_text


def _same(now: Columns, before: Columns) -> bool:
    return all(now.get(column) == before.get(column) for column in {*now, *before})


def _other(now: Columns, known: Dict[str, Any], names: Collection[str]) -> Columns:
    return {column: now[column] for column in now if column in names and now[column] != known.get(column)}


def _whole_units(record: Record, part: Common, changed: set[str]) -> set[str]:
    """Return the columns with those that are composed with them: what one text says is said of all."""
    for pair in record.pairs:
        own = {place.column for place in pair.own if place.part == part.name}
        if pair.composed and own & changed:
            changed = changed | own
    return changed
