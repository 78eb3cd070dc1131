"""Identity: missing uuid, assigned keys, native uuid, char(n), long keys."""

# ruff: noqa: E501

import pytest

from tests.support.sites import exchange

PG, MY = "postgresql", "mariadb"
KINDS = [PG, MY]


def edit(site, sql):
    site.run(sql)


def test_two_missing_uuids_with_constant_default(pair):
    here, there = pair
    here.eden.insert("pr_person", uuid="", first_name="Anna", deleted="F")
    exchange(here, there)
    here.eden.execute("UPDATE pr_person SET last_name = 'M'")
    exchange(here, there)
    assert there.eden.fetch("SELECT first_name, last_name FROM pr_person") == [("Anna", "M")]
    there.eden.execute("UPDATE pr_person SET deleted = 'T'")
    exchange(here, there)
    assert here.eden.fetch("SELECT deleted FROM pr_person") == [("T",)]


def auto(kind):
    return "serial PRIMARY KEY" if kind == PG else "int AUTO_INCREMENT PRIMARY KEY"


@pytest.mark.parametrize("a", KINDS)
@pytest.mark.parametrize("b", KINDS)
def test_assigned_key_row_edited_elsewhere(new_tables, a, b):
    h, t = (new_tables(k, f"CREATE TABLE note (id {auto(k)}, body varchar(50), n int)") for k in (a, b))
    h.run("INSERT INTO note (body) VALUES ('one')")
    exchange(h, t)
    assert t.fetch("SELECT body, n FROM note") == [("one", None)]
    t.run("UPDATE note SET n = 5")
    exchange(h, t)
    assert h.fetch("SELECT body, n FROM note") == [("one", 5)]
    h.run("UPDATE note SET n = 6")
    exchange(h, t)
    assert t.fetch("SELECT body, n FROM note") == [("one", 6)]
    t.run("DELETE FROM note")
    exchange(h, t)
    assert h.fetch("SELECT body, n FROM note") == []


def test_native_uuid_referenced_by_integer(new_tables):
    sql = (
        "CREATE TABLE parent (id serial PRIMARY KEY, uuid uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(), name text);"
        "CREATE TABLE child (id serial PRIMARY KEY, uuid uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(), parent_id int REFERENCES parent(id))"
    )
    h, t = new_tables(PG, sql), new_tables(PG, sql)
    h.run("INSERT INTO parent (name) VALUES ('x')")
    h.run("INSERT INTO child (parent_id) SELECT id FROM parent")
    exchange(h, t)
    assert t.fetch("SELECT parent_id IS NOT NULL FROM child") == [(True,)]


@pytest.mark.parametrize("b", KINDS)
def test_char_key(new_tables, b):
    sql = (
        "CREATE TABLE country (code char(5) PRIMARY KEY, name varchar(20));"
        "CREATE TABLE town (name varchar(20) PRIMARY KEY, country_code char(5) REFERENCES country(code))"
    )
    h, t = new_tables(PG, sql), new_tables(b, sql)
    h.run("INSERT INTO country VALUES ('LK', 'Lanka'); INSERT INTO town VALUES ('Galle', 'LK')")
    exchange(h, t)
    t.run("UPDATE country SET name = 'Sri Lanka'")
    exchange(h, t)
    h.run("UPDATE country SET name = 'SL'")
    exchange(h, t)
    assert h.parked() == t.parked() == {}
    assert t.fetch("SELECT name FROM country") == h.fetch("SELECT name FROM country") == [("SL",)]
    assert t.fetch("SELECT name, country_code IS NOT NULL FROM town")[0][1] in (True, 1)


@pytest.mark.parametrize("k", KINDS)
def test_key_longer_than_512(new_tables, k):
    sql = "CREATE TABLE page (url varchar(700) PRIMARY KEY, n int) " + (
        "" if k == PG else "CHARACTER SET latin1"
    )
    h, t = new_tables(k, sql), new_tables(k, sql)
    h.run("INSERT INTO page VALUES ('a', 1)")
    h.run(f"INSERT INTO page VALUES ('{'x' * 600}', 1)")
    exchange(h, t)
    assert t.fetch("SELECT count(*) FROM page WHERE url = 'a'") == [(1,)]


@pytest.mark.parametrize("k", KINDS)
def test_composite_key_of_long_texts(new_tables, k):
    sql = "CREATE TABLE page (a varchar(300), b varchar(300), n int, PRIMARY KEY (a, b)) " + (
        "" if k == PG else "CHARACTER SET utf8mb4"
    )
    h, t = new_tables(k, sql), new_tables(k, sql)
    h.run("INSERT INTO page VALUES ('a', 'b', 1)")
    h.run(f"INSERT INTO page VALUES ('{'x' * 290}', '{'y' * 290}', 1)")
    exchange(h, t)
    assert t.fetch("SELECT count(*) FROM page WHERE a = 'a'") == [(1,)]


@pytest.mark.parametrize(
    "column", ["varchar(60)", "varchar(40)", "varchar(36)", "char(32)", pytest.param("uuid", id="native")]
)
def test_row_without_uuid_gets_a_key_that_the_column_of_its_peer_holds(new_tables, column):
    sql = f"CREATE TABLE note (id serial PRIMARY KEY, uuid {column} UNIQUE, body varchar(20))"
    here, there = new_tables(PG, sql), new_tables(PG, sql)
    here.run("INSERT INTO note (body) VALUES ('one')")
    exchange(here, there)
    there.run("UPDATE note SET body = 'two'")
    exchange(here, there)
    assert here.parked() == there.parked() == {}
    assert here.fetch("SELECT body, uuid FROM note") == [("two", None)]
    assert there.fetch("SELECT body, uuid IS NULL FROM note") == [("two", False)]
