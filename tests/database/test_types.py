"""Values of every type that the two engines share go from one to the other and back unchanged."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from uuid import uuid4

import pytest

from tests.support.sites import assert_in_step, exchange

POSTGRESQL = """
CREATE TABLE thing (
    id serial PRIMARY KEY,
    uuid uuid NOT NULL UNIQUE,
    small smallint, big bigint, flag boolean, exact numeric(20, 6), f4 real, f8 double precision,
    t text, c char(5), e varchar(10), s varchar(10), j jsonb,
    d date, ti time(6), ts timestamp(6), tz timestamptz(6), y integer,
    b bytea, bb bytea, "Odd name" text, "order" text, "100%" text, "back\\slash" text
)
"""
MARIADB = """
CREATE TABLE thing (
    id integer AUTO_INCREMENT PRIMARY KEY,
    uuid char(36) NOT NULL UNIQUE,
    small smallint, big bigint, flag tinyint(1), exact decimal(20, 6), f4 float, f8 double,
    t longtext, c char(5), e enum('a', 'b''c', 'ü'), s set('x', 'y', 'z'), j json,
    d date, ti time(6), ts datetime(6), tz timestamp(6) NULL, y year,
    b longblob, bb varbinary(16), `Odd name` text, `order` text, `100%` text, `back\\slash` text
) ENGINE=InnoDB CHARSET=utf8mb4
"""
SCRIPTS = {"postgresql": POSTGRESQL, "mariadb": MARIADB}
ALL_BYTES = bytes(range(256))
INDIA = timezone(timedelta(hours=5, minutes=30))

VALUES = {
    "small": [-(2**15), 2**15 - 1, 0],
    "big": [-(2**63), 2**63 - 1, 2**53 + 1],
    "flag": [True, False],
    "exact": [Decimal("0.000001"), Decimal("-99999999999999.999999"), Decimal("1.5"), Decimal("0")],
    "f4": [0.1, -3.4e38, 16777216.0, 1e-30],
    "f8": [0.1, 1.7976931348623157e308, 5e-324, 1 / 3, -0.0],
    "t": ["", " ", "NULL", "\N{GRINNING FACE} '\"\\\n\r\t\x01", "a" * 70_000, "\\u0041 \\x41", "`$${{x}} %s"],
    "c": ["", "ab", "abcde"],
    "e": ["a", "b'c", "ü"],
    "s": ["", "x", "x,z"],
    "j": ['{"b": 1, "a": [true, null, "\\u00fc \\n"]}', "[]", '"text"', "1.5"],
    "d": [date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29)],
    "ti": [time(0, 0), time(23, 59, 59, 999999), time(12, 30, 0, 100000)],
    "ts": [datetime(1000, 1, 1), datetime(9999, 12, 31, 23, 59, 59), datetime(2024, 3, 31, 2, 30, 0, 120000)],
    "tz": [
        datetime(2024, 3, 31, 2, 30, 0, 123456, tzinfo=INDIA),
        datetime(1970, 1, 2, tzinfo=UTC),
        datetime(2037, 12, 31, tzinfo=UTC),
    ],
    "y": [1901, 2155, 2024],
    "b": [b"", b"\0", ALL_BYTES, ALL_BYTES * 300],
    "bb": [b"", b"\0\xff", b"0123456789abcdef"],
    "Odd name": ["x"],
    "order": ["x"],
    "100%": ["100%", "%s %(x)s"],
    "back\\slash": ["\\"],
}


def quote(site, name):
    return f'"{name}"' if site.dialect == "postgresql" else f"`{name}`"


def write(site, statement, *parameters):
    """Run a statement; times with a zone are given to MariaDB as UTC."""
    run = site.family
    if site.dialect == "mysql":
        run("SET time_zone = '+00:00'")
        parameters = [
            p.astimezone(UTC).replace(tzinfo=None) if isinstance(p, datetime) and p.tzinfo else p
            for p in parameters
        ]
    run(statement.replace("%", "%%").replace("%%s", "%s"), *parameters)


@pytest.fixture(
    params=[("postgresql", "mariadb"), ("mariadb", "postgresql"), ("mariadb", "mariadb")], ids="-".join
)
def things(request, new_tables):
    here, there = request.param
    return new_tables(here, SCRIPTS[here]), new_tables(there, SCRIPTS[there])


def test_values_of_every_type_go_there_and_back(things):
    here, there = things
    keys = {}
    for column, values in VALUES.items():
        for value in values:
            key = str(uuid4())
            keys[key] = column, value
            name = quote(here, column)
            write(here, f"INSERT INTO thing (uuid, {name}) VALUES (%s, %s)", key, value)
    exchange(here, there)
    assert_in_step(here, there)
    assert there.parked() == {}
    for key, (column, _) in keys.items():
        write(here, f"UPDATE thing SET {quote(here, column)} = NULL WHERE uuid = %s", key)
    exchange(here, there)
    assert_in_step(here, there)
    for key, (column, value) in keys.items():
        write(there, f"UPDATE thing SET {quote(there, column)} = %s WHERE uuid = %s", value, key)
    exchange(here, there)
    assert_in_step(here, there)
    assert not here.conflicts()
    for key, (column, value) in keys.items():
        name = quote(here, column).replace("%", "%%")
        ((found,),) = here.family.rows(f"SELECT {name} FROM thing WHERE uuid = %s", key)
        assert found is not None, (column, value)


def test_deleted_row_of_every_type_is_kept_for_people(things):
    here, there = things
    key = str(uuid4())
    names = ", ".join(quote(here, column) for column in VALUES)
    places = ", ".join(["%s"] * len(VALUES))
    write(
        here,
        f"INSERT INTO thing (uuid, {names}) VALUES (%s, {places})",
        key,
        *(v[0] for v in VALUES.values()),
    )
    exchange(here, there)
    write(here, "DELETE FROM thing")
    exchange(here, there)
    for site in (here, there):
        rows = site.fetch("SELECT uuid, t, deleted FROM {p}thing_history")
        assert [(str(uuid), text, bool(deleted)) for uuid, text, deleted in rows] == [(key, "", True)]


def test_geometry_goes_between_mariadb_sites(new_tables):
    script = "CREATE TABLE place (code varchar(20) PRIMARY KEY, g geometry, p point) ENGINE=InnoDB"
    here, there = new_tables("mariadb", script), new_tables("mariadb", script)
    here.family(
        "INSERT INTO place VALUES ('a', ST_GeomFromText('POLYGON((0 0,0 1,1 1,0 0))'), POINT(6.03, 80.2)), "
        "('b', NULL, NULL)"
    )
    exchange(here, there)
    found = there.family.rows("SELECT code, ST_AsText(g), ST_AsText(p) FROM place ORDER BY code")
    assert found == [("a", "POLYGON((0 0,0 1,1 1,0 0))", "POINT(6.03 80.2)"), ("b", None, None)]
    assert_in_step(here, there)


def test_long_lines_stay_in_a_column_that_is_named_like_the_form_of_bytes(new_tables):
    sql = "CREATE TABLE place (code varchar(20) PRIMARY KEY, geometry longtext, data longblob)"
    here, there = new_tables("mariadb", sql), new_tables("mariadb", sql)
    here.run("INSERT INTO place (code) VALUES ('camp')")
    exchange(here, there)
    for column in ("geometry", "data"):
        here.run(f"UPDATE place SET {column} = repeat('a line\n', 6000)")
        exchange(here, there)
    assert there.fetch("SELECT * FROM place") == here.fetch("SELECT * FROM place")


def test_column_that_the_database_sets_on_update_is_not_moved_by_the_applier(new_tables):
    script = (
        "CREATE TABLE note (code varchar(20) PRIMARY KEY, text varchar(20), "
        "touched timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP) ENGINE=InnoDB"
    )
    here, there = new_tables("mariadb", script), new_tables("mariadb", script)
    for site in (here, there):
        site.family("SET time_zone = '+00:00'")
    here.family("INSERT INTO note VALUES ('a', 'x', '2001-01-01')")
    exchange(here, there)
    here.family("UPDATE note SET text = 'y', touched = '2002-02-02'")
    exchange(here, there)
    assert there.family.rows("SELECT touched FROM note") == [(datetime(2002, 2, 2),)]
    there.family("UPDATE note SET text = 'z', touched = touched")
    exchange(here, there)
    assert here.family.rows("SELECT touched FROM note") == [(datetime(2002, 2, 2),)]
    assert_in_step(here, there)


def test_zero_date_is_parked_where_there_is_none(new_tables):
    """PHP applications write them: no other engine has such a day."""
    here = new_tables("mariadb", "CREATE TABLE note (code varchar(20) PRIMARY KEY, day date) ENGINE=InnoDB")
    there = new_tables("postgresql", "CREATE TABLE note (code varchar(20) PRIMARY KEY, day date)")
    here.family("SET sql_mode = ''")
    here.family("INSERT INTO note VALUES ('zero', '0000-00-00'), ('fine', '2024-01-01')")
    exchange(here, there)
    assert there.family.rows("SELECT code FROM note") == [("fine",)]
    assert list(there.parked().values()) == ["value"]


def test_floats_inside_other_types_keep_their_digits_whatever_the_session_shows(new_tables):
    script = "CREATE TABLE spot (k text PRIMARY KEY, many float8[], place point)"
    here, there = new_tables("postgresql", script), new_tables("postgresql", script)
    here.family("SET extra_float_digits = -5")
    here.family("INSERT INTO spot VALUES ('k', '{1}', '(1,2)')")
    here.family("UPDATE spot SET many = '{0.123456789012345}', place = '(0.123456789012345,2)'")
    exchange(here, there)
    shown = [("{0.123456789012345}", "(0.123456789012345,2)")]
    assert there.family.rows("SELECT many::text, place::text FROM spot") == shown


def test_types_that_postgresql_alone_has_go_between_its_sites(new_tables):
    script = (
        "CREATE TYPE mood AS ENUM ('sad', 'it''s ok'); CREATE DOMAIN code AS text CHECK (VALUE <> 'no');"
        "CREATE TABLE odd (k code PRIMARY KEY, m mood, i interval, a integer[], n inet, r daterange, "
        "v tsvector, h bit varying(8), money money, j json, ta text[])"
    )
    here, there = new_tables("postgresql", script), new_tables("postgresql", script)
    here.family("SET IntervalStyle = 'sql_standard'; SET DateStyle = 'German'")
    here.family(
        "INSERT INTO odd VALUES ('k', 'it''s ok', '1 mon -3 days 04:05:06.7', '{1,NULL,3}', '10.0.0.1/8', "
        "'[2024-01-01,2024-02-01)', 'a fat cat', B'0101', '12.50', '{\"a\": 1}', "
        "ARRAY['a,\"b', NULL, ''])"
    )
    here.family("UPDATE odd SET i = i * 2, r = '[2024-01-02,)'")
    exchange(here, there)
    columns = "k, m, i::text, a, n::text, r::text, v::text, h::text, money::text, j::text, ta"
    here.family("RESET ALL")
    assert there.family.rows(f"SELECT {columns} FROM odd") == here.family.rows(f"SELECT {columns} FROM odd")
    there.family("UPDATE odd SET a = '{}', ta = '{}', m = 'sad', i = '1 day'")
    exchange(here, there)
    assert there.family.rows(f"SELECT {columns} FROM odd") == here.family.rows(f"SELECT {columns} FROM odd")
