"""What programs without a database of ours may do: read what has changed, and put changes of their own.

A *client* is told rows, not entries: each as it stands after merging, the deleted ones included, so it needs
no merge. ``since`` is what it was told as ``until`` when it asked last, "" to begin: it holds the client's
vector and its place in our log, so we keep nothing about clients.

What it puts becomes entries of an origin of its own, named after it and this site, which are merged and
shown like any peer's: of two values the later stays. Whoever sends ``since`` has seen what it was told:
its change comes after that, and is in conflict only with what it had not seen. A restored backup begins a
new epoch (``epochs.py``), the client's origin too, so no name is given twice.
"""

import base64
import json
import math
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any

from changecapture.apply import apply_own, drain
from changecapture.apply.localise import find_fits
from changecapture.author import Author
from changecapture.core.alias import read_alias
from changecapture.core.change import ALIVE, Entry, Row
from changecapture.core.clock import next_stamp
from changecapture.core.codec import KEY_LENGTH, decode_batch
from changecapture.core.fit import Fit, text_length
from changecapture.core.merge import merge_entries
from changecapture.core.scopes import Scopes, Terms
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.core.values import canonical
from changecapture.core.vector import Vector, covers_name, dump_vector, load_vector
from changecapture.core.wire import check_number, check_text
from changecapture.errors import PeerError
from changecapture.identify import find_joined
from changecapture.store.interface import Store
from changecapture.sync import PullRequest, answer

MOST = 500
"""Changes in one call, either way (a call may say fewer)."""
SINCE_LIMIT = 256 * 1024
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GIVEN = {"table", "uuid", "deleted", "changed_at", "columns"}


@dataclass(frozen=True, slots=True)
class Since:
    """What a client holds: a vector, and where its pull stands in our log (as store.interface.Progress)."""

    epoch: int = 0
    vector: str = "{}"
    after: int = 0
    end: int = 0
    target: str = "{}"
    mark: str = ""
    scopes: str = ""

    def dump(self) -> str:
        """Return text for a client to keep."""
        return base64.urlsafe_b64encode(zlib.compress(json.dumps(asdict(self)).encode())).decode()


def load_since(text: str) -> Since:
    """Return what ``dump`` wrote; raise PeerError for anything else."""
    if not text:
        return Since()
    try:
        decoder = zlib.decompressobj()
        fields = json.loads(decoder.decompress(base64.urlsafe_b64decode(text), SINCE_LIMIT))
        since = Since(**fields)
        if any(
            type(value) is not type(default)
            for value, default in zip(_values(since), _values(Since()), strict=True)
        ):
            raise ValueError("a field is of the wrong type")
        for number in (since.epoch, since.after, since.end):
            check_number(number)
        if since.mark:
            check_text(since.mark)
        load_vector(since.vector), load_vector(since.target)
    except (ValueError, TypeError, AttributeError, zlib.error, RecursionError) as error:
        raise PeerError(
            "since is not what this service has answered as until", mend="send '' to begin"
        ) from error
    return since


def _values(since: Since) -> tuple[Any, ...]:
    return tuple(asdict(since).values())


def name_origin(site: str, client: str) -> str:
    """Return the origin under which a site writes what a client puts."""
    return sha256(f"{site} {client}".encode()).hexdigest()[:32]


def get_changes(store: Store, client: str, since: str, send: Scopes, limit: int = MOST) -> dict[str, Any]:
    """Return the rows that have changed since, with ``until`` and whether there is ``more``."""
    held = load_since(since)
    if held.scopes != send.dump():
        # Other modules than before: what was held back stands before the place that was reached (R12).
        held = Since(vector=held.vector, scopes=send.dump())
    request = PullRequest(
        site=name_origin(store.read_site().origin, client),
        epoch=held.epoch,
        vector=dump_vector(send.of(load_vector(held.vector))),
        after=held.after,
        end=held.end,
        limit=max(1, min(limit, MOST)),
        mark=held.mark,
        scopes=held.scopes,
    )
    batch = decode_batch(answer(store, request, Terms(send=send)).payload)
    head = batch.head
    resumed = held.end and (head.epoch, head.after, head.end) == (held.epoch, held.after, held.end)
    target = load_vector(held.target) if resumed else head.target
    vector = load_vector(held.vector)
    if head.last:
        vector = {c: max(vector.get(c, 0), target.get(c, 0)) for c in {*vector, *target}}
    until = Since(
        head.epoch,
        dump_vector(vector),
        head.position,
        0 if head.last else head.end,
        "{}" if head.last else dump_vector(target),
        head.mark,
        held.scopes,
    )
    return {
        "base_uuid": store.read_site().origin,
        "changes": _tell_rows(store, [e for e in batch.entries if _may_tell(store, e, send)]),
        "until": until.dump(),
        "more": not head.last,
    }


