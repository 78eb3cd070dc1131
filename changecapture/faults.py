"""The last net: a row that raises what nobody foresaw stops neither its batch nor its site.

Whoever writes many rows in one transaction takes them apart when it fails, by halves, until the one that
raises stands alone. That one is set aside, with the reason, where a person sees it, and the rest goes on.
What says that the database is away, busy, full or not as installed is about no row, and is passed on.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from changecapture.errors import ChangeCaptureError, ConfigError, DataError, DriftError, RetryLater

FAULT = "fault"
"""Why a row is parked that raised what nobody foresaw."""
LONGEST = 500
"""Characters of what is told of an error."""

T = TypeVar("T")
R = TypeVar("R")


def isolate(
    items: Sequence[T], act: Callable[[Sequence[T]], R], set_aside: Callable[[T, Exception], R]
) -> list[R]:
    """Do something with all items, with as many at once as go together; set aside those that fail alone.

    ``act`` is a transaction: what failed has left nothing behind.
    """
    try:
        return [act(items)]
    except Exception as error:
        if not items or not concerns_row(error):
            raise
        if len(items) == 1:
            return [set_aside(items[0], error)]
    half = len(items) // 2
    return isolate(items[:half], act, set_aside) + isolate(items[half:], act, set_aside)


def concerns_row(error: Exception) -> bool:
    """Return whether an error may be about one of the rows at hand, and not about all that could come."""
    return not isinstance(error, RetryLater | ConfigError | DriftError | MemoryError)


def explain(error: Exception) -> tuple[str, str]:
    """Return the reason and the detail that a row is listed with."""
    if isinstance(error, DataError):
        return error.reason, str(error)
    if isinstance(error, ChangeCaptureError):
        return FAULT, str(error)
    text = " ".join(f"{type(error).__name__}: {error}".replace("\0", " ").split())
    return FAULT, f"unexpected, please report it: {text[:LONGEST]}"
