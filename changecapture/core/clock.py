"""Stamps: a hybrid logical clock per row.

A stamp is microseconds since 1970 UTC. A change gets the time at which it was captured, but never less
than one more than the row's previous stamp: an edit made after seeing a version beats it even when the
local clock is slow. There is no global clock: it would serialise all writers.
"""

from datetime import UTC, datetime, timedelta

from changecapture.errors import PeerError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_STAMP = 7_258_118_400_000_000
"""2200-01-01 UTC. A later stamp is refused as malformed: no clock is that wrong."""

UNDATED = 1_000_000
"""Stamps below are of rows from before the installation whose age nobody kept: no clock gives them."""


def next_stamp(captured_at: int, previous: int) -> int:
    """Return the stamp of a change captured at that time to a row whose latest stamp is ``previous``."""
    return min(max(captured_at, previous + 1, 1), LATEST_STAMP)


def check_stamp(stamp: int) -> int:
    """Return the stamp; raise PeerError when no honest site could have made it."""
    if not 0 < stamp <= LATEST_STAMP:
        raise PeerError(f"stamp {stamp} is not between 1970 and 2200")
    return stamp


def show_time(stamp: int) -> str:
    """Return a stamp as ISO 8601 in UTC, exactly."""
    moment = _EPOCH + timedelta(microseconds=stamp)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def read_time(text: str) -> int:
    """Return microseconds since 1970 of a time as people write it: a date, or a date and a time, in UTC where
    no zone is named. Raises ValueError."""
    moment = datetime.fromisoformat(text.strip())
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)
