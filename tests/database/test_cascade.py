"""What foreign keys do to other rows arrives at a peer: the same on both kinds of server.

PostgreSQL fires the children's triggers; on MySQL and MariaDB the parent's trigger announces what will
happen. Each law is run on both; what MariaDB announces is looked at where it matters.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.support import estate
from tests.support.compare import assert_equal_sites
from tests.support.sites import Site, assert_in_step, exchange


@dataclass
class Estates:
    """The same application on both kinds of server, each with a peer on PostgreSQL."""

    mariadb: Site
    postgresql: Site
    peers: tuple[Site, Site]

    def do(self, *statements: str) -> None:
        """Run statements, as the application, on both."""
        for site in (self.mariadb, self.postgresql):
            for statement in statements:
                site.family(statement)

    def exchange(self) -> None:
        """Bring both to their peers, and assert that all four show the same."""
        for site, peer in zip((self.mariadb, self.postgresql), self.peers, strict=True):
            exchange(site, peer)
            assert_in_step(site, peer)
        assert_equal_sites(self.peers[0].url, self.peers[1].url)

    def announced(self) -> list[tuple[str, str, str]]:
        """Return (operation, table, key) of what MariaDB announced, sorted."""
        return sorted(
            (operation, table, key)
            for operation, table, key in self.mariadb.fetch(
                "SELECT operation, table_name, `key` FROM {p}captured JOIN {p}synced_table USING (table_id) "
                "WHERE operation IN ('d', 'u')"
            )
        )

    def shown(self, table: str, column: str = "uuid") -> list[object]:
        """Return a column of a table of MariaDB's peer, sorted."""
        rows = self.peers[0].fetch(f"SELECT {column} FROM {table}")
        return sorted((value for (value,) in rows), key=lambda value: (value is None, value))


@pytest.fixture
def estates(new_site) -> Iterator[Estates]:
    """Filled, and known to the peers."""
    sites = [new_site(kind, "estate") for kind in ("mariadb", "postgresql", "postgresql", "postgresql")]
    made = Estates(sites[0], sites[1], (sites[2], sites[3]))
    made.do(*estate.ROWS)
    for site, peer in zip((made.mariadb, made.postgresql), made.peers, strict=True):
        exchange(site, peer)
    yield made
    missed = [site.fetch("SELECT reason FROM {p}missed") for site in sites]
    made.do(*(f"DELETE FROM {table}" for table in estate.LOCAL_TABLES))
    assert missed == [[], [], [], []]


def entries(estates, table, key):
    """Return how often the row was published by each site."""
    return [len(site.entries(table, key)) for site in (estates.mariadb, estates.postgresql)]


def test_children_of_three_levels_go_with_their_parent(estates):
    estates.do("DELETE FROM camp WHERE id = 1")
    assert estates.announced() == [
        ("d", "bed", '[111,"bed 111"]'),
        ("d", "bed", '[112,"bed 112"]'),
        ("d", "link", "[1,11]"),
        ("d", "link", "[1,11]"),
        ("d", "link", "[2,12]"),
        ("d", "tent", '[11,"tent 11"]'),
        ("d", "tent", '[12,"tent 12"]'),
        ("d", "visit", '[1,"visit 1"]'),
        ("d", "visit", '[2,"visit 2"]'),
        ("u", "visit", '[1,"visit 1"]'),
        ("u", "visit", '[3,"visit 3"]'),
        ("u", "visit", '[4,"visit 4"]'),
    ]
    estates.exchange()
    assert estates.shown("tent") == ["tent 21"]
    assert estates.shown("bed") == ["bed 211"]
    assert estates.shown("visit") == ["visit 3", "visit 4"]
    assert estates.shown("visit", "tent_id") == [None, None]
    assert estates.shown("link", "title") == ["t", "t"]


