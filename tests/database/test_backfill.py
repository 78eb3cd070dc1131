"""Rows from before the installation: published once, whole, as old as they say, parents first."""

import random
from contextlib import closing
from itertools import count
from threading import Event, Thread

import pytest

from changecapture.config import parse_url
from changecapture.core.change import Row
from changecapture.install import converge, install
from changecapture.pair import pull
from changecapture.store.sqlstore import SqlStore
from tests.support.databases import run_script
from tests.support.family import Family, script
from tests.support.sites import Site, assert_in_step, assert_sound_log, exchange


def write_unseen(site, *statements):
    """Write as before the installation: nothing is captured, nothing backfilled yet."""
    if site.dialect == "postgresql":
        settings = "SET changecapture.applying = 'on'"
    else:
        settings = "SET @changecapture_applying = 1"
    site.run("; ".join([settings, *statements, f"UPDATE {site.prefix}synced_table SET backfilled = 0"]))


def backfill(site, profile):
    site.close()
    return converge(parse_url(site.url), profile).rows


def add_family(site, many=5):
    """Write parents with bosses that come later, children, toys, links and lines."""
    uuids = range(many)
    write_unseen(
        site,
        *(f"INSERT INTO parent (uuid, name) VALUES ('p{n}', 'n{n}')" for n in uuids),
        "UPDATE parent SET boss = (SELECT m FROM (SELECT max(id) AS m FROM parent) AS p)",
        *(f"INSERT INTO child (uuid, must) SELECT 'c{n}', id FROM parent WHERE uuid = 'p{n}'" for n in uuids),
        "INSERT INTO toy (uuid, owner) SELECT concat('toy of ', uuid), id FROM child",
        "INSERT INTO link (parent_id, child_id) SELECT must, id FROM child",
        "INSERT INTO line (note) VALUES ('a'), ('b')",
    )


def test_rows_from_before_arrive_and_nothing_waits_on_the_way(families):
    here, there = families
    add_family(here)
    assert backfill(here, "generic") == 22
    reports = []
    pull(here.store, there.store, reports.append)
    assert sum(report.parked for report in reports) == 0
    exchange(here, there)
    assert assert_in_step(here, there).total == 22


def test_second_backfill_publishes_nothing(home):
    add_family(home)
    backfill(home, "generic")
    before = home.fetch("SELECT count(*) FROM {p}changelog")
    assert backfill(home, "generic") == 0
    home.run(f"UPDATE {home.prefix}synced_table SET backfilled = 0")
    backfill(home, "generic")
    assert home.fetch("SELECT count(*) FROM {p}changelog") == before
    assert_sound_log(home)


def test_rows_that_changed_before_their_backfill_are_published_as_they_are(families):
    """The triggers are there first; the application goes on writing, and somebody publishes."""
    here, there = families
    add_family(here)
    here.family.note("parent", "p0", "edited")
    here.family("DELETE FROM link WHERE child_id = (SELECT id FROM child WHERE uuid = 'c1')")
    here.family("DELETE FROM toy WHERE uuid = 'toy of c1'")
    here.family.delete("child", "c1")
    here.publish()
    here.family("UPDATE parent SET uuid = 'renamed' WHERE uuid = 'p2'")
    here.family.add_parent("new")
    backfill(here, "generic")
    exchange(here, there)
    assert there.family.shown("parent")["p0"] == "edited"
    assert_in_step(here, there)


def test_installation_publishes_what_was_there(new_tables):
    script = "CREATE TABLE word (text varchar(60) PRIMARY KEY, note varchar(60)); INSERT INTO word VALUES "
    many = ", ".join(f"('w{number:04}', 'n')" for number in range(2500))
    here = new_tables("postgresql", f"{script} {many}")
    there = new_tables("mariadb", f"{script} ('w0001', 'n'), ('other', 'n')")
    exchange(here, there)
    assert assert_in_step(here, there).rows == {"word": 2501}
    assert not here.conflicts()


PERSON = (
    "INSERT INTO pr_person (uuid, first_name, last_name, deleted, created_on, modified_on) "
    "VALUES ('urn:1', 'Anna', '{name}', '{deleted}', '2020-01-01', '{modified}')"
)


@pytest.mark.parametrize("newer", [0, 1])
def test_newer_of_two_old_rows_wins_and_the_older_is_recorded(pair, newer):
    for number, site in enumerate(pair):
        modified = "2021-01-01" if number == newer else "2020-06-01"
        write_unseen(site, PERSON.format(name=f"site {number}", deleted="F", modified=modified))
        backfill(site, "eden")
    here, there = pair
    exchange(here, there)
    assert here.eden.fetch("SELECT last_name FROM pr_person") == [(f"site {newer}",)]
    lost = (f'"site {newer}"', f'"site {1 - newer}"')
    for site in pair:
        assert ("pr_person", "urn:1", "last_name", *lost) in site.conflicts()
        assert not {c for c in site.conflicts() if c[2] == "first_name"}
    assert_in_step(here, there)


def test_archived_row_from_before_is_not_shown_elsewhere(pair):
    here, there = pair
    write_unseen(here, PERSON.format(name="gone", deleted="T", modified="2021-01-01"))
    backfill(here, "eden")
    exchange(here, there)
    assert there.eden.fetch("SELECT count(*) FROM pr_person WHERE deleted = 'F'") == [(0,)]
    here.eden.execute("UPDATE pr_person SET deleted = 'F'")
    exchange(here, there)
    assert there.eden.fetch("SELECT last_name FROM pr_person") == [("gone",)]
    assert_in_step(here, there)


