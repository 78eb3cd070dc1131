"""Suite ``compact``: a log of 1,000,000 entries of 10,000 rows is compacted beside an application.

It writes the same rows meanwhile. Told are the time, the memory, what is left, and how long its writes take.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from statistics import median, quantiles
from threading import Event
from typing import TypeVar

from changecapture.author import Author
from changecapture.core.change import Row, Version, add_names
from changecapture.core.values import dump
from changecapture.publish import publish
from changecapture.store import open_store
from changecapture.store.interface import Store
from tests.benchmark.application import Application
from tests.benchmark.figure import Figure
from tests.benchmark.machine import KINDS, Kind, Machine, say
from tests.support.family import Family

T = TypeVar("T")

ROWS = 10_000
EDITS = 99
"""Of each row, after its insert."""
WRITTEN = ("name_0", "name_1", "note")
"""What they write, in turn."""
PER_PASS = 2_000
WRITE_S = 0.005
"""Between two writes of the application."""
QUIET_S = 5.0
GOAL_MB = 150
GOAL_MS = 200
"""As long as one apply transaction may take. The slowest of all also tells what the disk does."""


def measure(machine: Machine) -> Iterator[Figure]:
    """Yield the figures of both kinds."""
    for kind in KINDS:
        yield from measure_kind(machine, kind)


def measure_kind(machine: Machine, kind: Kind) -> Iterator[Figure]:
    """Yield the figures of one kind."""
    rows = max(100, round(ROWS * machine.scale))
    application = Application(machine, kind, f"compact_{kind}", installed=True)
    name = f"compact.{kind}"
    say(f"{name}: {rows} rows, {rows * (1 + EDITS)} entries")
    application.insert(rows)
    with closing(open_store(application.url)) as store:
        while publish(store):
            pass
        write_edits(store, rows)
        before = store.count_entries()
        quiet, _ = write_beside(application.url, rows, lambda: time.sleep(QUIET_S))
        beside, (took, peak) = write_beside(application.url, rows, lambda: run_compact(application.url))
        left = store.count_entries()
    yield Figure(f"{name}_s", took)
    yield Figure(f"{name}_entries_per_s", before / took)
    yield Figure(f"{name}_peak_mb", peak, "<=", GOAL_MB)
    # The insert, for what nobody wrote again, and the last entry of each of the others.
    yield Figure(f"{name}_left_per_row", left / rows, "<=", 1 + len(WRITTEN))
    yield Figure(f"{name}_write_quiet_ms", median(quiet))
    yield Figure(f"{name}_write_beside_ms", median(beside))
    yield Figure(f"{name}_write_quiet_99_of_100_ms", quantiles(quiet, n=100)[-1])
    yield Figure(f"{name}_write_beside_99_of_100_ms", quantiles(beside, n=100)[-1], "<=", GOAL_MS)
    yield Figure(f"{name}_slowest_write_beside_ms", max(beside))
    application.family.close()
    machine.drop(kind, application.url)


def write_edits(store: Store, rows: int) -> None:
    """Write edits of the rows into the log, as publish does; the table need not show them for this."""
    scope = store.tables_by_wire["person"].scope
    everyone = [Row("person", f"urn:uuid:{number}") for number in range(1, rows + 1)]
    for edit in range(EDITS):
        text = dump({WRITTEN[edit % len(WRITTEN)]: f"edit {edit}"})
        for first in range(0, rows, PER_PASS):
            _write_pass(store, everyone[first : first + PER_PASS], scope, text)


def _write_pass(store: Store, rows: Sequence[Row], scope: str, text: str) -> None:
    with store.lock(), store.snapshot():
        author, known = Author(store), store.read_versions(rows)
        versions: dict[Row, Version] = {}
        for row in rows:
            version = known[row]
            made = author.write(row, scope, text, stamp=version.stamp + 1, base=version.seen)
            seen = add_names(version.seen, made)
            versions[row] = version._replace(stamp=version.stamp + 1, seen=seen)
        store.append_entries(author.entries, applied=True)
        store.write_versions(versions, dict(known))
        author.keep_names()
        author.claim()


def write_beside(url: str, rows: int, job: Callable[[], T]) -> tuple[list[float], T]:
    """Do a job while the application writes; return how long each write took (ms), and the outcome."""
    ended, took = Event(), list[float]()

    def write() -> None:
        with closing(Family(url)) as application:
            number = 0
            while not ended.wait(WRITE_S):
                number = number % rows + 1
                before = time.monotonic()
                application("UPDATE person SET remark = %s WHERE id = %s", f"write {number}", number)
                took.append((time.monotonic() - before) * 1000)

    with ThreadPoolExecutor(1) as threads:
        writer = threads.submit(write)
        try:
            outcome = job()
        finally:
            ended.set()
        writer.result()
    return took, outcome


def run_compact(url: str) -> tuple[float, float]:
    """Run ``changecapture compact``; return how many seconds it took, and its peak memory (MB)."""
    command = [sys.executable, "-m", "changecapture", "compact", url, "--keep", "0", "--json"]
    before = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        text = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"compact failed: {text.decode()}")
    say(f"compact says {json.loads(text)}")
    return time.monotonic() - before, usage.ru_maxrss * 1024 / 1e6