def test_image_of_a_child_that_goes_with_its_parent_is_kept(estates):
    estates.do("DELETE FROM camp WHERE id = 1")
    ((image,),) = estates.mariadb.fetch("SELECT image FROM {p}captured WHERE `key` = '[111,\"bed 111\"]'")
    assert json.loads(image) == {"id": 111, "uuid": "bed 111", "note": 'it\'s "so"', "tent_id": 11}
    query = "SELECT uuid, note, deleted FROM {p}bed_history WHERE uuid = 'bed 111'"
    for _ in range(2):
        for site in (estates.mariadb, estates.postgresql):
            assert [(*row[:2], bool(row[2])) for row in site.fetch(query)] == [
                ("bed 111", 'it\'s "so"', True)
            ]
        estates.exchange()


def test_reference_that_is_set_to_null_arrives(estates):
    estates.do("DELETE FROM zone WHERE code = 'b'")
    assert ("u", "camp", '[1,"camp 1"]') in estates.announced()
    assert ("d", "camp", '[2,"camp 2"]') in estates.announced()
    estates.exchange()
    assert estates.shown("camp") == ["camp 1", "camp 3"]
    assert estates.shown("camp", "spare") == [None, None]
    assert estates.mariadb.entries("camp", "camp 1")[-1] == {"spare": None, "@alive": True}


def test_reference_that_was_set_to_null_and_then_to_another_row_arrives(estates):
    """Both in one pass: the row shows what the application wrote last."""
    estates.do("DELETE FROM zone WHERE code = 'b'", "UPDATE camp SET spare = 'c' WHERE uuid = 'camp 1'")
    estates.do("DELETE FROM tent WHERE id = 11", "UPDATE visit SET tent_id = 12 WHERE uuid = 'visit 1'")
    estates.exchange()
    assert ("camp 1", "c") in estates.peers[0].fetch("SELECT uuid, spare FROM camp")
    shown = "SELECT v.uuid, t.uuid FROM visit v JOIN tent t ON t.id = tent_id"
    assert ("visit 1", "tent 12") in estates.peers[0].fetch(shown)


def test_statement_that_deletes_several_parents_takes_the_children_of_all(estates):
    estates.do("DELETE FROM zone WHERE code IN ('a', 'b')")
    estates.exchange()
    assert estates.shown("camp") == ["camp 3"]
    for table in ("tent", "bed", "visit"):
        assert estates.shown(table) == (["visit 4"] if table == "visit" else [])
    assert estates.shown("shed") == ["shed 4"]


def test_row_that_several_ways_lead_to_is_deleted_once(estates):
    """visit 1 goes with its camp, loses its tent, and both hang on one zone."""
    before = entries(estates, "visit", "visit 1")
    estates.do("DELETE FROM zone WHERE code = 'a'")
    assert estates.announced().count(("d", "visit", '[1,"visit 1"]')) == 1
    assert estates.announced().count(("u", "visit", '[1,"visit 1"]')) == 1
    estates.exchange()
    assert entries(estates, "visit", "visit 1") == [count + 1 for count in before]


def test_statement_that_deletes_a_row_and_its_child_deletes_each_once(estates):
    before = entries(estates, "node", "node 2")
    estates.do("DELETE FROM node WHERE id IN (1, 2)")
    estates.exchange()
    assert estates.shown("node") == ["node 5"]
    assert entries(estates, "node", "node 2") == [count + 1 for count in before]


@pytest.mark.parametrize("order", ["ASC", "DESC"])
def test_statement_that_deletes_parents_and_children_in_any_order_deletes_all(estates, order):
    estates.mariadb.family(f"DELETE FROM node ORDER BY id {order}")
    estates.postgresql.family("DELETE FROM node")
    estates.exchange()
    assert estates.shown("node") == []


def test_children_that_the_application_deletes_first_are_not_announced(estates):
    estates.do("DELETE FROM visit", "DELETE FROM bed", "DELETE FROM link", "DELETE FROM tent")
    estates.do("DELETE FROM camp WHERE id = 1")
    assert estates.announced() == []
    estates.exchange()


