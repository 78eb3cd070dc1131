"""Entries on the wire: two lines each, the head and the columns as they are stored (see codec).

Entries come by the thousand: they are read and checked field by field over all of them (``decode_alike``).
Where anything is unusual each is read by itself, which also tells what is wrong with it.
"""

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from changecapture.core.change import ALIVE, FROM, NOTES, UNSEEN, Entry
from changecapture.core.clock import LATEST_STAMP, check_stamp
from changecapture.core.wire import LARGEST, are_texts, check_name, check_number, check_text

KEY_LENGTH = 512
_NOTES = tuple(f'"{note}"' for note in NOTES)
TABLE_LENGTH = 128


def encode_entries(entries: Iterable[Entry]) -> Iterable[str]:
    """Yield two lines for each entry: its head and its columns."""
    for e in entries:
        texts = f"{_quote(e.scope)},{_quote(e.table)},{_quote(e.key)}"
        yield (
            f"[{_quote(e.origin)},{e.epoch},{e.number},{e.pass_number},{e.stamp},"
            f'"{e.base_seen}",{texts}]\n{e.columns}'
        )


def decode_alike(lines: Sequence[str]) -> list[Entry] | None:
    """Return the entries of some lines of nothing else; None when each is to be looked at by itself."""
    text = "\n".join(lines)
    if len(lines) % 2 or "\\u" in text or any(note in text for note in _NOTES):
        return None
    try:
        heads, columns = list(map(_read_whole, lines[::2])), list(map(_read_whole, lines[1::2]))
        if set(map(type, heads)) != {list} or set(map(type, columns)) != {dict}:
            return None
        origins, epochs, numbers, passes, stamps, seens, scopes, tables, keys = zip(*heads, strict=True)
        for origin, scope, table in set(zip(origins, scopes, tables, strict=True)):
            check_name(origin), check_name(scope), check_name(table, TABLE_LENGTH)
        if not all(map(_are_numbers, (epochs, numbers, passes, stamps))) or not are_texts(keys, KEY_LENGTH):
            return None
        if min(stamps) < 1 or max(stamps) > LATEST_STAMP:
            return None
        if {type(values.get(ALIVE, True)) for values in columns} != {bool}:
            return None
        known = [0 if seen == "0" else _signed(seen) for seen in seens]
    except (ValueError, TypeError, StopIteration, RecursionError):
        return None
    fields = (origins, epochs, numbers, passes, stamps, known, scopes, tables, keys)
    return list(map(Entry, *fields, lines[1::2], columns))


def _read_whole(line: str) -> Any:
    value, end = scan(line, 0)
    if end != len(line):
        raise ValueError("more than one value in a line")
    return value


def _are_numbers(values: Sequence[Any]) -> bool:
    """Return whether ``check_number`` takes all of them."""
    return set(map(type, values)) == {int} and min(values) >= 0 and max(values) <= LARGEST


def decode_entry(item: Sequence[Any], text: str, columns: Any) -> Entry:
    origin, epoch, number, pass_number, stamp, base_seen, scope, table, key = item
    if not isinstance(columns, dict):
        raise ValueError("the columns of an entry are not an object")
    if not isinstance(columns.get(ALIVE, True), bool):
        raise ValueError(f"{ALIVE} is neither true nor false")
    unseen = columns.get(UNSEEN, [])
    if not (isinstance(unseen, list) and all(isinstance(name, str) for name in unseen)):
        raise ValueError(f"{UNSEEN} is not a list of names")
    if FROM in columns:
        check_name(columns[FROM])
    if "\\u" in text:
        dump(columns).encode()  # half of a surrogate pair can hide in an escape
    return Entry(
        check_name(origin),
        check_number(epoch),
        check_number(number),
        check_number(pass_number),
        check_stamp(check_number(stamp)),
        0 if base_seen == "0" else _signed(base_seen),
        check_name(scope),
        check_name(table, TABLE_LENGTH),
        check_text(key, KEY_LENGTH),
        text,
        columns,
    )


def _signed(value: Any) -> int:
    number = int(check_text(value, 20))
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"{value} is not a signed 64-bit number")
    return number


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _read_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text:.40} is beyond what a float holds")
    return number


dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_quote = json.encoder.encode_basestring
decoder = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_read_float)
scan = json.scanner.make_scanner(decoder)  # type: ignore[attr-defined]
