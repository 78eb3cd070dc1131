"""Suite ``memory``: the peak memory of two relay processes that carry 1,000,000 waiting changes."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from tests.benchmark.figure import Figure
from tests.benchmark.machine import KINDS, Kind, Machine, say
from tests.benchmark.people import ROWS_EACH, load_people
from tests.support.databases import fetch
from tests.support.pairing import pair_all
from tests.support.patience import Patience
from tests.support.relays import Relay

CHANGES = 1_000_000
PER_TRANSACTION = 5_000
GOAL_MB = 150
BOUND_S = 1800
LOOK_S = 0.5


def measure(machine: Machine) -> Iterator[Figure]:
    """Yield the peaks, from each kind of database into the other: each kind is read and written."""
    for source, target in (KINDS, KINDS[::-1]):
        yield from measure_direction(machine, source, target)


def measure_direction(machine: Machine, source: Kind, target: Kind) -> Iterator[Figure]:
    """Yield the peaks of both relays, and how long it took."""
    persons = max(100, round(CHANGES * machine.scale / ROWS_EACH))
    name = f"memory.{source}_to_{target}"
    say(f"{name}: two sites, {persons * ROWS_EACH} changes captured at one")
    urls = (machine.build_site(source), machine.build_site(target))
    load_people(urls[0], persons, machine.directory, PER_TRANSACTION)
    say(f"{name}: the relays carry them")
    with ExitStack() as stack:
        relays = [Relay(f"site{n}", url, machine.directory) for n, url in enumerate(urls)]
        pair_all(*relays)
        before = time.monotonic()
        for relay in relays:
            stack.callback(relay.stop)
            relay.start()
        wait_for_rows(urls[1], persons)
        took = time.monotonic() - before
        for relay, role in zip(relays, ("source", "target"), strict=True):
            yield Figure(f"{name}_{role}_peak_mb", read_peak(relay.pid), "<=", GOAL_MB)
        for relay in relays:
            for line in relay.lines:
                if "received" not in line:
                    say(f"{relay.name}: {line}")
    yield Figure(f"{name}_changes_per_s", persons * ROWS_EACH / took)
    for kind, url in zip((source, target), urls, strict=True):
        machine.drop(kind, url)


def wait_for_rows(url: str, persons: int) -> None:
    """Wait until every contact is there; each is the last of its person to come."""
    last = f"SELECT 1 FROM pr_contact WHERE uuid = 'urn:uuid:c{persons:032}'"
    every = "SELECT count(*) FROM pr_contact WHERE pe_id IS NOT NULL"

    def arrived() -> bool:
        return bool(fetch(url, last)) and fetch(url, every) == [(persons,)]

    Patience().wait(arrived, "the changes to arrive", BOUND_S, LOOK_S)


def read_peak(pid: int) -> float:
    """Return the most memory that a process has had, in MB (Linux)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit("the kernel does not say how much memory a process has had")
