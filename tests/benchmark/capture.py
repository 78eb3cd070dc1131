"""Suite ``capture``: what the triggers cost the application, as time with them / time without.

A table of 21 columns in two databases, one installed; the same statements in both, turn by turn, the order
changing each round: the median of the ratios within a round. A goal in absolute time would measure the
machine. The statements are those of the measurement that the goals came from: rows copied from a table; an
indexed name and two other columns changed; conditions that are no index's. What a set-based update of three
columns without an index costs is shown too, without a goal: it takes next to nothing without triggers, as
deletes do on PostgreSQL, which are compared with captured inserts.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from statistics import median

from tests.benchmark.application import Application
from tests.benchmark.figure import Figure
from tests.benchmark.machine import KINDS, Kind, Machine, say

ROUNDS = 7
ROWS = 10_000
GOALS: dict[Kind, dict[str, float]] = {
    "postgresql": {"insert": 2.5, "update": 3.0, "autocommit": 1.6, "transactions": 1.6},
    "mariadb": {"insert": 2.2, "update": 3.0, "delete": 6.0, "autocommit": 1.5, "transactions": 1.5},
}
DELETE_PER_INSERT = 1.5


def measure(machine: Machine) -> Iterator[Figure]:
    """Yield the ratios of each kind of server."""
    for kind in KINDS:
        yield from _measure(machine, kind)


def _measure(machine: Machine, kind: Kind) -> Iterator[Figure]:
    sites = {
        name: Application(machine, kind, f"capture_{name}", installed=name == "with")
        for name in ("without", "with")
    }
    rows = max(100, round(ROWS * machine.scale))
    for site in sites.values():
        site.fill_source(rows)
    ratios: dict[str, list[float]] = defaultdict(list)
    for number in range(max(1, round(ROUNDS * machine.scale))):
        say(f"capture on {kind}, round {number + 1}")
        order = list(sites) if number % 2 else list(sites)[::-1]
        for name in order:
            sites[name].clean()
        took: dict[str, dict[str, float]] = defaultdict(dict)
        for job in JOBS:
            for name in order:
                took[job][name] = JOBS[job](sites[name], rows)
        for job, seconds in took.items():
            ratios[job].append(seconds["with"] / seconds["without"])
        ratios["delete_per_insert"].append(took["delete"]["with"] / took["insert"]["with"])
    for site in sites.values():
        site.family.close()
    for job in JOBS:
        yield Figure(f"capture.{kind}_{job}_ratio", median(ratios[job]), "<=", GOALS[kind].get(job))
    goal = DELETE_PER_INSERT if kind == "postgresql" else None
    yield Figure(f"capture.{kind}_delete_per_insert_ratio", median(ratios["delete_per_insert"]), "<=", goal)


JOBS: dict[str, Callable[[Application, int], float]] = {
    "insert": Application.copy_source,
    "unindexed_update": Application.update,
    "update": Application.rename,
    "delete": Application.delete,
    "autocommit": Application.autocommit,
    "transactions": Application.transactions,
}