def _may_tell(store: Store, entry: Entry, send: Scopes) -> bool:
    """Return whether an entry is of a module that is told, by our own profile too."""
    table = store.tables_by_wire.get(entry.table)
    return table is None or table.scope in send


def _tell_rows(store: Store, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    rows: dict[Row, None] = {}
    for entry in entries:
        alias = read_alias(entry)
        rows |= {Row(alias.table, alias.low): None} if alias else {entry.row: None}
    with store.snapshot():
        names = store.read_names(rows)
        places = dict.fromkeys(names.get(row, row) for row in rows)
        members = store.read_members(places)
        known = store.read_row_entries(places)
    return [
        _tell_row(row, [entry for entry, _ in known[row]], members.get(row, [row.key]))
        for row in places
        if known.get(row) and read_alias(known[row][0][0]) is None
    ]


def _tell_row(row: Row, entries: Sequence[Entry], keys: Sequence[str]) -> dict[str, Any]:
    merged = merge_entries(entries)
    last = max(entries, key=lambda entry: entry.order)
    return {
        "table": row.table,
        "uuid": row.key,
        "also": sorted(set(keys) - {row.key}),
        "deleted": not (merged[ALIVE].value if ALIVE in merged else True),
        "changed_at": _tell_time(last.stamp),
        "origin": last.origin,
        "columns": {name: cell.value for name, cell in merged.items() if not name.startswith("@")},
    }


def put_changes(
    store: Store, client: str, changes: Sequence[Any], since: str, accept: Scopes
) -> dict[str, Any]:
    """Take changes of a client, all or none; return how many were new, shown and parked. Raises PeerError."""
    if store.mapping is not None:
        raise PeerError(
            "changes are not taken from programs here",
            why="this site has other tables than the common ones",
            mend="write them into the application's own tables, or put them at another site",
        )
    if not 0 < len(changes) <= MOST:
        raise PeerError(f"1 to {MOST} changes in a call, not {len(changes)}")
    read = [_read_change(store, number, change, accept) for number, change in enumerate(changes)]
    seen = load_vector(load_since(since).vector)
    with store.lock():
        drain(store)
        author = Author(store, name_origin(store.read_site().origin, client), seen)
        _write(store, author, read, seen)
        done = apply_own(store, author)
    return {"taken": done.entries, "shown": done.applied, "parked": done.parked}


@dataclass(frozen=True, slots=True)
class _Put:
    table: SyncedTable
    row: Row
    columns: dict[str, Any]
    stamp: int | None


def _write(store: Store, author: Author, puts: Sequence[_Put], seen: Vector) -> None:
    """Write the changes of a client, who has seen what he was told, with stamps later than that."""
    joined = find_joined(store, {put.row for put in puts})
    places = [joined.get(put.row, put.row) for put in puts]
    known, versions = store.read_row_entries(set(places)), store.read_versions(set(places))
    now = store.read_clock()
    for put, row in zip(puts, places, strict=True):
        before = [entry for entry, _ in known.get(row, ())]
        told = [e for e in before if covers_name(seen, e.origin, e.epoch, e.scope, e.number)]
        latest = max((entry.stamp for entry in told), default=0)
        # Nobody writes in the future; and what was seen is older than what is written after it.
        stamp = next_stamp(min(now, now if put.stamp is None else put.stamp), latest)
        base = versions[row].seen if row in versions and len(told) == len(before) else 0
        author.say(put.table, row, put.columns, stamp=stamp, base=base, known=before)


def _read_change(store: Store, number: int, change: Any, accept: Scopes) -> _Put:
    """Return a change that came; raise PeerError with its place and what is wrong."""
    place = f"change {number}"
    if not isinstance(change, Mapping) or not set(change) <= GIVEN:
        raise PeerError(f"{place}: it is a structure of {', '.join(sorted(GIVEN))}")
    name, key, columns = change.get("table"), change.get("uuid"), change.get("columns", {})
    table = store.tables_by_wire.get(name.lower()) if isinstance(name, str) else None
    if table is None or table.scope not in accept:
        raise PeerError(f"{place}: that table is not taken from this client", why=repr(name)[:80])
    if not isinstance(key, str) or not 0 < len(key) <= KEY_LENGTH or "\0" in key:
        raise PeerError(f"{place}: uuid must be a text of 1 to {KEY_LENGTH} characters")
    deleted = change.get("deleted", False)
    if type(deleted) not in (bool, int) or not isinstance(columns, Mapping):
        raise PeerError(f"{place}: deleted is a boolean, columns a structure")
    known, fits = {column.wire: column for column in table.columns}, find_fits(store, table)
    values: dict[str, Any] = {}
    for name, value in columns.items():
        column = known.get(name)
        if column is None:
            raise PeerError(f"{place}: {table.name} has no synced column {str(name)[:80]!r}")
        try:
            values[name] = _read_value(column, value, fits.get(column.name))
        except (ValueError, TypeError, ArithmeticError) as error:
            raise PeerError(f"{place}: {name} cannot be taken", why=str(error)[:200]) from None
    written = {ALIVE: False} if deleted else {**values, ALIVE: True}
    return _Put(table, Row(table.wire, key), written, _read_time(place, change.get("changed_at", "")))


def _read_value(column: SyncedColumn, value: Any, fit: Fit | None) -> Any:
    """Return a value in the form of core/values.py; numbers beyond 32 bits may have come as texts. Raises
    ValueError when the column would not show it."""
    if value is None:
        return None
    if column.reference is not None:
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValueError("a reference is a text, the uuid of the row that it names")
        return value
    read: Callable[[Any], Any] = _READERS.get(column.kind, _read_text)
    given = read(value)
    found = given if isinstance(given, dict) else canonical(column.kind, given)
    length = text_length(column)
    if length is not None and isinstance(found, str) and len(found) > length:
        raise ValueError(f"it is longer than {length} characters")
    if fit is not None:
        fit(found)
    return found


def _read_whole(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,20}", value):
        value = int(value)
    if type(value) is not int or not -(2**63) <= value < 2**64:
        raise ValueError("it must be a whole number of 64 bits")
    return value


def _read_truth(value: Any) -> int:
    if value in (0, 1, "0", "1"):
        return int(value)
    raise ValueError("it must be true, false, 0 or 1")


def _read_number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise ValueError("it must be a number")
    return float(value)


def _read_decimal(value: Any) -> str:
    if type(value) in (int, float):
        value = str(value)
    if not isinstance(value, str) or not Decimal(value).is_finite():
        raise ValueError("it must be a number, best as a text")
    return value


def _read_moment(value: Any) -> str:
    """Return a time without its zone, in UTC, where it names one."""
    text = _read_text(value)
    if re.search(r"(Z|[+-][0-9]{2}:?[0-9]{2})$", text) and len(text) > len("2026-01-31"):
        return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None).isoformat()
    return text


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("it must be a text")
    if "\0" in value:
        raise ValueError("it holds a NUL")
    value.encode()
    return value


