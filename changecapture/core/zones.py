"""Local times: what an application writes by its own clock on the wall, and the UTC that travels.

Eden writes UTC; PHP writes the time of its site. A profile that says so (``time_zone``) makes the datetimes
of such a site travel as UTC and be shown elsewhere by the clock there. Two hours a year have no plain answer:

- What the clocks skipped (02:30 on the night when 02:00 became 03:00) never was. It travels as it stands,
  with the name of its zone, and is shown where the zone is the same; elsewhere its row is parked.
- What the clocks showed twice is the first of the two. The second cannot be written in that zone: it would
  be read back as the first, an hour off. Its row is parked there, and goes on to others.

What is no moment at all (0000-00-00, infinity) travels as it stands.
"""

from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

SECONDS = len("2024-01-01T00:00:00")


@cache
def find_zone(name: str) -> ZoneInfo:
    """Return the zone of an IANA name (Asia/Colombo). Raises ValueError when there is none."""
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, ValueError) as error:
        raise ValueError(f"no time zone {name!r}") from error


def to_utc(zone: str, text: str) -> str:
    """Return the canonical text of a canonical local time."""
    moment = _parse(text)
    if moment is None:
        return text
    try:
        utc = moment.replace(tzinfo=find_zone(zone)).astimezone(UTC)
        skipped = utc.astimezone(find_zone(zone)).replace(tzinfo=None) != moment
    except OverflowError:
        skipped = True
    return f"{text} {zone}" if skipped else _print(utc, text)


def to_local(zone: str, text: str) -> str:
    """Return the local time of a canonical one. Raises ValueError when no clock there shows it alone."""
    local, clear = show_local(zone, text)
    if not clear:
        raise ValueError(f"{text!r:.80} is the second {local!r:.80} of that night in {zone}")
    return local


def show_local(zone: str, text: str) -> tuple[str, bool]:
    """Return what a clock in the zone shows, and whether it shows that at no other time.

    Raises ValueError for a time that the clocks of another zone skipped.
    """
    if text.endswith(f" {zone}"):
        return text[: -len(zone) - 1], True
    check_moment(text)
    moment = _parse(text)
    if moment is None:
        return text, True
    try:
        local = moment.replace(tzinfo=UTC).astimezone(find_zone(zone))
    except OverflowError as error:
        raise ValueError(f"{text!r:.80} is beyond the calendar of {zone}") from error
    return _print(local, text), local.fold == 0


def check_moment(text: str) -> None:
    """Raise ValueError for a time that the clocks of some zone skipped: it is none here."""
    if " " in text and not text.endswith(" BC"):
        raise ValueError(f"the clocks skipped {text!r:.80}: there is no such time here")


def local_to_utc(zone: str, microseconds: int) -> int:
    """Return the microseconds since 1970 UTC when clocks in a zone show this many since 1970."""
    seconds, fraction = divmod(microseconds, 1_000_000)
    shown = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=find_zone(zone))
    return int(shown.timestamp()) * 1_000_000 + fraction


def _parse(text: str) -> datetime | None:
    """Return the moment, to the second, that a canonical text names; None when it is none."""
    try:
        return datetime.strptime(text[:SECONDS], "%Y-%m-%dT%H:%M:%S") if text[SECONDS:] != " BC" else None
    except ValueError:
        return None


def _print(moment: datetime, text: str) -> str:
    """Return a moment with the fraction of a second that a text has."""
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + text[SECONDS:]
