"""Canonical values: one JSON form for each kind of column, the same from every engine.

| kind      | JSON form                                   | PostgreSQL            | MySQL, MariaDB        |
|-----------|---------------------------------------------|-----------------------|-----------------------|
| integer   | number                                      | int2, int4, int8      | all ints, year, bit   |
| boolean   | 0 or 1                                      | boolean               | (tinyint is integer)  |
| decimal   | string, no exponent, no trailing zeros      | numeric, money        | decimal               |
| float64   | number, shortest that reads back the same   | float8                | double                |
| float32   | number, shortest that reads back as 32 bits | float4                | float                 |
| text      | string                                      | text, varchar, enum.. | text, varchar, enum.. |
| json      | string: the JSON text as it stands          | json, jsonb           | json, longtext        |
| date      | string YYYY-MM-DD                           | date                  | date                  |
| time      | string HH:MM:SS[.ffffff]                    | time                  | time                  |
| datetime  | string YYYY-MM-DDTHH:MM:SS[.ffffff], in UTC | timestamp             | datetime              |
| instant   | the same, in UTC                            | timestamptz           | timestamp             |
| bytes     | {"base64": string}                          | bytea                 | binary, blob          |
| geometry  | {"geometry": base64 of SRID, then WKB}      | -                     | geometry              |

NULL is null for every kind. A reference is the key (a string) of the row that it names. NaN and
infinities are the strings "NaN", "Infinity", "-Infinity"; -0 is 0. Any other type is ``text``, its own text:
enum, set (members in their order), uuid, inet, interval, ranges, arrays, PostgreSQL's bit strings. Dates that
one engine has alone (0000-00-00, infinity, 0044-03-15 BC) and times beyond a day (-01:00:00, 838:59:59) are
their own text too. Local times: zones.py. What a column does not show exactly: fit.py.
"""

import json
import re
import struct
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from math import isfinite
from typing import Any

from changecapture.core.zones import to_utc

KINDS = (
    "integer",
    "boolean",
    "decimal",
    "float64",
    "float32",
    "text",
    "json",
    "date",
    "time",
    "datetime",
    "instant",
    "bytes",
    "geometry",
)

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def dump(value: Any) -> str:
    """Return the compact JSON text of a value, in the order in which it holds its names."""
    text: str = _encode(value)
    return text


def canonical(kind: str, raw: Any, zone: str | None = None) -> Any:
    """Return the canonical value of what a trigger or a late read gave for a column of that kind.

    ``zone``: by whose clocks a datetime is written there, None for UTC.
    """
    if raw is None:
        return None
    convert = _CANONICAL.get(kind)
    value = raw if convert is None else convert(raw)
    return value if zone is None else to_utc(zone, value)


def needs_canonical(kind: str) -> bool:
    """Return whether ``canonical`` can differ from what the database gave."""
    return kind in _CANONICAL


def equal(kind: str, left: Any, right: Any) -> bool:
    """Return whether two canonical values are the same to a table of that kind (32 bit floats round)."""
    if kind == "float32" and isinstance(left, int | float) and isinstance(right, int | float):
        return bool(_float32(left) == _float32(right))
    return bool(left == right)


def rounds_to(kind: str, type_: str, given: Any, shown: Any) -> bool:
    """Return whether a column of that type, given one canonical value, may show the other: databases round
    decimals to the scale of the column, and times to its fraction of a second."""
    try:
        if kind == "decimal":
            scale = re.search(r",\s*(\d+)\)", type_)
            return scale is not None and abs(Decimal(given) - Decimal(shown)) < Decimal(10) ** -int(scale[1])
        if kind in ("datetime", "instant"):
            apart = datetime.fromisoformat(given) - datetime.fromisoformat(shown)
            return abs(apart.total_seconds()) < 1 and "." in given and len(shown) < len(given)
    except (ValueError, TypeError, ArithmeticError):
        return False
    return False


def _decimal(raw: Any) -> str:
    text = str(raw)
    try:
        number = Decimal(text)
    except ArithmeticError:
        return text
    if not number.is_finite():
        return {"NaN": "NaN", "Infinity": "Infinity"}.get(str(number), str(number))
    plain = format(number, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return "0" if plain in ("-0", "") else plain


def _float64(raw: Any) -> Any:
    number = float(raw)
    if not isfinite(number):
        return _NOT_FINITE[str(number)]
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


def _float32(raw: Any) -> Any:
    number = float(raw)
    try:
        single = struct.unpack("<f", struct.pack("<f", number))[0]
    except OverflowError:
        return _float64(number)
    if not isfinite(single):
        return _NOT_FINITE[str(single)]
    for digits in range(6, 10):
        short = float(f"{single:.{digits}g}")
        if struct.unpack("<f", struct.pack("<f", short))[0] == single:
            return _float64(short)
    return _float64(single)


def _fraction(raw: Any) -> Any:
    text = str(raw)
    day, space, rest = text.partition(" ")
    if space and rest[0].isdigit():
        text = f"{day}T{rest}"
    return text.rstrip("0").rstrip(".") if "." in text else text


_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def _boolean(raw: Any) -> int:
    return 1 if raw in (1, True, "1", "t", "true", "T") else 0


_CANONICAL: dict[str, Callable[[Any], Any]] = {
    "boolean": _boolean,
    "decimal": _decimal,
    "float64": _float64,
    "float32": _float32,
    "time": _fraction,
    "datetime": _fraction,
    "instant": _fraction,
}