def _read_coat(name: str, value: Any) -> dict[str, str]:
    if isinstance(value, Mapping) and list(value) == [name] and isinstance(value[name], str):
        return dict(value)
    raise ValueError(f"it must be a structure of {name}")


_READERS: dict[str, Callable[[Any], Any]] = {
    "integer": _read_whole,
    "boolean": _read_truth,
    "float32": _read_number,
    "float64": _read_number,
    "decimal": _read_decimal,
    "datetime": _read_moment,
    "instant": _read_moment,
    "bytes": lambda value: _read_coat("base64", value),
    "geometry": lambda value: _read_coat("geometry", value),
}


def _read_time(place: str, text: Any) -> int | None:
    """Return microseconds since 1970 of an ISO time in UTC, None for none."""
    if text == "":
        return None
    try:
        time = datetime.fromisoformat(text)
        stamp = (time if time.tzinfo else time.replace(tzinfo=UTC)) - EPOCH
        return max(1, stamp // timedelta(microseconds=1))
    except (TypeError, ValueError, OverflowError):
        raise PeerError(f"{place}: changed_at must be a time like 2026-01-31T12:00:00Z") from None


def _tell_time(stamp: int) -> str:
    return (EPOCH + timedelta(microseconds=stamp)).isoformat(timespec="microseconds").replace("+00:00", "Z")