def test_new_key_goes_on_to_the_columns_that_refer_to_it(estates):
    estates.do("UPDATE zone SET code = 'z' WHERE code = 'a'")
    estates.exchange()
    assert estates.shown("zone", "code") == ["b", "c", "z"]
    assert estates.shown("camp", "zone") == ["b", "c", "z"]
    assert estates.shown("camp", "spare") == ["b", None, None]


def test_new_key_goes_on_to_the_keys_that_it_is_part_of(estates):
    estates.do("UPDATE zone SET code = 'z' WHERE code = 'a'")
    (row,) = estates.mariadb.fetch('SELECT `key`, old_key FROM {p}captured WHERE `key` = \'["z","x"]\'')
    assert row == ('["z","x"]', '["a","x"]')
    estates.exchange()
    assert estates.peers[0].fetch("SELECT zone, item FROM stay ORDER BY 1, 2") == [
        ("b", "x"),
        ("z", "x"),
        ("z", "y"),
    ]
    assert estates.mariadb.entries("stay", '["a","x"]')[-1] == {"@alive": False}


def test_new_key_goes_on_through_a_key_of_two_columns(estates):
    """zone, plot by (zone, place), shed by (zone, place): three levels of ON UPDATE."""
    estates.do("UPDATE zone SET code = 'z' WHERE code = 'a'")
    assert [key for _, table, key in estates.announced() if table == "shed"] == [
        '[1,"shed 1"]',
        '[2,"shed 2"]',
    ]
    estates.exchange()
    found = estates.peers[0].fetch("SELECT uuid, zone, place FROM shed ORDER BY uuid")
    assert found == [
        ("shed 1", "z", "p"),
        ("shed 2", "z", "p"),
        ("shed 3", "b", "p"),
        ("shed 4", "a", None),
    ]


def test_new_local_number_of_a_parent_changes_no_row(estates):
    estates.do("INSERT INTO camp (id, uuid) VALUES (4, 'camp 4')")
    estates.do("INSERT INTO tent (id, uuid, camp_id) VALUES (41, 'tent 41', 4)")
    estates.exchange()
    estates.do("UPDATE camp SET id = 5 WHERE id = 4")
    assert estates.announced() == [("u", "tent", '[41,"tent 41"]')]
    estates.exchange()
    assert estates.shown("tent") == ["tent 11", "tent 12", "tent 21", "tent 41"]


def test_one_column_of_a_key_of_two_goes_on(estates):
    estates.do("UPDATE plot SET place = 'r' WHERE zone = 'a' AND place = 'p'")
    estates.exchange()
    assert estates.shown("shed", "place") == ["p", "r", "r", None]


def test_key_that_changes_only_its_case_goes_on(estates):
    estates.do("UPDATE zone SET code = 'A' WHERE code = 'a'")
    estates.exchange()
    assert estates.shown("camp", "zone") == ["A", "b", "c"]
    assert estates.shown("plot", "zone") == ["A", "A", "b"]


def test_update_that_leaves_the_key_announces_nothing(estates):
    estates.do("UPDATE zone SET title = 'new', code = code")
    assert estates.announced() == []


def test_key_that_changes_and_a_parent_that_goes_in_one_transaction(estates):
    estates.do("BEGIN", "UPDATE zone SET code = 'z' WHERE code = 'a'", "DELETE FROM zone WHERE code = 'z'")
    estates.do("COMMIT")
    estates.exchange()
    assert estates.shown("camp") == ["camp 2", "camp 3"]
    assert estates.shown("stay", "zone") == ["b"]


def test_row_that_refers_to_itself_goes_once_with_its_descendants(estates):
    estates.do("DELETE FROM node WHERE id = 1")
    assert estates.announced() == [
        ("d", "node", '[2,"node 2"]'),
        ("d", "node", '[3,"node 3"]'),
        ("d", "node", '[4,"node 4"]'),
    ]
    estates.exchange()
    assert estates.shown("node") == ["node 5"]


