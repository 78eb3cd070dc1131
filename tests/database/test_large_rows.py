"""Rows of many megabytes: batches are cut by size, and nothing stops."""

from time import monotonic

import pytest

from tests.support.sites import exchange

PG, MY = "postgresql", "mariadb"
pytestmark = pytest.mark.long


@pytest.mark.parametrize("a", [PG, MY])
def test_more_than_64_mib_travel_in_several_batches(new_tables, a):
    sql = "CREATE TABLE place (code varchar(20) PRIMARY KEY, wkt %s)"
    h = new_tables(a, sql % ("text" if a == PG else "longtext"))
    t = new_tables(PG, sql % "text")
    for n in range(72):
        h.run(f"INSERT INTO place VALUES ('p{n}', repeat('a', 1000000))")
    exchange(h, t)
    assert t.fetch("SELECT count(*) FROM place") == [(72,)]


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


def test_large_blob_is_written_and_deleted_in_no_time(new_tables):
    """REPLACE(TO_BASE64(..)) took 90 s for 10 MB, in the application's own statement too."""
    h = new_tables(MY, "CREATE TABLE file (name varchar(20) PRIMARY KEY, data longblob)")
    t = new_tables(MY, "CREATE TABLE file (name varchar(20) PRIMARY KEY, data longblob)")
    h.run("INSERT INTO file VALUES ('big', 'x')")
    exchange(h, t)
    began = monotonic()
    h.run("UPDATE file SET data = repeat('x', 10000000)")
    exchange(h, t)
    assert t.fetch("SELECT md5(data) FROM file") == h.fetch("SELECT md5(data) FROM file")
    h.run("DELETE FROM file")
    exchange(h, t)
    assert t.fetch("SELECT * FROM file") == []
    assert monotonic() - began < 30


def test_update_to_a_large_text_travels(new_tables):
    h = new_tables(MY, "CREATE TABLE file (name varchar(20) PRIMARY KEY, data longtext)")
    t = new_tables(MY, "CREATE TABLE file (name varchar(20) PRIMARY KEY, data longtext)")
    h.run("INSERT INTO file VALUES ('big', 'x')")
    exchange(h, t)
    h.run("UPDATE file SET data = repeat('\"', 9000000)")
    exchange(h, t)
    assert t.fetch("SELECT length(data) FROM file") == [(9000000,)]


def test_delete_of_a_large_text_is_captured(new_tables):
    h = new_tables(MY, "CREATE TABLE file (name varchar(20) PRIMARY KEY, data longtext)")
    h.run("INSERT INTO file VALUES ('big', repeat('\"', 9000000))")
    h.run("DELETE FROM file")
    assert [c[0] for c in h.captured()] == ["I", "D"]
