"""Rows of many megabytes: batches are cut by size, and nothing stops."""

import pytest

from changecapture.errors import ConfigError
from tests.support.sites import exchange

PG, MY = "postgresql", "mariadb"
LONG = pytest.mark.long


def test_row_larger_than_the_server_takes_waits_until_the_setting_is_raised(new_tables):
    sql = "CREATE TABLE place (code varchar(20) PRIMARY KEY, wkt longtext)"
    here, there = new_tables(MY, sql), new_tables(MY, sql)
    taken, there.store.connection.max_allowed_packet = there.store.connection.max_allowed_packet, 1 << 20
    here.run("INSERT INTO place VALUES ('large', repeat('a', 2000000)), ('small', 'b')")
    with pytest.raises(ConfigError, match="max_allowed_packet is 1,048,576") as refused:
        exchange(here, there)
    assert "SET GLOBAL max_allowed_packet = 67108864" in str(refused.value)
    there.store.connection.max_allowed_packet = taken
    exchange(here, there)
    assert there.fetch("SELECT code, length(wkt) FROM place") == [("large", 2000000), ("small", 1)]


@LONG
@pytest.mark.parametrize("a", [PG, MY])
def test_more_than_64_mib_travel_in_several_batches(new_tables, a):
    sql = "CREATE TABLE place (code varchar(20) PRIMARY KEY, wkt %s)"
    h = new_tables(a, sql % ("text" if a == PG else "longtext"))
    t = new_tables(PG, sql % "text")
    for n in range(72):
        h.run(f"INSERT INTO place VALUES ('p{n}', repeat('a', 1000000))")
    exchange(h, t)
    assert t.fetch("SELECT count(*) FROM place") == [(72,)]


@LONG
@pytest.mark.parametrize("b", [PG, MY])
def test_blob_whose_text_is_larger_than_a_statement_travels(new_tables, b):
    """12 MB of bytes: fits max_allowed_packet (16 MB), its base64 does not."""
    h = new_tables(MY, "CREATE TABLE file (name varchar(20) PRIMARY KEY, data longblob)")
    t = new_tables(
        b, "CREATE TABLE file (name varchar(20) PRIMARY KEY, data %s)" % ("bytea" if b == PG else "longblob")
    )
    h.run("INSERT INTO file VALUES ('small', 'x')")
    exchange(h, t)
    h.run("INSERT INTO file VALUES ('big', repeat('x', 13000000))")
    h.run("INSERT INTO file VALUES ('after', 'y')")
    exchange(h, t)
    assert sorted(t.fetch("SELECT name, length(data) FROM file")) == [
        ("after", 1),
        ("big", 13000000),
        ("small", 1),
    ]


@LONG
def test_update_to_a_large_text_travels(new_tables):
    h = new_tables(MY, "CREATE TABLE file (name varchar(20) PRIMARY KEY, data longtext)")
    t = new_tables(MY, "CREATE TABLE file (name varchar(20) PRIMARY KEY, data longtext)")
    h.run("INSERT INTO file VALUES ('big', 'x')")
    exchange(h, t)
    h.run("UPDATE file SET data = repeat('\"', 9000000)")
    exchange(h, t)
    assert t.fetch("SELECT length(data) FROM file") == [(9000000,)]


@LONG
def test_delete_of_a_large_text_is_captured(new_tables):
    h = new_tables(MY, "CREATE TABLE file (name varchar(20) PRIMARY KEY, data longtext)")
    h.run("INSERT INTO file VALUES ('big', repeat('\"', 9000000))")
    h.run("DELETE FROM file")
    assert [c[0] for c in h.captured()] == ["I", "D"]
