"""A relay whose database has no room on its disk: a disk of 32 MB that holds what the applier writes.

PostgreSQL has the log there, in a tablespace, MariaDB the application's table, by DATA DIRECTORY.
"""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.database.conftest import NewTables
from tests.support.databases import fetch, run_script
from tests.support.pairing import pair_all
from tests.support.patience import Patience
from tests.support.relays import Relay
from tests.support.sites import Site

BOUND_S = 90.0
ROWS = 6000
TABLE = "CREATE TABLE word (text varchar(40) PRIMARY KEY, note varchar(255))"
FULL = "waiting for the database: the disk of the database is full"


class Cramped:
    """A site with a relay that applies to a small disk, and the one that it hears."""

    def __init__(self, kind: str, new_tables: NewTables, disk: Path, directory: Path) -> None:
        self.disk, self.patience = disk, Patience()
        self.full = disk / "rest"
        script = TABLE
        if kind == "mariadb":
            disk.chmod(0o777)
            script += f" DATA DIRECTORY = '{disk}'"
        self.site = new_tables(kind, script)
        self.source = new_tables("postgresql" if kind == "mariadb" else "mariadb", TABLE)
        if kind == "postgresql":
            self._move_log()
        self.relays = [Relay(n, s.url, directory) for n, s in (("source", self.source), ("camp", self.site))]
        pair_all(*self.relays)

    def _move_log(self) -> None:
        ((data,),) = fetch(self.site.url, "SHOW data_directory")
        os.chown(self.disk, os.stat(data).st_uid, -1)
        run_script(self.site.url, f"CREATE TABLESPACE cramped LOCATION '{self.disk}'")
        run_script(self.site.url, "ALTER TABLE changecapture.changelog SET TABLESPACE cramped")

    def fill(self) -> None:
        self.full.write_bytes(bytes(shutil.disk_usage(self.disk).free))

    def write(self, site: Site, count: int, name: str) -> None:
        rng = random.Random(name)
        rows = [(f"{name}{n}", rng.randbytes(50).hex()) for n in range(count)]
        with site.family.connection.cursor() as cursor:
            cursor.executemany("INSERT INTO word (text, note) VALUES (%s, %s)", rows)

    def wait_rows(self, site: Site, count: int) -> None:
        query = "SELECT count(*) FROM word"
        self.patience.wait(lambda: site.family.rows(query)[0][0] == count, f"{count} rows", BOUND_S, 0.05)

    def close(self) -> None:
        for relay in self.relays:
            relay.stop()
        if self.site.store.engine == "postgresql":
            run_script(self.site.url, "ALTER TABLE changecapture.changelog SET TABLESPACE pg_default")
            run_script(self.site.url, "DROP TABLESPACE cramped")


@pytest.fixture(params=["postgresql", "mariadb"])
def cramped(
    request: pytest.FixtureRequest, small_disk: Path, new_tables: NewTables, tmp_path: Path
) -> Iterator[Cramped]:
    made = Cramped(request.param, new_tables, small_disk, tmp_path)
    yield made
    made.close()


@pytest.mark.long
def test_a_full_disk_is_said_once_and_waited_for_and_nothing_is_parked_or_lost(cramped: Cramped):
    source, camp = cramped.relays
    for relay in cramped.relays:
        relay.start()
    camp.wait_for("up to date with source", cramped.patience)
    cramped.fill()
    cramped.write(cramped.source, ROWS, "w")
    camp.wait_for(FULL, cramped.patience)
    cramped.full.unlink()
    cramped.wait_rows(cramped.site, ROWS)
    camp.wait_for("the database is back", cramped.patience)
    cramped.write(cramped.site, 1, "back")
    cramped.wait_rows(cramped.source, ROWS + 1)
    assert cramped.site.fetch("SELECT count(*) FROM {p}parked") == [(0,)]
    said = [line for line in camp.lines if "waiting for the database" in line]

    assert len(said) == 1, said
    assert not [line for line in camp.lines + source.lines if "mistake" in line]
