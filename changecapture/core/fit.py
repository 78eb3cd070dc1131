"""Whether a column shows a value exactly as it travels. What it would change without a word is parked.

Databases refuse most of what does not fit. The rest they change silently: digits beyond a scale, spaces at
the end, fractions of a second, the time of a date, 'A' in an enum of 'a', 70 in a year, the bytes that fill
a binary(4). ``find_fit`` gives for a column what tells before it is written.

Two things are shown as near as they can be, since parking would help nobody: numbers in a column of 32 bits
(the log keeps all 64), and columns that the profile calls quiet.
"""

import re
import struct
from base64 import b64decode
from collections.abc import Callable
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache
from typing import Any

from changecapture.core.catalogue import Engine
from changecapture.core.table import SyncedColumn
from changecapture.core.values import canonical
from changecapture.core.zones import check_moment, show_local, to_local

Fit = Callable[[Any], Any]
"""Takes a canonical value, neither None nor a list; returns what is written.

Raises ValueError when it would not be shown.
"""

COATS = {"bytes": "base64", "geometry": "geometry"}
"""Kinds whose values travel as base64 in an object, by the one name in it."""
TEXT_BYTES = {"tinytext": 255, "text": 65_535, "mediumtext": 16_777_215}
"""MySQL's; PostgreSQL's text has no end."""
_NUMBERS = re.compile(r"\((\d+)(?:,\s*(\d+))?\)")
_DATE = re.compile(r"\d{4,}-\d\d-\d\d( BC)?|-?infinity")
_TIME = re.compile(r"-?\d{2,3}:\d\d:\d\d(\.\d+)?")
_MOMENT = re.compile(r"\d{4,}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d+)?)?( BC)?|-?infinity")
_MEMBER = re.compile(r"'((?:[^']|'')*)'")


def find_fit(column: SyncedColumn, engine: Engine, *, quiet: bool = False) -> Fit | None:
    """Return what tells whether a column shows a value; None when it shows all that the database takes."""
    return _find(column.kind, column.type.lower(), column.zone, engine, quiet)


def text_length(column: SyncedColumn) -> int | None:
    """Return how many characters a text column takes at most, None where its type does not say."""
    found = re.match(r"(?:var)?char\((\d+)\)|character(?: varying)?\((\d+)\)", column.type)
    return None if found is None else int(found[1] or found[2])


def read_sizes(type_: str) -> tuple[int | None, int | None]:
    """Return the numbers in a type's brackets (length or digits, and scale), None where there is none."""
    found = _NUMBERS.search(type_)
    if found is None:
        return None, None
    return int(found[1]), None if found[2] is None else int(found[2])


def find_key_fit(column: SyncedColumn, engine: Engine) -> Fit | None:
    """Return the same for a column of a key, whose local times are local already: by another spelling the
    row would not be found again."""
    if column.type == "uuid":
        return _lower_case
    return _find(column.kind, column.type.lower(), None, engine, False)


def _lower_case(value: Any) -> Any:
    if value != str(value).lower():
        raise ValueError(f"{value!r:.80} would be spelled otherwise")
    return value


@cache
def _find(kind: str, type_: str, zone: str | None, engine: Engine, quiet: bool) -> Fit | None:
    size, scale = read_sizes(type_)
    match kind:
        case "bytes" | "geometry":
            return _coat(COATS[kind], size if type_.startswith("binary(") else None)
        case "datetime" | "instant":
            digits = size if size is not None else 0 if engine == "mysql" else 6
            return _moment(zone, None if quiet else digits)
        case _ if quiet:
            return None
        case "integer":
            return _year if type_.startswith("year") else _bits if type_.startswith("bit") else _whole
        case "boolean":
            return _boolean
        case "decimal":
            return _scale(2 if type_ == "money" else None if size is None else scale or 0)
        case "float64" | "float32" if scale is not None:
            return _scale(scale)
        case "float64":
            return _float64
        case "float32" if engine == "mysql":
            return _single
        case "date":
            return _date
        case "time":
            return _time(size if size is not None else 0 if engine == "mysql" else 6)
        case "text":
            return _text(type_, size, engine)
    return None


def _coat(name: str, length: int | None) -> Fit:
    def fit(value: Any) -> Any:
        if type(value) is not dict or list(value) != [name]:
            raise ValueError(f"{value!r:.80} is not of that kind")
        decoded = decode_coat(value)
        if length is not None and len(decoded) != length:
            raise ValueError(f"{len(decoded)} bytes would be made {length}")
        return value

    return fit


def decode_coat(value: dict[str, str]) -> bytes:
    """Return the bytes of a value in a coat. Raises ValueError when it is not base64."""
    (coated,) = value.values()
    try:
        return b64decode(coated, validate=True)
    except TypeError as error:
        raise ValueError("not base64") from error


def _moment(zone: str | None, digits: int | None) -> Fit:
    """``digits``: of the fraction of a second that the column keeps; None when that does not matter."""

    def fit(value: Any) -> Any:
        text = value
        if zone is not None:
            text = to_local(zone, value) if digits is not None else show_local(zone, value)[0]
        check_moment(text)
        _match(_MOMENT, text, digits)
        return text

    return fit


