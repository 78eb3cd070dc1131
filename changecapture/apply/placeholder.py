"""What holds the place of a unique value for a moment, while rows exchange theirs (R14).

It fits the column and is by chance, from the far end of what the type holds: unlike what applications write.
Where a type has none, or the application's own rules refuse it, the rows stay parked.
"""

import re
from datetime import date, datetime, timedelta
from hashlib import blake2b
from typing import Any

from changecapture.core.fit import read_sizes
from changecapture.core.table import SyncedColumn

BITS = {"tiny": 8, "small": 16, "medium": 24, "": 32, "big": 64}
DIGITS = 12
"""Of a decimal whose type does not say."""
FAR = date(9000, 1, 1)
LATE = datetime(2037, 1, 1)
"""Near the end of MySQL's timestamps."""
DAYS, SECONDS = 300_000, 30_000_000


def make_placeholder(column: SyncedColumn, seed: str) -> Any:
    """Return a value that a column takes, always the same for a seed; None where there is none."""
    number = int.from_bytes(blake2b(seed.encode(), digest_size=8).digest(), "big")
    match column.kind:
        case "text":
            return f"{number:016x}"[: read_sizes(column.type)[0]]
        case "integer":
            return _make_integer(column, number)
        case "decimal":
            return _make_decimal(column, number)
        case "date":
            return (FAR + timedelta(days=number % DAYS)).isoformat()
        case "datetime":
            return f"{FAR + timedelta(days=number % DAYS)}T00:00:00"
        case "instant":
            return (LATE + timedelta(seconds=number % SECONDS)).isoformat()
        case _:
            return None


def _make_integer(column: SyncedColumn, number: int) -> int | None:
    found = re.match("(tiny|small|medium|big|)int", column.type)
    if found is None:
        return None
    values = 1 << BITS[found[1]]
    last = values - 1 if "unsigned" in column.type else values // 2 - 1
    return last - number % (values // 8)


def _make_decimal(column: SyncedColumn, number: int) -> str | None:
    digits, scale = read_sizes(column.type)
    values = 10 ** (DIGITS if digits is None else digits - (scale or 0))
    return str(values - 1 - number % (values // 8)) if values > 8 else None
