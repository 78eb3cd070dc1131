"""Every kind of statement by which an application writes: what arrives at a peer, and as how many entries."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from changecapture.reconcile import reconcile
from tests.support.databases import connect_mysql
from tests.support.sites import Site, assert_in_step, exchange

BEFORE = {"x": "1", "y": "1"}
"""The words at both sites before a case: text to note."""


class Case(NamedTuple):
    """``steps``: statements, in order. ``after``: the words then. ``entries``: what travels."""

    name: str
    kind: str
    steps: Sequence[str]
    after: dict[str, str]
    entries: int


def both(name: str, steps: Sequence[str], after: dict[str, str], entries: int) -> list[Case]:
    """Return a case that is written the same on both engines."""
    return [Case(name, kind, steps, after, entries) for kind in ("postgresql", "mariadb")]


CASES = [
    *both("single", ["INSERT INTO word VALUES ('a', '2')"], {**BEFORE, "a": "2"}, 1),
    *both("multi-row", ["INSERT INTO word VALUES ('a', '2'), ('b', '2')"], {**BEFORE, "a": "2", "b": "2"}, 2),
    *both(
        "insert select",
        ["INSERT INTO word SELECT concat('c', text), '2' FROM word"],
        {**BEFORE, "cx": "2", "cy": "2"},
        2,
    ),
    *both("update of all", ["UPDATE word SET note = '2'"], {"x": "2", "y": "2"}, 2),
    *both("update that changes nothing", ["UPDATE word SET note = note"], BEFORE, 0),
    *both("update of the key", ["UPDATE word SET text = 'z' WHERE text = 'x'"], {"y": "1", "z": "1"}, 2),
    *both("delete", ["DELETE FROM word WHERE text = 'x'"], {"y": "1"}, 1),
    *both(
        "insert, update, delete of one row in one transaction",
        [
            "BEGIN",
            "INSERT INTO word VALUES ('a', '2')",
            "UPDATE word SET note = '3'",
            "DELETE FROM word",
            "COMMIT",
        ],
        {},
        3,
    ),
    *both(
        "delete and insert of a key in one transaction",
        ["BEGIN", "DELETE FROM word WHERE text = 'x'", "INSERT INTO word VALUES ('x', '2')", "COMMIT"],
        {"x": "2", "y": "1"},
        1,
    ),
    *both(
        "delete and insert of a key in two transactions",
        ["DELETE FROM word WHERE text = 'x'", "INSERT INTO word VALUES ('x', '2')"],
        {"x": "2", "y": "1"},
        1,
    ),
    *both("rollback", ["BEGIN", "UPDATE word SET note = '2'", "DELETE FROM word", "ROLLBACK"], BEFORE, 0),
    *both(
        "savepoint",
        [
            "BEGIN",
            "UPDATE word SET note = '2' WHERE text = 'x'",
            "SAVEPOINT s",
            "DELETE FROM word",
            "ROLLBACK TO SAVEPOINT s",
            "COMMIT",
        ],
        {"x": "2", "y": "1"},
        1,
    ),
    Case(
        "on conflict",
        "postgresql",
        [
            "INSERT INTO word VALUES ('x', '2'), ('a', '2') "
            "ON CONFLICT (text) DO UPDATE SET note = excluded.note",
            "INSERT INTO word VALUES ('y', '3'), ('b', '3') ON CONFLICT DO NOTHING",
        ],
        {"x": "2", "y": "1", "a": "2", "b": "3"},
        3,
    ),
    Case(
        "merge of tables",
        "postgresql",
        [
            "WITH gone AS (DELETE FROM word WHERE text = 'x' RETURNING note) "
            "INSERT INTO word SELECT 'a', note FROM gone"
        ],
        {"y": "1", "a": "1"},
        2,
    ),
    Case(
        "update and delete by a join",
        "postgresql",
        [
            "UPDATE word SET note = v.note FROM (VALUES ('x', '2')) AS v(text, note) "
            "WHERE word.text = v.text",
            "DELETE FROM word USING (VALUES ('y')) AS v(text) WHERE word.text = v.text",
        ],
        {"x": "2"},
        2,
    ),
    Case(
        "stored procedure",
        "postgresql",
        ["DO $$ BEGIN UPDATE word SET note = '2'; DELETE FROM word WHERE text = 'y'; END $$"],
        {"x": "2"},
        2,
    ),
    Case(
        "locked table",
        "postgresql",
        ["BEGIN", "LOCK TABLE word IN ACCESS EXCLUSIVE MODE", "UPDATE word SET note = '2'", "COMMIT"],
        {"x": "2", "y": "2"},
        2,
    ),
    Case("truncate", "postgresql", ["TRUNCATE word"], {}, 2),
    Case(
        "on duplicate key",
        "mariadb",
        ["INSERT INTO word VALUES ('x', '2'), ('a', '2') ON DUPLICATE KEY UPDATE note = VALUES(note)"],
        {"x": "2", "y": "1", "a": "2"},
        2,
    ),
    Case(
        "on duplicate key that changes nothing",
        "mariadb",
        ["INSERT INTO word VALUES ('x', '2') ON DUPLICATE KEY UPDATE note = note"],
        BEFORE,
        0,
    ),
    Case(
        "replace",
        "mariadb",
        ["REPLACE INTO word VALUES ('x', '2'), ('a', '2')"],
        {"x": "2", "y": "1", "a": "2"},
        2,
    ),
    Case(
        "insert ignore",
        "mariadb",
        ["INSERT IGNORE INTO word VALUES ('x', '2'), ('a', '2')"],
        {**BEFORE, "a": "2"},
        1,
    ),
    Case(
        "update and delete of several tables",
        "mariadb",
        [
            "INSERT INTO line (note) VALUES ('x'), ('y')",
            "UPDATE word AS w JOIN line AS l ON l.note = w.text "
            "SET w.note = '2', l.note = concat(l.note, '2')",
            "DELETE w, l FROM word AS w JOIN line AS l ON l.note = concat(w.text, '2') WHERE w.text = 'y'",
        ],
        {"x": "2"},
        4,
    ),
    Case("delete by its own name", "mariadb", ["DELETE word FROM word WHERE text = 'x'"], {"y": "1"}, 1),
    Case(
        "stored procedure",
        "mariadb",
        [
            "CREATE PROCEDURE renew() "
            "BEGIN UPDATE word SET note = '2'; DELETE FROM word WHERE text = 'y'; END",
            "CALL renew()",
            "DROP PROCEDURE renew",
        ],
        {"x": "2"},
        2,
    ),
]


def read_words(site: Site) -> dict[str, str]:
    return dict(site.family.rows("SELECT text, note FROM word"))


def begin(new_site, kind: str) -> tuple[Site, Site]:
    """Return a site of that kind with some words, and a peer of the other kind that has them."""
    here = new_site(kind, "family")
    there = new_site("mariadb" if kind == "postgresql" else "postgresql", "family")
    here.family("INSERT INTO word VALUES ('x', '1'), ('y', '1')")
    exchange(here, there)
    return here, there


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}: {case.name}")
def test_what_a_statement_wrote_arrives(case, new_site):
    here, there = begin(new_site, case.kind)
    for step in case.steps:
        here.family(step)
    assert read_words(here) == case.after
    assert exchange(here, there) == case.entries
    assert read_words(there) == case.after
    assert_in_step(here, there)


def test_copy_arrives(new_site):
    here, there = begin(new_site, "postgresql")
    with here.family.connection.cursor() as cursor, cursor.copy("COPY word FROM STDIN") as copy:
        copy.write("a\t2\nb\t2\n")
    assert exchange(here, there) == 2
    assert read_words(there) == {**BEFORE, "a": "2", "b": "2"}
    assert_in_step(here, there)


@pytest.mark.parametrize(
    ("way", "after", "entries"),
    [("", {**BEFORE, "a": "2"}, 1), ("REPLACE", {"x": "2", "y": "1", "a": "2"}, 2)],
)
def test_load_data_arrives(new_site, tmp_path: Path, way, after, entries):
    here, there = begin(new_site, "mariadb")
    file = tmp_path / "words"
    file.write_text("x\t2\na\t2\n")
    with connect_mysql(here.url, local_infile=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"LOAD DATA LOCAL INFILE '{file}' {way} INTO TABLE word")
        connection.commit()
    assert exchange(here, there) == entries
    assert read_words(there) == after
    assert_in_step(here, there)


def test_what_is_written_under_lock_tables_is_noted_as_missed_and_found_by_reconcile(new_site):
    """MariaDB refuses to open our table for several triggers of a locked table (error 1442)."""
    here, there = begin(new_site, "mariadb")
    for statement in ("LOCK TABLES word WRITE", "UPDATE word SET note = '2'", "UNLOCK TABLES"):
        here.family(statement)
    assert here.captured() == []
    assert here.fetch("SELECT table_name, operation FROM {p}missed") == [("word", "U")]
    assert sum(found.total for found in reconcile(here.store)) == 2
    assert exchange(here, there) == 2
    assert read_words(there) == {"x": "2", "y": "2"}
    assert_in_step(here, there)