def test_descendants_are_found_as_deep_as_innodb_goes(estates):
    chain = ", ".join(f"({n}, 'deep {n}', {n - 1})" for n in range(102, 115))
    estates.do("INSERT INTO node (id, uuid, parent) VALUES (100, 'deep 100', NULL), (101, 'deep 101', 100)")
    estates.do(f"INSERT INTO node (id, uuid, parent) VALUES {chain}")
    estates.exchange()
    estates.do("DELETE FROM node WHERE id = 100")
    assert len(estates.announced()) == 14
    estates.exchange()
    assert len(estates.shown("node")) == 5


def test_walk_comes_to_an_end_in_a_circle_of_rows(estates):
    """node 5 below 4 below 2 below 5: whoever goes takes all."""
    estates.do("UPDATE node SET parent = 4 WHERE id = 5", "UPDATE node SET parent = 5 WHERE id = 2")
    estates.exchange()
    estates.do("DELETE FROM node WHERE id = 4")
    estates.exchange()
    assert estates.shown("node") == ["node 1"]


def test_walk_goes_on_in_a_circle_of_tables(estates):
    """hen 2 hangs on egg 2 hangs on hen 1 hangs on egg 1."""
    estates.do("DELETE FROM egg WHERE id = 1")
    assert estates.announced() == [
        ("d", "egg", '[2,"egg 2"]'),
        ("d", "hen", '[1,"hen 1"]'),
        ("d", "hen", '[2,"hen 2"]'),
    ]
    estates.exchange()
    assert (estates.shown("hen"), estates.shown("egg")) == ([], [])


def test_setting_for_circles_is_put_back(estates):
    application = estates.mariadb.family
    application("SET SESSION max_sp_recursion_depth = 3")
    application("DELETE FROM node WHERE id = 1")
    assert application.rows("SELECT @@max_sp_recursion_depth") == [(3,)]


def test_walk_goes_through_tables_that_are_not_synced(estates):
    estates.do("DELETE FROM ledger WHERE id = 1")
    assert estates.announced() == [("d", "entry", '[1,"entry 1"]'), ("d", "entry", '[2,"entry 2"]')]
    estates.exchange()
    assert estates.shown("entry") == ["entry 3"]
    assert estates.shown("remark") == ["remark 1"]


def test_parent_that_is_kept_keeps_its_children(estates):
    """DELETE IGNORE: the trigger has announced, then another child forbids it. PostgreSQL has no such."""
    estates.do("INSERT INTO lease (id, uuid, camp_id) VALUES (1, 'lease 1', 1)")
    estates.exchange()
    before = estates.mariadb.fetch("SELECT count(*) FROM {p}changelog")
    assert estates.mariadb.family("DELETE IGNORE FROM zone WHERE code = 'a'") == 0
    assert ("d", "tent", '[11,"tent 11"]') in estates.announced()
    estates.exchange()
    assert estates.mariadb.fetch("SELECT count(*) FROM {p}changelog") == before
    assert estates.shown("tent") == ["tent 11", "tent 12", "tent 21"]


def test_key_that_is_kept_keeps_what_refers_to_it(estates):
    """UPDATE IGNORE: the trigger has announced, then the new key is taken. PostgreSQL has no such."""
    estates.do("INSERT INTO stay VALUES ('c', 'z', 't')")
    estates.exchange()
    estates.mariadb.family("UPDATE IGNORE zone SET code = 'b' WHERE code = 'c'")
    assert ("u", "stay", '["b","z"]') in estates.announced()
    estates.exchange()
    assert estates.shown("zone", "code") == ["a", "b", "c"]
    assert entries(estates, "stay", '["c","z"]') == [1, 1]


def test_values_that_update_ignore_did_not_write_do_not_arrive(estates):
    """MySQL fires AFTER UPDATE though the foreign key has refused the row; found by random statements."""
    before = estates.mariadb.fetch("SELECT count(*) FROM {p}changelog")
    assert estates.mariadb.family("UPDATE IGNORE camp SET zone = 'none', title = 'refused' WHERE id = 1") == 0
    exchange(estates.mariadb, estates.peers[0])
    assert_in_step(estates.mariadb, estates.peers[0])
    assert estates.mariadb.fetch("SELECT count(*) FROM {p}changelog") == before


