"""Suite ``relay``: more and more relays on one machine, each paired with all others, that find each other.

PostgreSQL, zeroconf on loopback. How long until all are in step; then single changes, one after the other,
each at another site: how long until the last site shows one, how many calls and bytes all relays need for
it, and how many times its entry is sent for each site that lacks it (``copies``: 1 is the least).
"""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from statistics import median

from tests.benchmark.application import VALUES, Application
from tests.benchmark.figure import Figure
from tests.benchmark.machine import Machine, say
from tests.support.pairing import pair_all
from tests.support.patience import Patience
from tests.support.relays import Relay

SITES = (2, 5, 10, 20)
CHANGES = 20
MOST_COPIES = 1.1
BOUND_S = 600.0
QUIET_S = 3.0
"""After the last change, until what it stirred has been said: less than a poll is held."""


def measure(machine: Machine) -> Iterator[Figure]:
    """Yield the figures of each number of sites."""
    for number in SITES:
        if number > 2 and number > 20 * machine.scale:
            continue
        yield from _measure_sites(machine, number)


def _measure_sites(machine: Machine, number: int) -> Iterator[Figure]:
    say(f"relay: {number} sites")
    directory = machine.directory / f"relays_{number}"
    directory.mkdir()
    sites = [Application(machine, "postgresql", f"s{number}_{n}", installed=True) for n in range(number)]
    with ExitStack() as stack:
        relays = []
        for n, site in enumerate(sites):
            stack.callback(site.family.close)
            program = [sys.executable, "-m", "tests.benchmark.counted", str(directory / f"{n}.json")]
            relays.append(Relay(f"site{n}", site.url, directory, program=program))
        pair_all(*relays)
        before = time.monotonic()
        for relay in relays:
            relay.start()
            stack.callback(relay.stop)
        for relay in relays:
            Patience().wait(lambda r=relay: _met(r, relays), f"{relay.name} to meet all", BOUND_S, 0.05)
        yield Figure(f"relay.{number}_sites_in_step_s", time.monotonic() - before)
        yield from _measure_changes(sites, directory, number)


def _met(relay: Relay, relays: list[Relay]) -> bool:
    """Return whether a relay is up to date with all others."""
    return all(relay.said(f"up to date with {other.name} ") for other in relays if other is not relay)


def _measure_changes(sites: list[Application], directory: Path, number: int) -> Iterator[Figure]:
    time.sleep(QUIET_S)
    took = []
    calls, size = _count(directory, number)
    for n, source in enumerate(islice(cycle(sites), CHANGES)):
        source.family(f"INSERT INTO person VALUES ('{n}', {VALUES.replace('{n}', str(n))})")
        before = time.monotonic()
        for site in sites:
            query = f"SELECT 1 FROM person WHERE uuid = '{n}'"
            Patience().wait(lambda s=site, q=query: s.family.rows(q), query, BOUND_S)
        took.append(time.monotonic() - before)
    time.sleep(QUIET_S)
    calls_after, size_after = _count(directory, number)
    yield Figure(f"relay.{number}_sites_visible_everywhere_median_ms", median(took) * 1000)
    yield Figure(f"relay.{number}_sites_calls_per_change", (calls_after - calls) / CHANGES)
    yield Figure(f"relay.{number}_sites_bytes_per_change", (size_after - size) / CHANGES)
    sent = sum(_sent(site) for site in sites)
    yield Figure(f"relay.{number}_sites_copies", sent / CHANGES / (number - 1), "<=", MOST_COPIES)


def _count(directory: Path, number: int) -> tuple[int, int]:
    """Return the calls of all relays so far, and their bytes."""
    found = [json.loads((directory / f"{n}.json").read_text()) for n in range(number)]
    return sum(one["calls"] for one in found), sum(one["bytes"] for one in found)


def _sent(site: Application) -> int:
    """Return how many entries a site has sent, by its journal."""
    sql = "SELECT coalesce(sum(entries), 0) FROM changecapture.exchange_log WHERE direction = 'out'"
    return int(site.family.rows(sql)[0][0])
