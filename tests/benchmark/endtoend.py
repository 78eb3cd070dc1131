"""Suite ``endtoend``: from the application's commit at one site to visible at another, through two relays.

PostgreSQL to PostgreSQL, both servers, both relays and the applications on this machine, over loopback.
"""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from tests.benchmark.application import VALUES, Application
from tests.benchmark.figure import Figure
from tests.benchmark.machine import Machine, say
from tests.support.pairing import pair_all
from tests.support.patience import LOOK_S, Patience
from tests.support.relays import Relay

GROWTH = (10_000, 100_000, 1_000_000)
"""Rows inserted by one statement each: cost must grow as they do."""
LINEAR = 1.5
"""What a row of the largest load may cost, measured in rows of the smallest."""
MEASURED = 100_000
INSERTS, UPDATES = 0.25, 0.125
"""Rows per second by those of a raw COPY of the same rows."""
CHANGED = 10_000
SINGLE, LATENCY_MS = 50, 150
IDLE_S, IDLE_PERCENT = 20.0, 1.0
BOUND_S = 1200.0
SELDOM_S = 0.05
"""Between two looks that count rows: each reads the table."""


def measure(machine: Machine) -> Iterator[Figure]:
    """Yield speed, growth, latency and what two idle relays take."""
    source = Application(machine, "postgresql", "here", installed=True)
    target = Application(machine, "postgresql", "there", installed=True)
    twin = Application(machine, "postgresql", "twin", installed=False)
    with ExitStack() as stack:
        relays = [Relay(name, a.url, machine.directory) for name, a in (("here", source), ("there", target))]
        pair_all(*relays)
        for relay in relays:
            stack.callback(relay.stop)
            relay.start()
        source.insert(1)
        _wait(target, "SELECT 1 FROM person WHERE id = 1")
        yield from _measure_latency(source, target)
        yield from _measure_idle(relays)
        costs: list[float] = []
        first = 2
        for size in GROWTH:
            rows = max(100, round(size * machine.scale))
            say(f"endtoend: {rows} inserts")
            took = _insert(source, target, rows, first)
            costs.append(took / rows)
            yield Figure(f"endtoend.insert_{size}_us_per_row", took / rows * 1e6)
            if size == MEASURED:
                raw = twin.load(source.text(f"id >= {first}"), machine.directory)
                yield Figure("endtoend.insert_ratio", raw / took, ">=", INSERTS)
                yield _measure_updates(source, target, max(100, round(CHANGED * machine.scale)), rows / raw)
            first += rows
        yield Figure("endtoend.growth_ratio", costs[-1] / costs[0], "<=", LINEAR)
    for application in (source, target, twin):
        application.family.close()


def _insert(source: Application, target: Application, rows: int, first: int) -> float:
    """Insert rows in one statement; return the seconds from its commit until all are there."""
    source.insert(rows, first)
    before = time.monotonic()
    _wait(target, f"SELECT 1 FROM person WHERE id = {first + rows - 1}")
    _wait(target, f"SELECT 1 FROM person HAVING count(*) = {first + rows - 1}", SELDOM_S)
    return time.monotonic() - before


def _measure_updates(source: Application, target: Application, rows: int, raw: float) -> Figure:
    """Return the rows per second of scattered updates by those of raw COPY."""
    say(f"endtoend: {rows} scattered updates")
    source.update(rows, f"id % 10 = 0 AND id <= {rows * 10}")
    before = time.monotonic()
    last, changed = source.family.rows("SELECT max(id), count(*) FROM person WHERE note LIKE 'a note of %'")[
        0
    ]
    _wait(target, f"SELECT 1 FROM person WHERE id = {last} AND note LIKE 'a note of %'")
    _wait(target, f"SELECT 1 FROM person WHERE note LIKE 'a note of %' HAVING count(*) = {changed}", SELDOM_S)
    return Figure("endtoend.update_ratio", changed / (time.monotonic() - before) / raw, ">=", UPDATES)


def _measure_latency(source: Application, target: Application) -> Iterator[Figure]:
    """Yield the median of single rows, from commit to visible, one after the other."""
    took: list[float] = []
    for _ in range(SINGLE):
        number = next(source.numbers) + 2_000_000
        source.family(f"INSERT INTO person VALUES ('{number}', {VALUES.replace('{n}', str(number))})")
        before = time.monotonic()
        _wait(target, f"SELECT 1 FROM person WHERE uuid = '{number}'")
        took.append(time.monotonic() - before)
    source.family("DELETE FROM person WHERE id > 2000000")
    _wait(target, "SELECT 1 FROM person HAVING max(id) < 2000000")
    yield Figure("endtoend.commit_to_visible_median_ms", median(took) * 1000, "<=", LATENCY_MS)


def _measure_idle(relays: list[Relay]) -> Iterator[Figure]:
    """Yield what the busier of two idle relays takes of a processor."""
    before = [_read_seconds(relay.pid) for relay in relays]
    time.sleep(IDLE_S)
    used = max(_read_seconds(relay.pid) - was for relay, was in zip(relays, before, strict=True))
    yield Figure("endtoend.idle_relay_percent", used / IDLE_S * 100, "<=", IDLE_PERCENT)


def _read_seconds(pid: int) -> float:
    """Return the processor time of a process (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wait(application: Application, query: str, look_s: float = LOOK_S) -> None:
    Patience().wait(lambda: application.family.rows(query), query, BOUND_S, look_s)