def test_unique_value_that_update_ignore_did_not_write_does_not_arrive(new_site):
    here, there = new_site("mariadb", "family"), new_site("postgresql", "family")
    here.family("INSERT INTO parent (uuid, name) VALUES ('a', 'a'), ('b', 'b')")
    exchange(here, there)
    assert here.family("UPDATE IGNORE parent SET name = 'a', note = 'refused' WHERE uuid = 'b'") == 0
    here.family("UPDATE IGNORE parent SET name = 'c', note = 'written' WHERE uuid = 'a'")
    exchange(here, there)
    assert there.family.rows("SELECT name, note FROM parent ORDER BY uuid") == [("c", "written"), ("b", None)]
    assert there.parked() == {}
    assert_in_step(here, there)


REFUSED = {
    "a uuid": ("UPDATE IGNORE parent SET uuid = 'a' WHERE uuid = 'c'",),
    "a number": ("UPDATE IGNORE parent SET id = 1 WHERE uuid = 'c'",),
    "with another column": ("UPDATE IGNORE parent SET uuid = 'a', note = 'n' WHERE uuid = 'c'",),
    "before a rename": (
        "UPDATE IGNORE parent SET uuid = 'a' WHERE uuid = 'c'",
        "UPDATE parent SET uuid = 'z' WHERE uuid = 'c'",
    ),
    "after a rename": (
        "UPDATE parent SET uuid = 'z' WHERE uuid = 'c'",
        "UPDATE IGNORE parent SET uuid = 'a' WHERE uuid = 'z'",
    ),
    "of a new row": (
        "INSERT INTO parent (uuid) VALUES ('new')",
        "UPDATE IGNORE parent SET uuid = 'a' WHERE uuid = 'new'",
    ),
    "before a deletion": (
        "UPDATE IGNORE parent SET uuid = 'a' WHERE uuid = 'c'",
        "DELETE FROM link",
        "DELETE FROM parent WHERE uuid = 'c'",
    ),
    "of some": ("UPDATE IGNORE parent SET id = 1000000 WHERE uuid <> 'a' ORDER BY uuid",),
}


@pytest.mark.parametrize("case", REFUSED)
def test_key_that_update_ignore_did_not_write_changes_nothing_anywhere(new_site, case):
    here, there = new_site("mariadb", "family"), new_site("postgresql", "family")
    for key in "abc":
        here.family.add_parent(key, f"name of {key}")
    here.family.add_child("k", "a")
    here.family.add_link("c", "k", "n")
    exchange(here, there)
    for statement in REFUSED[case]:
        here.family(statement)
    exchange(here, there)
    assert there.parked() == {}
    assert_in_step(here, there)


def test_key_that_was_written_is_not_taken_back_for_what_another_did_at_the_former_one(new_site):
    """Keys move on by one, and the row that came to a key is written there: the one that left has left."""
    here, there = new_site("mariadb", "family"), new_site("postgresql", "family")
    here.family("INSERT INTO word (text, note) VALUES ('w1', 'one'), ('w2', 'two')")
    exchange(here, there)
    moved = "CASE text WHEN 'w2' THEN 'w3' ELSE 'w2' END"
    here.family(f"UPDATE word SET text = {moved} ORDER BY text DESC")
    here.family("UPDATE word SET note = 'written' WHERE text = 'w2'")
    exchange(here, there)
    assert there.family.rows("SELECT text, note FROM word ORDER BY 1") == [("w2", "written"), ("w3", "two")]
    assert_in_step(here, there)


def test_delete_that_is_refused_announces_nothing(estates):
    estates.do("INSERT INTO lease (id, uuid, camp_id) VALUES (1, 'lease 1', 1)")
    estates.exchange()
    with pytest.raises(Exception, match="a foreign key constraint fails"):
        estates.mariadb.family("DELETE FROM zone WHERE code = 'a'")
    assert estates.mariadb.captured() == []


