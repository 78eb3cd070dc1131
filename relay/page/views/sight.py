"""How a site stands: one look at its database."""

from collections.abc import Mapping
from dataclasses import dataclass

from changecapture.status import Status, read_status
from changecapture.store.sqlstore import SqlStore

HOUR = 3_600_000_000
HOURS = 24


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was exchanged with one peer in the last day: when last, and what failed last."""

    received_at: int | None = None
    sent_at: int | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at the database. ``flow``: (entries in, entries out) of each of the last 24 hours."""

    status: Status
    flow: tuple[tuple[int, int], ...]
    traffic: Mapping[str, Traffic]
    to_come: Mapping[str, int]


def read_sight(store: SqlStore) -> Sight:
    """Return how the site stands."""
    status = read_status(store)
    rows = store.query(
        f"SELECT peer, direction, entries, ended_at, outcome FROM {store.prefix}exchange_log "
        "WHERE ended_at > %s ORDER BY id",
        (status.now - HOURS * HOUR,),
    )
    flow = [[0, 0] for _ in range(HOURS)]
    traffic: dict[str, Traffic] = {}
    for peer, direction, entries, ended_at, outcome in rows:
        hour = min(HOURS - 1, max(0, (status.now - int(ended_at)) // HOUR))
        flow[HOURS - 1 - hour][direction != "in"] += int(entries)
        traffic[peer] = _follow(traffic.get(peer, Traffic()), direction, int(entries), int(ended_at), outcome)
    return Sight(status, tuple((i, o) for i, o in flow), traffic, _read_to_come(store))


def _follow(before: Traffic, direction: str, entries: int, ended_at: int, outcome: str) -> Traffic:
    received_at = ended_at if direction == "in" and entries else before.received_at
    sent_at = ended_at if direction != "in" and entries else before.sent_at
    return Traffic(received_at, sent_at, "" if outcome == "done" else str(outcome))


def _read_to_come(store: SqlStore) -> dict[str, int]:
    """Return how many entries a pull that is under way has still to fetch, of each peer."""
    found: dict[str, int] = {}
    for name, position, end in store.query(f"SELECT site, position, end_position FROM {store.prefix}peer"):
        site = str(name).partition("/")[0]
        found[site] = found.get(site, 0) + max(0, int(end) - int(position)) * (int(end) > 0)
    return found
