"""Rows that want one unique value: parked at every site until a person decides; swapped ones are swapped."""

import pytest

from changecapture.core.change import Row
from tests.support.sites import assert_in_step, exchange, send


def test_unique_clash_is_parked_at_both_sites_and_the_rest_goes_on(families):
    here, there = families
    here.family.add_parent("a", "Nurse")
    here.family.add_parent("free a")
    there.family.add_parent("b", "Nurse")
    there.family.add_parent("free b")
    exchange(here, there)
    assert here.parked() == {Row("parent", "b"): "unique"}
    assert there.parked() == {Row("parent", "a"): "unique"}
    assert set(here.family.shown("parent")) == {"a", "free a", "free b"}
    assert set(there.family.shown("parent")) == {"b", "free a", "free b"}
    ((detail,),) = here.fetch("SELECT detail FROM {p}parked")
    assert "Nurse" in detail


def test_clash_is_settled_by_a_rename_at_either_site(families):
    here, there = families
    here.family.add_parent("a", "Nurse")
    there.family.add_parent("b", "Nurse")
    exchange(here, there)
    there.family("UPDATE parent SET name = 'Staff' WHERE uuid = 'b'")
    exchange(here, there)
    assert dict(here.family.rows("SELECT uuid, name FROM parent")) == {"a": "Nurse", "b": "Staff"}
    assert_in_step(here, there)


def test_unique_values_that_two_rows_swapped_are_swapped(families):
    here, there = families
    here.family.add_parent("a", "Anna")
    here.family.add_parent("b", "Berta")
    exchange(here, there)
    here.family("BEGIN")
    here.family("UPDATE parent SET name = NULL WHERE uuid = 'a'")
    here.family("UPDATE parent SET name = 'Anna' WHERE uuid = 'b'")
    here.family("UPDATE parent SET name = 'Berta' WHERE uuid = 'a'")
    here.family("COMMIT")
    exchange(here, there)
    assert_in_step(here, there)


def swap_names(site, first, second):
    names = dict(site.family.rows("SELECT uuid, name FROM parent"))
    site.family("BEGIN")
    site.family("UPDATE parent SET name = NULL WHERE uuid = %s", first)
    site.family("UPDATE parent SET name = %s WHERE uuid = %s", names[first], second)
    site.family("UPDATE parent SET name = %s WHERE uuid = %s", names[second], first)
    site.family("COMMIT")


def test_swap_beside_a_clash_with_a_third_row_is_a_swap(families):
    """d asks for a name that a row has which the other site alone knows: only d is parked."""
    here, there = families
    for uuid, name in (("a", "Anna"), ("b", "Berta"), ("d", "Dora")):
        here.family.add_parent(uuid, name)
    exchange(here, there)
    there.family.add_parent("x", "Xenia")
    swap_names(here, "a", "b")
    here.family("UPDATE parent SET name = 'Xenia' WHERE uuid = 'd'")
    send(here, there)
    assert dict(there.family.rows("SELECT uuid, name FROM parent")) == {
        "a": "Berta",
        "b": "Anna",
        "d": "Dora",
        "x": "Xenia",
    }
    assert there.parked() == {Row("parent", "d"): "unique"}


SWAPPED = {
    "varchar(12) NOT NULL": ("1", "2", "3"),
    "integer NOT NULL CHECK (name > 0)": ("1", "2", "3"),
    "smallint NOT NULL": ("1", "2", "3"),
    "tinyint unsigned NOT NULL": ("1", "2", "3"),
    "decimal(5,2) NOT NULL": ("1.5", "2.5", "3.5"),
    "date NOT NULL": ("2026-01-01", "2026-01-02", "2026-01-03"),
    "timestamp NOT NULL": ("2026-01-01 10:00:00", "2026-01-02 10:00:00", "2026-01-03 10:00:00"),
    "datetime NOT NULL": ("2026-01-01 10:00:00", "2026-01-02 10:00:00", "2026-01-03 10:00:00"),
}


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_unique_values_that_cannot_be_null_are_swapped(new_tables, kind):
    columns = [c for c in SWAPPED if kind == "mariadb" or not c.startswith(("tinyint", "datetime"))]
    tables = {f"person_{number}": column for number, column in enumerate(columns)}
    key = "uuid varchar(64) NOT NULL PRIMARY KEY"
    script = "".join(f"CREATE TABLE {t} ({key}, name {c}, UNIQUE (name));" for t, c in tables.items())
    here, there = new_tables(kind, script), new_tables(kind, script)
    for table, column in tables.items():
        one, two, _ = SWAPPED[column]
        here.run(f"INSERT INTO {table} VALUES ('a', '{one}'), ('b', '{two}')")
    exchange(here, there)
    for table, column in tables.items():
        one, two, spare = SWAPPED[column]
        steps = (("a", spare), ("b", one), ("a", two))
        updates = "; ".join(f"UPDATE {table} SET name = '{name}' WHERE uuid = '{k}'" for k, name in steps)
        here.run(f"BEGIN; {updates}; COMMIT")
    exchange(here, there)
    assert there.parked() == {}
    assert_in_step(here, there)


HIDDEN = {
    "an expression": ("varchar(12) NOT NULL", "CREATE UNIQUE INDEX hidden ON person (lower(name))"),
    "some rows": ("varchar(12)", "CREATE UNIQUE INDEX hidden ON person (name) WHERE name <> ''"),
}


@pytest.mark.parametrize("hidden", HIDDEN)
def test_values_of_a_unique_index_that_the_catalogue_does_not_tell_are_swapped(new_tables, hidden):
    """PostgreSQL's indexes on expressions, and on some of the rows."""
    column, index = HIDDEN[hidden]
    script = f"CREATE TABLE person (uuid varchar(64) PRIMARY KEY, name {column}, age integer); {index}"
    here, there = new_tables("postgresql", script), new_tables("postgresql", script)
    here.run("INSERT INTO person VALUES ('a', 'X', 1), ('b', 'Y', 2)")
    exchange(here, there)
    steps = (("a", "spare"), ("b", "X"), ("a", "Y"))
    updates = "; ".join(f"UPDATE person SET name = '{name}' WHERE uuid = '{k}'" for k, name in steps)
    here.run(f"BEGIN; {updates}; COMMIT")
    exchange(here, there)
    assert there.parked() == {}
    assert_in_step(here, there)
