"""Suite ``apply``: what a site does with the changes of another, beside raw loading of the same rows.

A batch is 10,000 changed rows, half of them new and half with three columns changed, from a site of the same
kind. Figures are medians of rounds: raw loading into an empty twin, in seconds, by applying, in seconds.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from statistics import median

from changecapture.core.codec import Batch, decode_batch, encode_batch
from changecapture.memory import spare_collector
from changecapture.publish import publish
from changecapture.store import open_store
from changecapture.store.interface import Store
from changecapture.sync import Answer, PullRequest, answer, expect, follow_request, next_request, receive
from relay.messages import read_payload, write_answer
from tests.benchmark.application import Application
from tests.benchmark.figure import Figure
from tests.benchmark.machine import KINDS, Kind, Machine, say

ROUNDS = 5
ROWS = 10_000
GOALS: dict[Kind, float] = {"postgresql": 0.35, "mariadb": 0.30}
SUPPRESSED = 1.25
"""Time of the application's statements in a session of the applier / without triggers."""
BYTES_PER_ENTRY, ENTRIES_PER_S = 200, 60_000
"""Goals of the wire, for 30 % inserts and 70 % updates of three columns."""


def measure(machine: Machine) -> Iterator[Figure]:
    """Yield the figures of each kind of server, and of the wire."""
    spare_collector()  # as the programs do
    for kind in KINDS:
        yield from _measure_apply(machine, kind)
        yield from _measure_suppressed(machine, kind)
    yield from _measure_wire(machine)


def _measure_apply(machine: Machine, kind: Kind) -> Iterator[Figure]:
    half = max(50, round(ROWS * machine.scale) // 2)
    source = Application(machine, kind, "apply_source", installed=True)
    target = Application(machine, kind, "apply_target", installed=True)
    twin = Application(machine, kind, "apply_twin", installed=False)
    ratios: list[float] = []
    speeds: list[float] = []
    with closing(open_store(source.url)) as left, closing(open_store(target.url)) as right:
        source.insert(half)
        take(left, right, collect(left, right))
        for number in range(1, ROUNDS + 1):
            say(f"apply on {kind}, round {number}")
            first = number * half + 1
            changed = f"id <= {half} OR id >= {first}"
            source.update(half, f"id <= {half}")
            source.insert(half, first)
            batches = collect(left, right)
            twin.clean()
            raw = twin.load(source.text(changed), machine.directory)
            took = take(left, right, batches)
            ratios.append(raw / took)
            speeds.append(2 * half / took)
        _check_equal(source, target)
    for application in (source, target, twin):
        application.family.close()
    yield Figure(f"apply.{kind}_rows_per_s", median(speeds))
    yield Figure(f"apply.{kind}_ratio", median(ratios), ">=", GOALS[kind])


def collect(left: Store, right: Store) -> Sequence[Answer]:
    """Publish what is captured, and return it as the batches that another site gets."""
    while publish(left):
        pass
    request: PullRequest | None = next_request(right, left.read_site().origin)
    found: list[Answer] = []
    while request is not None:
        found.append(answer(left, request))
        request = follow_request(request, found[-1].payload)
    return found


def take(left: Store, right: Store, batches: Sequence[Answer]) -> float:
    """Return the seconds from payload to commit."""
    peer = left.read_site().origin
    before = time.monotonic()
    coming = [expect(right, batch.payload) for batch in batches]
    for batch in coming:
        receive(right, peer, batch)
    return time.monotonic() - before


def _check_equal(source: Application, target: Application) -> None:
    query = "SELECT count(*), sum(priority), min(note), max(note) FROM person"
    if source.family.rows(query) != target.family.rows(query):
        raise SystemExit("what was measured did not arrive: the figures mean nothing")


def _measure_suppressed(machine: Machine, kind: Kind) -> Iterator[Figure]:
    """Yield what the triggers cost a session that they let alone."""
    rows = max(100, round(ROWS * machine.scale))
    sites = [
        Application(machine, kind, f"suppressed_{name}", installed=name == "with")
        for name in ("with", "without")
    ]
    ratios: list[float] = []
    with closing(open_store(sites[0].url)) as store:
        sites[0].family.connection = store.connection
        for number in range(ROUNDS):
            took: dict[bool, float] = {}
            for site in sites[:: 1 if number % 2 else -1]:
                site.clean()
                if site.installed:
                    with store.applying():
                        took[True] = site.insert(rows) + site.update(rows)
                else:
                    took[False] = site.insert(rows) + site.update(rows)
            ratios.append(took[True] / took[False])
        if store.count_captured():
            raise SystemExit("capture was not switched off: the figure means nothing")
    yield Figure(f"apply.{kind}_suppressed_capture_ratio", median(ratios), "<=", SUPPRESSED)


def _measure_wire(machine: Machine) -> Iterator[Figure]:
    """Yield the size of an entry, and how fast batches are made, called across and read; the network, TLS
    and both databases are left out."""
    rows = max(100, round(ROWS * machine.scale))
    old = rows * 7 // 10
    source = Application(machine, "postgresql", "wire_source", installed=True)
    target = Application(machine, "postgresql", "wire_target", installed=True)
    with closing(open_store(source.url)) as left, closing(open_store(target.url)) as right:
        source.insert(old)
        take(left, right, collect(left, right))
        source.update(old)
        source.insert(rows - old, old + 1)
        payloads = [batch.payload for batch in collect(left, right)]
    source.family.close()
    target.family.close()
    speeds: list[float] = []
    for _ in range(ROUNDS):
        before = time.monotonic()
        batches: list[Batch] = [decode_batch(read_payload(write_answer(payload))) for payload in payloads]
        payloads = [encode_batch(batch) for batch in batches]
        speeds.append(rows / (time.monotonic() - before))
    if sum(len(batch.entries) for batch in batches) != rows:
        raise SystemExit("the batches do not hold what was written: the figures mean nothing")
    size = sum(map(len, payloads)) / rows
    yield Figure("apply.wire_bytes_per_entry", size, "<=", BYTES_PER_ENTRY)
    yield Figure("apply.wire_entries_per_s", median(speeds), ">=", ENTRIES_PER_S)