def _match(form: re.Pattern[str], value: Any, digits: int | None) -> None:
    """Raise ValueError unless a text has the form, and no more digits of a second than are kept."""
    if type(value) is not str or not form.fullmatch(value):
        raise ValueError(f"{value!r:.80} is no date or time of that kind")
    if digits is not None and "." in value:
        fraction = value.partition(".")[2].partition(" ")[0]
        if len(fraction) > digits:
            raise ValueError(f"the column keeps {digits} digits of the second of {value}")


def check_form(kind: str, value: Any) -> None:
    """Raise ValueError for what no site can have had in a column of that kind: dates that no calendar has."""
    forms = {"date": _MOMENT, "datetime": _MOMENT, "instant": _MOMENT, "time": _TIME}
    if kind not in forms:
        return
    _match(forms[kind], value, None)
    plain = re.match(r"(\d{4})-(\d\d)-(\d\d)(?!.*BC)", value)
    if kind != "time" and plain and all(int(part) for part in plain.groups()):
        date(
            *map(int, plain.groups())
        )  # with a zero in it it is MySQL's way to say that part of it is unknown


def _date(value: Any) -> Any:
    if type(value) is not str:
        raise ValueError(f"{value!r:.80} is no date")
    day, time, rest = value.partition("T")
    if time and rest != "00:00:00":
        raise ValueError(f"the column keeps the day only of {value!r:.80}")
    _match(_DATE, day, None)
    return day


def _time(digits: int) -> Fit:
    def fit(value: Any) -> Any:
        _match(_TIME, value, digits)
        return value

    return fit


def _bits(value: Any) -> Any:
    if type(value) is not int:
        raise ValueError(f"{value!r:.80} is not a number of bits")
    return value


def _whole(value: Any) -> Any:
    if type(value) is int:
        return value
    number = _number(value)
    if number != number.to_integral_value():
        raise ValueError(f"{value} is not a whole number")
    return int(number)


def _year(value: Any) -> Any:
    year = _whole(value)
    if 0 < year < 100:
        raise ValueError(f"the year {year} would be taken for another")
    return year


def _boolean(value: Any) -> Any:
    if value not in (0, 1) or type(value) not in (int, bool):
        raise ValueError(f"{value!r:.80} is neither 0 nor 1")
    return value


def _scale(digits: int | None) -> Fit:
    def fit(value: Any) -> Any:
        if type(value) is int or value in ("NaN", "Infinity", "-Infinity"):
            return value
        # Not normalize(): that keeps 28 digits, and columns hold 65.
        fraction = format(_number(value), "f").partition(".")[2].rstrip("0")
        if digits is not None and len(fraction) > digits:
            raise ValueError(f"the column keeps {digits} digits after the point of {value}")
        return value

    return fit


def _float64(value: Any) -> Any:
    if type(value) is float or value in ("NaN", "Infinity", "-Infinity"):
        return value
    number = _number(value)
    if Decimal(float(number)) != number and Decimal(repr(float(number))) != number:
        raise ValueError(f"64 bits do not hold all digits of {value}")
    return value


def _single(value: Any) -> Any:
    """MariaDB refuses the greatest number of 32 bits in its shortest spelling."""
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0] if type(value) in (int, float) else value
    except OverflowError:
        return value


def _number(value: Any) -> Decimal:
    """Return the number that a float, an integer or a canonical decimal is."""
    try:
        if type(value) is str and canonical("decimal", value) != value:
            raise ValueError(f"{value!r:.80} would be spelled otherwise")
        return Decimal(repr(value) if type(value) is float else value)
    except (InvalidOperation, TypeError) as error:
        raise ValueError(f"{value!r:.80} is no number") from error


def _text(type_: str, size: int | None, engine: Engine) -> Fit | None:
    if type_.startswith(("enum(", "set(")):
        members = tuple(m.replace("''", "'") for m in _MEMBER.findall(type_))
        return _choice(members) if type_.startswith("enum(") else _choices(members)
    if type_.endswith("[]"):
        return None
    if type_.startswith(("character(", "char(")):
        return _unpadded
    if type_.startswith(("character varying(", "varchar(")) and size is not None:
        return _cut(size, None)
    if engine == "mysql" and type_ in TEXT_BYTES:
        return _cut(None, TEXT_BYTES[type_])
    return None


def _unpadded(value: Any) -> Any:
    if type(value) is str and value[-1:] == " ":
        raise ValueError("the column keeps no space at the end of a text")
    return value


def _cut(characters: int | None, size: int | None) -> Fit:
    """Of a text that is too long both engines cut spaces at its end, and refuse anything else."""

    def fit(value: Any) -> Any:
        if type(value) is str and value[-1:] == " ":
            if len(value) > characters if characters is not None else len(value.encode()) > (size or 0):
                raise ValueError("the column is too short for the spaces at the end of the text")
        return value

    return fit


def _choice(members: tuple[str, ...]) -> Fit:
    def fit(value: Any) -> Any:
        if str(value) not in members:
            raise ValueError(f"{value!r:.80} is none of the column's values")
        return str(value)

    return fit


def _choices(members: tuple[str, ...]) -> Fit:
    places = {member: place for place, member in enumerate(members)}

    def fit(value: Any) -> Any:
        chosen = str(value).split(",") if value != "" else []
        found = [places.get(item, -1) for item in chosen]
        if -1 in found or found != sorted(set(found)):
            raise ValueError(f"{value!r:.80} is not a set of the column's values in their order")
        return str(value)

    return fit