@pytest.mark.parametrize("modified", ["2036-01-01", "9999-12-31"])
def test_edit_after_the_installation_beats_an_old_row_with_a_wrong_date(pair, modified):
    """modified_on lies in the future: an edit that saw the row is later all the same."""
    here, there = pair
    write_unseen(here, PERSON.format(name="old", deleted="F", modified=modified))
    backfill(here, "eden")
    ((stamp,),) = here.fetch("SELECT max(stamp) FROM {p}changelog")
    assert stamp <= here.store.read_clock()
    exchange(here, there)
    there.eden.execute("UPDATE pr_person SET last_name = 'new'")
    exchange(here, there)
    assert here.eden.fetch("SELECT last_name FROM pr_person") == [("new",)]
    assert_in_step(here, there)


def test_row_that_an_entry_meets_before_its_backfill_is_merged(families):
    """It is there, unknown to us, when a peer's entry for it arrives."""
    here, there = families
    write_unseen(there, "INSERT INTO parent (uuid, name, note) VALUES ('p', 'theirs', 'theirs')")
    here.family.add_parent("p", "ours")
    exchange(here, there)
    assert_in_step(here, there)
    lost = {(c[2], c[4]) for site in (here, there) for c in site.conflicts() if c[:2] == Row("parent", "p")}
    assert ("name", '"theirs"') in lost
    backfill(there, "generic")
    exchange(here, there)
    assert_in_step(here, there)


def test_backfill_does_not_wait_for_rows_that_the_application_holds(home):
    add_family(home, 1)
    home.family("BEGIN")
    home.family("UPDATE parent SET note = 'not committed'")
    assert converge(parse_url(home.url), "generic").rows == 6
    home.family("COMMIT")
    home.publish()
    assert home.entries("parent", "p0")[-1]["note"] == "not committed"


def test_row_dated_infinitely_late_does_not_stop_the_installation(new_tables, tmp_path):
    profile = tmp_path / "dated.toml"
    profile.write_text('extends = "generic"\nmodified = "changed_on"\n')
    create = "CREATE TABLE note (code varchar(20) PRIMARY KEY, changed_on timestamp)"
    insert = (
        "INSERT INTO note VALUES ('a', 'infinity'), ('b', '-infinity'), ('c', '0044-03-15 BC'), ('d', NULL)"
    )
    here = new_tables("postgresql", f"{create}; {insert}", str(profile))
    ((first, last),) = here.fetch("SELECT min(stamp), max(stamp) FROM {p}changelog")
    assert first == last == 1


class Writer(Thread):
    """Registers, edits, renames and deletes until it is told to stop."""

    def __init__(self, url: str, seed: int) -> None:
        super().__init__()
        self._url, self._rng, self._end = url, random.Random(seed), Event()
        self.writes = 0

    def stop(self) -> None:
        self._end.set()
        self.join()

    def run(self) -> None:
        with closing(Family(self._url)) as family:
            while not self._end.is_set():
                old = f"w{self._rng.randrange(4000):04}"
                family(
                    *self._rng.choice(
                        (
                            ("INSERT INTO word (text, note) VALUES (%s, 'new')", f"new {self.writes}"),
                            ("UPDATE word SET note = 'edited' WHERE text = %s", old),
                            ("UPDATE word SET text = concat(text, ' renamed') WHERE text = %s", old),
                            ("DELETE FROM word WHERE text = %s", old),
                        )
                    )
                )
                self.writes += 1


def test_application_goes_on_writing_beside_the_backfill(server, new_database, new_site):
    """Nothing is missed, nothing comes twice, whichever is first at a row: the writer or the backfill."""
    kind = "postgresql" if server.dialect == "postgresql" else "mariadb"
    url = new_database(server)
    run_script(url, script(kind))
    words = ", ".join(f"('w{number:04}', 'old')" for number in range(4000))
    run_script(url, f"INSERT INTO word (text, note) VALUES {words}")
    writer = Writer(url, seed=4)
    writer.start()
    try:
        install(parse_url(url), "generic")
        before = writer.writes
    finally:
        writer.stop()
    assert before > 10
    with closing(Site(url, "generic")) as here:
        there = new_site(kind, "family")
        exchange(here, there)
        assert assert_in_step(here, there).rows["word"] > 3000


def test_installation_ends_beside_an_application_that_adds_a_row_for_each_look(
    server, new_database, new_site, monkeypatch
):
    kind = "postgresql" if server.dialect == "postgresql" else "mariadb"
    url = new_database(server)
    run_script(url, script(kind))
    read, rows = SqlStore.read_local_keys_after, count()
    with closing(Family(url)) as application:

        def look_while_it_writes(*where):
            number = next(rows)
            assert number < 100, "there is no end"
            application.add_parent(f"z{number:04}")
            return read(*where)

        monkeypatch.setattr(SqlStore, "read_local_keys_after", look_while_it_writes)
        install(parse_url(url), "generic")
    with closing(Site(url, "generic")) as here:
        there = new_site(kind, "family")
        exchange(here, there)
        assert assert_in_step(here, there).rows["parent"] == next(rows)
