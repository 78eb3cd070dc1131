"""Suite ``sync``: 100,000 persons with contacts into an empty site, in all four directions.

From captured to shown, publishing included: what ``changecapture sync`` does. Beside it the plainest
way to get the same rows into an equal database without change capture on the target's server: COPY or
LOAD DATA LOCAL, measured right before and right after.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from statistics import mean

from changecapture.memory import spare_collector
from changecapture.pair import synchronise_apart
from changecapture.store import open_store
from tests.benchmark.figure import Figure
from tests.benchmark.machine import KINDS, Kind, Machine, say
from tests.benchmark.people import COLUMNS, load_people
from tests.support.databases import fetch

PERSONS = 100_000
PER_TRANSACTION = 5_000
GOAL = 0.1


def measure(machine: Machine) -> Iterator[Figure]:
    """Yield rows per second and the ratio, for each direction."""
    spare_collector()  # as the command does
    for source in KINDS:
        for target in KINDS:
            yield from measure_direction(machine, source, target)


def measure_direction(machine: Machine, source: Kind, target: Kind) -> Iterator[Figure]:
    """Yield the figures of one direction."""
    persons = max(100, round(PERSONS * machine.scale))
    name = f"sync.{source}_to_{target}"
    say(f"{name}: two sites, {persons} persons captured at one")
    ours, theirs = machine.build_site(source), machine.build_site(target)
    load_people(ours, persons, machine.directory, PER_TRANSACTION)
    raw = [load_raw(machine, target, persons)]
    say(f"{name}: synchronise")
    rows, took = synchronise_sites(ours, theirs)
    raw.append(load_raw(machine, target, persons))
    check(theirs, persons)
    machine.drop(source, ours)
    machine.drop(target, theirs)
    plain = "copy" if target == "postgresql" else "load_data"
    yield Figure(f"{name}_rows_per_s", rows / took)
    yield Figure(f"{name}_raw_{plain}_rows_per_s", rows / mean(raw))
    yield Figure(f"{name}_ratio", mean(raw) / took, ">=", GOAL)


def synchronise_sites(source: str, target: str) -> tuple[int, float]:
    """Return how many entries travelled, and the seconds."""
    with closing(open_store(source)) as left, closing(open_store(target)) as right:
        before = time.monotonic()
        entries = synchronise_apart(left, right)
        return entries, time.monotonic() - before


def load_raw(machine: Machine, kind: Kind, persons: int) -> float:
    """Return the seconds that the rows take into an equal database without change capture."""
    url = machine.build(kind)
    took = load_people(url, persons, machine.directory, persons)
    machine.drop(kind, url)
    return took


def check(url: str, persons: int) -> None:
    """Fail when the rows did not come, with their references: a figure would mean nothing."""
    query = "SELECT count(*) FROM pr_contact AS c JOIN pr_person AS p ON p.pe_id = c.pe_id"
    ((arrived,),) = fetch(url, query)
    if arrived != persons:
        raise SystemExit(f"{arrived} of {persons} persons have arrived")
    for table in COLUMNS:
        if fetch(url, f"SELECT count(*) FROM {table}") != [(persons,)]:
            raise SystemExit(f"{table} has not {persons} rows")
