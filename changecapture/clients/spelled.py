"""What a client may write as a value, of each kind: more ways than core/values.py, which it comes to.

XML-RPC has no numbers beyond 32 bits and people write times as they do. What a column would not show is a
ValueError.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from changecapture.core.clock import read_time
from changecapture.core.fit import Fit, text_length
from changecapture.core.table import SyncedColumn
from changecapture.core.values import canonical
from changecapture.errors import PeerError

INT32 = 2**31
_UNFIT = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML cannot hold, which few texts have; JSON-RPC carries it."""


def narrow(value: Any) -> Any:
    """Return a value as XML-RPC can carry it."""
    if isinstance(value, dict):
        return {name: narrow(each) for name, each in value.items()}
    if isinstance(value, list):
        return [narrow(each) for each in value]
    if isinstance(value, str):
        return _UNFIT.sub("\ufffd", value)
    return str(value) if type(value) is int and not -INT32 <= value < INT32 else value


def is_as_told(given: Any, told: Any) -> bool:
    """Return whether a value comes back as it was told, over either form."""
    # PHP has no whole numbers beyond 63 bits.
    rounded = type(given) is float and type(told) is int and given == float(told)
    return rounded or given == told or given == narrow(told)


def read_value(column: SyncedColumn, value: Any, fit: Fit | None) -> Any:
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


def read_stamp(place: str, text: Any) -> int | None:
    """Return microseconds since 1970 of an ISO time in UTC, None for none."""
    if text == "":
        return None
    try:
        return max(1, read_time(text))
    except (TypeError, AttributeError, ValueError, OverflowError):
        raise PeerError(f"{place}: changed_at must be a time like 2026-01-31T12:00:00Z") from None
