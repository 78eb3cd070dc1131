"""What an application did to a record, as changes of common rows. Pure.

It is what ``get`` of its rows tells otherwise than ``get`` of what was shown in them.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha1
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL

from changecapture.core.change import ALIVE, NOTES, Entry, Order, Row
from changecapture.core.merge import read_columns
from changecapture.mapping.lens import Columns, Parts
from changecapture.mapping.model import Record
from changecapture.mapping.parts import KEY, NOW, Common


class Known(NamedTuple):
    """A merged common row: the latest word on whether it exists and its order, its columns, and the order of
    the entry that wrote each."""

    word: tuple[Order, bool]
    values: Mapping[str, Any]
    orders: Mapping[str, Order]

    @property
    def alive(self) -> bool:
        """Return whether the row exists."""
        return self.word[1]


NEVER = Order(-1, "", 0, 0)
UNKNOWN = Known((NEVER, False), {}, {})


def merge_known(entries: Sequence[Entry]) -> Known:
    """Return the merged row of its entries: what ``merge_entries`` says, with orders (core.merge)."""
    if len(entries) == 1:
        return _know_one(entries[0])
    values: Columns = {}
    orders: dict[str, Order] = {}
    words: dict[str, tuple[Order, bool]] = {}
    for order, entry in sorted(((entry.order, entry) for entry in entries), key=itemgetter(0)):
        columns = read_columns(entry)
        values.update(columns)
        orders.update(dict.fromkeys(columns, order))
        if ALIVE in columns:
            words[entry.key] = order, bool(columns[ALIVE])
    for name in (ALIVE, *NOTES):
        values.pop(name, None)
        orders.pop(name, None)
    # Where several keys are one row it exists while it does under any of them.
    word = max(words.values(), key=lambda word: (word[1], word[0]), default=UNKNOWN.word)
    return Known(word, values, orders)


def extend_known(known: Known, entries: Sequence[Entry]) -> Known | None:
    """Return what a row that lives under one key is merged to with entries later than all that is known of
    it; None where they are not, or say that it does not live."""
    last = max(known.orders.values(), default=known.word[0])
    word, values, orders = known.word, dict(known.values), dict(known.orders)
    for entry in entries:
        order, columns = entry.order, read_columns(entry)
        if order < last or order < word[0] or not columns.get(ALIVE) or not NOTES.isdisjoint(columns):
            return None
        last, word = order, (order, True)
        values.update(columns)
        del values[ALIVE]
        orders.update(dict.fromkeys(columns, order))
        del orders[ALIVE]
    return Known(word, values, orders)


def _know_one(entry: Entry) -> Known:
    order = entry.order
    values = dict(read_columns(entry))
    alive = values.pop(ALIVE, None)
    for note in NOTES:
        values.pop(note, None)
    word = UNKNOWN.word if alive is None else (order, bool(alive))
    return Known(word, values, dict.fromkeys(values, order))


def derived_key(part: Common, key: str) -> str:
    """Return the key of a common row that this mapping makes: the same wherever it is made."""
    return _derive(part.table, part.name, key)


@lru_cache(maxsize=4096)
def _derive(table: str, name: str, key: str) -> str:
    # uuid5, in a fourth of its time: each new record has several.
    text = f"changecapture/{table}/{name}/{key}".encode()
    made = bytearray(sha1(NAMESPACE_URL.bytes + text, usedforsecurity=False).digest()[:16])
    made[6], made[8] = made[6] & 0x0F | 0x50, made[8] & 0x3F | 0x80
    spelt = made.hex()
    return f"urn:uuid:{spelt[:8]}-{spelt[8:12]}-{spelt[12:16]}-{spelt[16:20]}-{spelt[20:]}"


def choose(record: Record, key: str, known: Mapping[tuple[str, str], Known]) -> dict[str, str]:
    """Return {part: key of the common row that stands for it}, of rows that hang on nothing or exist."""
    chosen: dict[str, str] = {}
    tables = {table for table, _ in known}
    for part in record.common:
        if not part.parent:
            chosen[part.name] = key
        elif part.table in tables and (fitting := _fitting(part, key, known)):
            if part.latest is not None:
                table, column = part.table, part.latest
                chosen[part.name] = max(fitting, key=lambda own: known[table, own].orders[column])
            else:
                chosen[part.name] = min(fitting)
    return chosen


def _fitting(part: Common, key: str, known: Mapping[tuple[str, str], Known]) -> list[str]:
    """Return the keys of the rows that could stand for a part."""
    return [
        own
        for (table, own), row in known.items()
        if table == part.table and row.alive and _fits(part, key, row.values)
    ]


def _fits(part: Common, key: str, values: Mapping[str, Any]) -> bool:
    if part.record_key(values) != key:
        return False
    if part.latest is not None and values.get(part.latest) is None:
        return False
    return all(values.get(column) == value for column, value in part.match)


def read_parts(record: Record, key: str, known: Mapping[tuple[str, str], Known]) -> Parts:
    """Return the common rows that stand for the parts of a record."""
    parts: Parts = {}
    chosen = choose(record, key, known)
    for part in record.common:
        row = known.get((part.table, chosen.get(part.name, "")), UNKNOWN)
        parts[part.name] = dict(row.values) if row.alive else None
    return parts


def read_new_parts(record: Record, key: str, entries: Iterable[Entry]) -> Parts:
    """Return what ``read_parts`` does of a record whose rows have one entry each, which says they live."""
    rows: dict[str, list[tuple[Entry, Mapping[str, Any]]]] = defaultdict(list)
    for entry in entries:
        rows[entry.table].append((entry, read_columns(entry)))
    parts: Parts = {}
    for part in record.common:
        own = rows.get(part.table, ())
        if part.parent:
            own = [row for row in own if _fits(part, key, row[1])]
        else:
            own = [row for row in own if row[0].key == key]
        if len(own) > 1:
            own.sort(key=lambda row: row[0].key if part.latest is None else row[0].order)
        parts[part.name] = None if not own else dict(own[0 if part.latest is None else -1][1])
    return parts


class Difference(NamedTuple):
    """What the application did to one common row: whether it exists (None: as before) and its columns."""

    part: Common
    row: Row
    alive: bool | None
    columns: Columns


def find_difference(
    record: Record,
    key: str,
    known: Mapping[tuple[str, str], Known],
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
        if now is None and before is None:
            continue
        shown = chosen.get(part.name)
        own = derived_key(part, key) if part.latest is not None or shown is None else shown
        row = known.get((part.table, own), UNKNOWN)
        if row.alive and part.parent and part.record_key(row.values) != key:
            own, row = derived_key(part, f"{key} {now_text}"), UNKNOWN
        if now is not None:
            special = {KEY: key, NOW: _later(now_text, part, known.get((part.table, shown or own)))}
        if now is None:
            gone = _fitting(part, key, known) if part is record.root and part.parent else [own]
            for each in gone if before is not None else ():
                if known.get((part.table, each), UNKNOWN).alive:
                    yield Difference(part, Row(part.table, each), False, {})
        elif before is None or not row.alive:
            if before is not None and _same(now, before):
                continue
            whole = _whole(part, key, now, special[NOW])
            columns = _other(whole, row.values, whole)
            if part.latest is not None:  # said anew, if it is what the dead row said last
                columns[part.latest] = whole.get(part.latest)
            yield Difference(part, Row(part.table, own), True, columns)
        else:
            changed = {column for column, value in now.items() if value != before.get(column)}
            columns = _other(now, row.values, _whole_units(record, part, changed))
            if part.latest is not None and changed:
                columns = {**now, **{c: special[v] for c, v in part.set if v == NOW}}
            if columns:
                yield Difference(part, Row(part.table, own), True, columns)


def find_new(record: Record, key: str, actual: Parts, expected: Parts, now_text: str) -> Iterable[Difference]:
    """Yield what ``find_difference`` does of a record of which nothing is known."""
    root = record.root
    for part in record.common:
        now = actual[part.name]
        if now is None:
            continue
        before = expected[part.name] if part.parent and part is not root else None
        if before is not None and now == before:
            continue
        whole = _whole(part, key, now, now_text)
        own = derived_key(part, key) if part.parent else key
        said = {column: v for column, v in whole.items() if v is not None}
        yield Difference(part, Row(part.table, own), True, said)


def _whole(part: Common, key: str, now: Columns, now_text: str) -> Columns:
    """Return a new common row: what it has in any case, and its columns."""
    special = {KEY: key, NOW: now_text}
    fixed = {c: special.get(v, v) if isinstance(v, str) else v for c, v in part.set}
    return {**dict(part.match), **fixed, **(part.parent_columns(key) or {}), **now}


def _later(now_text: str, part: Common, latest: Known | None) -> str:
    """Return the time of a change, but later than what the row says that was the latest before."""
    column = next((column for column, value in part.set if value == NOW), None)
    shown = None if latest is None or column is None else latest.values.get(column)
    if not isinstance(shown, str) or shown < now_text:
        return now_text
    try:
        return (datetime.fromisoformat(shown[:19]) + timedelta(seconds=1)).isoformat()
    except (ValueError, OverflowError):
        return now_text


def _same(now: Columns, before: Columns) -> bool:
    return all(now.get(column) == before.get(column) for column in {*now, *before})


def _other(now: Columns, known: Mapping[str, Any], names: Collection[str]) -> Columns:
    return {column: now[column] for column in now if column in names and now[column] != known.get(column)}


def _whole_units(record: Record, part: Common, changed: set[str]) -> set[str]:
    """Return the columns with those that are composed with them: what one text says is said of all; and with
    what stands beside them: what was said more exactly of an earlier value may fit this one by chance."""
    for pair in record.pairs:
        own = {place.column for place in pair.own if place.part == part.name}
        if pair.composed and own & changed:
            changed = changed | own
    for pair in record.pairs:
        if any(place.part == part.name and place.column in changed for place in pair.common):
            changed = changed | {pair.exact}
    return changed
