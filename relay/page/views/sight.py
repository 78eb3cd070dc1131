"""How a site stands: one look at its database."""

from collections.abc import Mapping
from dataclasses import dataclass

from changecapture.status import Status, read_status
from changecapture.store.records import DONE, Exchanged
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


def read_sight(store: SqlStore) -> Sight:
    """Return how the site stands."""
    status = read_status(store)
    flow = [[0, 0] for _ in range(HOURS)]
    traffic: dict[str, Traffic] = {}
    for done in store.read_exchanges_since(status.now - HOURS * HOUR):
        hour = min(HOURS - 1, max(0, (status.now - done.ended_at) // HOUR))
        flow[HOURS - 1 - hour][done.direction != "in"] += done.entries
        traffic[done.peer] = _follow(traffic.get(done.peer, Traffic()), done)
    return Sight(status, tuple((i, o) for i, o in flow), traffic)


def _follow(before: Traffic, done: Exchanged) -> Traffic:
    received_at = done.ended_at if done.direction == "in" and done.entries else before.received_at
    sent_at = done.ended_at if done.direction != "in" and done.entries else before.sent_at
    return Traffic(received_at, sent_at, "" if done.outcome == DONE else done.outcome)
