"""The application of the suites that measure single steps: one table of 21 columns, about 690 bytes a row."""

import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

from changecapture.config import parse_url
from changecapture.install import install
from tests.benchmark.machine import Kind, Machine
from tests.support.databases import connect_mysql
from tests.support.family import Family

SINGLE = 200
"""Statements with a commit each."""
TOGETHER = 10
"""Transactions of 100 statements."""

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


class Application:
    """A database with one table of 21 columns, and the application's session in it."""

    def __init__(self, machine: Machine, kind: Kind, name: str, *, installed: bool) -> None:
        server = machine.servers[kind]
        server.create_database(name)
        self.url = server.url(name)
        self.postgresql = kind == "postgresql"
        self.prefix = "changecapture." if self.postgresql else "changecapture_"
        self.installed = installed
        self.family = Family(self.url)
        self.family(f"CREATE TABLE person ({COLUMNS})")
        self.family("CREATE INDEX by_name ON person (name_0)")
        self.numbers = count(1_000_000)
        if installed:
            install(parse_url(self.url), "generic")

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

    def insert(self, rows: int, first: int = 1) -> float:
        """Insert rows, numbered from ``first``, in one statement."""
        last = first + rows - 1
        source = (
            f"generate_series({first}, {last}) AS s(seq)" if self.postgresql else f"seq_{first}_to_{last}"
        )
        values = VALUES.format(n="seq")
        statement = f"INSERT INTO person SELECT concat('urn:uuid:', seq), {values} FROM {source}"
        if self.postgresql:
            statement = statement.replace(
                "'1980-01-01', '2026-01-01', NULL,", "date '1980-01-01', date '2026-01-01', NULL::date,"
            )
            statement = statement.replace("'2026-01-01 10:00:00'", "timestamp '2026-01-01 10:00:00'")
        return self.run(lambda: self.family(statement))

    def fill_source(self, rows: int) -> None:
        """Make a table, not synced, of as many rows to copy from."""
        self.insert(rows)
        self.family("CREATE TABLE source AS SELECT * FROM person")

    def copy_source(self, rows: int) -> float:
        """Insert the rows of the source in one statement."""
        return self.run(lambda: self.family("INSERT INTO person SELECT * FROM source"))

    def rename(self, rows: int) -> float:
        """Change three columns of all rows, a name that has an index among them, in one statement."""
        statement = (
            "UPDATE person SET name_0 = concat(name_0, 'x'), latitude = latitude + 1, "
            "modified_on = '2026-03-03 12:00:00' WHERE adult"
        )
        return self.run(lambda: self.family(statement))

    def update(self, rows: int, condition: str = "TRUE") -> float:
        """Change three columns of rows, of all unless told, in one statement."""
        statement = (
            "UPDATE person SET note = concat('a note of ', id), priority = priority + 1, "
            f"modified_on = '2026-02-02 11:00:00' WHERE {condition}"
        )
        return self.run(lambda: self.family(statement))

    def delete(self, rows: int) -> float:
        """Delete all rows in one statement."""
        return self.run(lambda: self.family("DELETE FROM person WHERE adult"))

    def text(self, condition: str = "TRUE") -> str:
        """Return rows as what COPY and LOAD DATA read."""
        rows = self.family.rows(f"SELECT * FROM person WHERE {condition}")
        return "".join("\t".join("\\N" if v is None else str(v) for v in row) + "\n" for row in rows)

    def load(self, text: str, directory: Path) -> float:
        """Load rows by COPY or LOAD DATA LOCAL."""
        if self.postgresql:
            return self.run(lambda: self._copy(text))
        file = directory / "person.tsv"
        file.write_text(text)
        with connect_mysql(self.url, local_infile=True) as connection, connection.cursor() as cursor:
            return self.run(lambda: cursor.execute(f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE person"))

    def _copy(self, text: str) -> None:
        with self.family.connection.cursor() as cursor, cursor.copy("COPY person FROM STDIN") as copy:
            copy.write(text)

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