def test_rollback_takes_back_what_was_announced(estates):
    estates.do("BEGIN", "SAVEPOINT here", "DELETE FROM camp WHERE id = 1", "ROLLBACK TO SAVEPOINT here")
    estates.do("DELETE FROM camp WHERE id = 2", "COMMIT")
    estates.exchange()
    assert estates.shown("camp") == ["camp 1", "camp 3"]
    assert estates.shown("tent") == ["tent 11", "tent 12"]


def test_applier_announces_nothing(estates):
    with estates.mariadb.store.applying():
        estates.mariadb.store.execute("DELETE FROM camp WHERE id = 1")
    assert estates.mariadb.captured() == []


def test_session_without_foreign_keys_announces_nothing(estates):
    """SET foreign_key_checks = 0, as a dump sets it: then nothing happens to the children."""
    application = estates.mariadb.family
    application("SET foreign_key_checks = 0")
    application("DELETE FROM node WHERE id = 2")
    application("INSERT INTO node (id, uuid, parent) VALUES (2, 'node 2', 1)")
    application("SET foreign_key_checks = 1")
    assert [operation for operation, *_ in estates.mariadb.captured()] == ["D", "I"]


def test_replace_takes_the_children_of_the_row_that_it_replaces(estates):
    estates.mariadb.family("REPLACE INTO zone VALUES ('a', 'again')")
    exchange(estates.mariadb, estates.peers[0])
    assert_in_step(estates.mariadb, estates.peers[0])
    assert estates.shown("camp") == ["camp 2", "camp 3"]
    assert estates.shown("zone", "title") == ["B", "C", "again"]


def test_upsert_that_changes_the_key_goes_on(estates):
    estates.mariadb.family("INSERT INTO zone VALUES ('a', 'x') ON DUPLICATE KEY UPDATE code = 'z'")
    estates.postgresql.family(
        "INSERT INTO zone VALUES ('a', 'x') ON CONFLICT (code) DO UPDATE SET code = 'z'"
    )
    estates.exchange()
    assert estates.shown("stay", "zone") == ["b", "z", "z"]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE camp FROM camp JOIN tent ON tent.camp_id = camp.id WHERE tent.id = 11",
        "DELETE camp, tent FROM camp JOIN tent ON tent.camp_id = camp.id WHERE camp.id = 1",
        "DELETE FROM camp WHERE id IN (SELECT camp_id FROM tent WHERE id = 11)",
        "DELETE camp FROM camp, bed, tent WHERE bed.tent_id = tent.id AND tent.camp_id = camp.id "
        "AND bed.id = 111",
    ],
)
def test_statement_that_reads_the_children_too_takes_them_along(estates, statement):
    """The walk may not lock for writing what the statement itself uses (1442)."""
    estates.mariadb.family(statement)
    estates.postgresql.family("DELETE FROM camp WHERE id = 1")
    estates.exchange()
    assert estates.shown("tent") == ["tent 21"]
    assert estates.shown("bed") == ["bed 211"]


def test_locked_tables_are_walked(estates):
    """As long as the application locks what it uses, ours too: see the test of what LOCK TABLES loses."""
    application = estates.mariadb.family
    application("LOCK TABLES zone WRITE, changecapture_captured WRITE")
    application("DELETE FROM zone WHERE code = 'a'")
    application("UNLOCK TABLES")
    estates.postgresql.family("DELETE FROM zone WHERE code = 'a'")
    estates.exchange()
    assert estates.shown("camp") == ["camp 2", "camp 3"]


def test_row_count_and_new_numbers_are_those_of_the_statement(estates):
    application = estates.mariadb.family
    application("INSERT INTO camp (uuid) VALUES ('camp 4')")
    number = application.rows("SELECT max(id) FROM camp")
    assert application("DELETE FROM zone WHERE code IN ('a', 'b')") == 2
    assert application.rows("SELECT LAST_INSERT_ID()") == number
    assert application("UPDATE zone SET code = 'z' WHERE code = 'c'") == 1
    assert application.rows("SELECT LAST_INSERT_ID()") == number
