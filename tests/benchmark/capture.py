"""Suite ``capture``: what the triggers cost the application, as time with them / time without.

A table of 21 columns in two databases, one installed; the same statements in both, turn by turn, the order
changing each round: the median of the ratios within a round. A goal in absolute time would measure the
machine. Deletes on PostgreSQL are compared with captured inserts: without triggers they take next to nothing.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import count
from statistics import median

from changecapture.config import parse_url
from changecapture.install import install
from tests.benchmark.figure import Figure
from tests.benchmark.machine import KINDS, Kind, Machine, say
from tests.support.family import Family

ROUNDS = 7
ROWS = 10_000
SINGLE = 200
"""Statements with a commit each."""
TOGETHER = 10
"""Transactions of 100 statements."""
GOALS: dict[Kind, dict[str, float]] = {
    "postgresql": {"insert": 2.5, "update": 3.0, "autocommit": 1.6, "transactions": 1.6},
    "mariadb": {"insert": 2.2, "update": 3.0, "delete": 6.0, "autocommit": 1.5, "transactions": 1.5},
}
DELETE_PER_INSERT = 1.5

NAMES = [f"name_{n}" for n in range(6)]
COLUMNS = (
    "uuid varchar(128) NOT NULL PRIMARY KEY, id integer UNIQUE, "
    + ", ".join(f"{name} varchar(64)" for name in NAMES)
    + ", born date, met date, left_on date, note text, remark text, adult boolean, latitude float, "
    "longitude float, priority integer, created_on timestamp NULL, modified_on timestamp NULL, "
    "approved_by integer, owned_by integer"
)
VALUES = (
    "{{n}}, " + ", ".join(f"{{concat}}'{name} ', {{{{n}}}})" for name in NAMES) + ", '1980-01-01', "
    "'2026-01-01', NULL, 'lorem ipsum dolor sit amet consetetur sadipscing elitr sed diam nonumy', "
    "'eirmod tempor invidunt ut labore et dolore magna aliquyam erat sed diam voluptua', TRUE, 12.5, 77.25, "
    "3, '2026-01-01 10:00:00', '2026-01-01 10:00:00', 7, 8"
).format(concat="concat(")


def measure(machine: Machine) -> Iterator[Figure]:
    """Yield the ratios of each kind of server."""
    for kind in KINDS:
        yield from _measure(machine, kind)


def _measure(machine: Machine, kind: Kind) -> Iterator[Figure]:
    sites = {name: Application(machine, kind, installed=name == "with") for name in ("without", "with")}
    ratios: dict[str, list[float]] = defaultdict(list)
    for number in range(max(1, round(ROUNDS * machine.scale))):
        say(f"capture on {kind}, round {number + 1}")
        order = list(sites) if number % 2 else list(sites)[::-1]
        for name in order:
            sites[name].clean()
        rows = max(100, round(ROWS * machine.scale))
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


class Application:
    """One of the two databases, and the application's session in it."""

    def __init__(self, machine: Machine, kind: Kind, *, installed: bool) -> None:
        server = machine.servers[kind]
        name = f"capture_{'with' if installed else 'without'}"
        server.create_database(name)
        url = server.url(name)
        self.postgresql = kind == "postgresql"
        self.prefix = "changecapture." if self.postgresql else "changecapture_"
        self.installed = installed
        self.family = Family(url)
        self.family(f"CREATE TABLE person ({COLUMNS})")
        self.family("CREATE INDEX by_name ON person (name_0)")
        self.numbers = count(1_000_000)
        if installed:
            install(parse_url(url), "generic")

    def clean(self) -> None:
        """Empty what the round before has left."""
        self.family("DELETE FROM person")
        if self.installed:
            self.family(f"TRUNCATE {self.prefix}captured")

    def run(self, statements: Callable[[], None]) -> float:
        """Return the seconds that it takes."""
        before = time.monotonic()
        statements()
        return time.monotonic() - before

    def insert(self, rows: int) -> float:
        """Insert rows in one statement."""
        source = f"generate_series(1, {rows}) AS s(seq)" if self.postgresql else f"seq_1_to_{rows}"
        values = VALUES.format(n="seq")
        statement = f"INSERT INTO person SELECT concat('urn:uuid:', seq), {values} FROM {source}"
        if self.postgresql:
            statement = statement.replace(
                "'1980-01-01', '2026-01-01', NULL,", "date '1980-01-01', date '2026-01-01', NULL::date,"
            )
            statement = statement.replace("'2026-01-01 10:00:00'", "timestamp '2026-01-01 10:00:00'")
        return self.run(lambda: self.family(statement))

    def update(self, rows: int) -> float:
        """Change three columns of all rows in one statement."""
        statement = (
            "UPDATE person SET note = concat('a note of ', id), priority = priority + 1, "
            "modified_on = '2026-02-02 11:00:00'"
        )
        return self.run(lambda: self.family(statement))

    def delete(self, rows: int) -> float:
        """Delete all rows in one statement."""
        return self.run(lambda: self.family("DELETE FROM person"))

    def autocommit(self, rows: int) -> float:
        """Insert, change and delete single rows, a commit each."""
        return self.run(lambda: self._write(SINGLE))

    def transactions(self, rows: int) -> float:
        """The same, a hundred statements to a transaction."""

        def write() -> None:
            for _ in range(TOGETHER):
                self.family("BEGIN")
                self._write(100)
                self.family("COMMIT")

        return self.run(write)

    def _write(self, statements: int) -> None:
        for _ in range(statements // 3):
            number = next(self.numbers)
            self.family(f"INSERT INTO person VALUES ('{number}', {VALUES.replace('{n}', str(number))})")
            self.family(f"UPDATE person SET note = 'new', priority = 9, name_1 = 'x' WHERE uuid = '{number}'")
            self.family(f"DELETE FROM person WHERE uuid = '{number}'")


JOBS: dict[str, Callable[[Application, int], float]] = {
    "insert": Application.insert,
    "update": Application.update,
    "delete": Application.delete,
    "autocommit": Application.autocommit,
    "transactions": Application.transactions,
}
