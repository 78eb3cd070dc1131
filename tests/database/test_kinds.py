"""Every kind of value goes from each engine to each other and is shown exactly as it was, or its row is
parked with a reason: nothing is shortened, rounded or replaced without a word.

How it is seen: the other site copies what it shows into a new row, and that row comes back. Where it differs
from the first one, something was changed on the way.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal

import hypothesis
import pytest
from hypothesis import strategies as st

from tests.support.databases import fetch
from tests.support.sites import exchange

SAME_ENGINE = pytest.mark.long
DIRECTIONS = [
    ("postgresql", "mariadb"),
    ("mariadb", "postgresql"),
    pytest.param("mariadb", "mariadb", marks=SAME_ENGINE),
    pytest.param("postgresql", "postgresql", marks=SAME_ENGINE),
]


@dataclass(frozen=True)
class Kind:
    """A column as each engine has it, and literals: what the other engine shows, and what it cannot."""

    postgresql: str
    mariadb: str
    shown: tuple[str, ...] = ()
    parked: tuple[str, ...] = ()
    mariadb_shown: tuple[str, ...] = ()
    mariadb_parked: tuple[str, ...] = ()


KINDS = [
    Kind("smallint", "smallint unsigned", ("32767",), ("-1",), ("5",), ("65535",)),
    Kind("bigint", "bigint unsigned", ("9223372036854775807",), ("-1",), ("0",), ("18446744073709551615",)),
    Kind("numeric(20)", "bigint unsigned", ("18446744073709551615",), (), ("18446744073709551615",)),
    Kind("integer", "int(5) zerofill", ("7",), ("-1",), ("7", "0")),
    Kind("integer", "decimal(6,2)", ("5",), (), ("5.00",), ("1.25",)),
    Kind("numeric(6,2)", "integer", ("5.00",), ("1.5",), ("5",)),
    Kind("boolean", "tinyint(1)", ("true", "false"), (), ("1", "0"), ("2", "-1")),
    Kind("boolean", "bit(1)", ("true", "false"), (), ("b'1'", "b'0'")),
    Kind("boolean", "char(1)", (), (), (), ("'T'", "''")),
    Kind("char(1)", "char(1)", ("'T'", "''"), (), ("'T'", "''")),
    Kind("integer", "bit(8)", ("255",), ("256",), ("b'10000001'",)),
    Kind("bit(4)", "bit(8)", (), ("b'0010'",), (), ("b'10'",)),
    Kind("integer", "year", ("2024", "2155"), ("1900", "70"), ("2024", "0", "1901")),
    Kind("numeric(8,4)", "decimal(6,2)", ("1.2300",), ("1.2345", "9999.9999"), ("1.25", "-9999.99")),
    Kind("numeric", "decimal(6,2)", ("1e3",), ("0.001", "12345.1", "'NaN'", "'-Infinity'"), ("1.25",)),
    Kind("numeric(6,2)", "decimal(8,4)", ("1.5",), (), ("1.2300",), ("1.2345",)),
    Kind("numeric", "decimal(65,30)", ("123456789012345678901234567890.5", "1e-30"), ("1e-31",), ("1e-30",)),
    Kind("money", "decimal(8,3) zerofill", ("12.50",), (), ("12.5",), ("12.555",)),
    Kind("real", "float", ("0.1", "1e-45", "16777217"), ("'NaN'", "'Infinity'"), ("0.1", "3.4028235e38")),
    Kind("double precision", "double", ("5e-324", "0.1"), ("'NaN'",), ("1.7976931348623157e308", "1/3e0")),
    Kind("double precision", "double(8,2)", ("5.25",), ("0.123",), ("5.25",)),
    Kind("double precision", "integer", ("2",), ("1.5",), ("5",)),
    Kind("double precision", "decimal(30,25)", ("0.5",), (), ("0.5",), ("0.1234567890123456789012345",)),
    Kind("real", "double zerofill", ("0.5",), (), ("7.5",), ("1e300",)),
    Kind(
        "text",
        "longtext",
        ("''", "' '", "'a  '", "E'\\u0001'", "E'\\U0001F600'", "'NULL'"),
        (),
        ("''", "' '", "'😀'", "'a\\t'", "'\\\\N'"),
        ("'a\\0b'",),
    ),
    Kind("text", "text CHARACTER SET utf8mb3", ("'é'",), ("'😀'", "'a😀'"), ("'é'",)),
    Kind("text", "text CHARACTER SET latin1", ("'é'", "'€'", "chr(129)"), ("'ж'", "'😀'"), ("'é'", "x'81'")),
    Kind("text", "varchar(20) CHARACTER SET ucs2", ("'é'",), ("'😀'",), ("'é'",)),
    Kind("varchar(20)", "varchar(10)", ("'0123456789'",), ("'01234567890'", "'0123456789  '"), ("'a '",)),
    Kind("varchar(5)", "text", ("'a'",), (), ("'a '",), ("'abcdef'", "'abcde '")),
    Kind("char(10)", "char(10)", ("'abc'", "'abc  '"), (), ("'abc'", "'abc  '")),
    Kind("varchar(10)", "char(10)", ("'abc'",), ("'abc  '",), ("'abc'",)),
    Kind("char(10)", "varchar(10)", ("'abc'",), (), ("'abc'",), ("'abc  '",)),
    Kind("text", "tinytext", ("repeat('a', 255)",), ("repeat('a', 256)", "repeat('é', 128)"), ("'a'",)),
    Kind("text", "tinytext", (), ("repeat('a', 255) || ' '",)),
    Kind("text", "enum('a','b''c','')", ("'a'", "'b''c'", "''"), ("'A'", "'c'", "' a'"), ("'a'", "''")),
    Kind("integer", "enum('a','1')", ("1",), ("2",), ("'1'",)),
    Kind("text", "set('x','y')", ("'x,y'", "''"), ("'y,x'", "'z'", "'x,x'"), ("'y,x'", "''")),
    Kind("json", "json", ('\'{"b":1,  "a":2}\'', "'[1.0]'"), (), ('\'{"b":1,  "a":2}\'', "'null'")),
    Kind("jsonb", "longtext", ("'\"x\"'",), (), ("'1'",), ("'not json'", "''")),
    Kind("numeric", "text", ("7",), (), ("'7'",), ("'007'", "'7.50'", "'x'")),
    Kind("text", "decimal(6,2)", ("'1.5'",), ("'1.50'", "'007'"), ("7",)),
    Kind(
        "date",
        "date",
        ("'0001-01-01'", "'9999-12-31'"),
        ("'infinity'", "'0044-03-15 BC'", "'10000-01-01'"),
        ("'9999-12-31'",),
        ("'0000-00-00'", "'2024-02-00'", "'0000-01-01'"),
    ),
    Kind("date", "datetime", ("'2024-01-01'",), (), ("'2024-01-01'",), ("'2024-01-01 10:00:00'",)),
    Kind("timestamp", "date", ("'2024-01-01'",), ("'2024-01-01 10:00:00'",), ("'2024-01-01'",)),
    Kind("text", "date", ("'2024-01-05'",), ("'2024-1-5'", "'today'"), ("'2024-01-05'",)),
    Kind("date", "varchar(20)", ("'2024-01-05'",), (), ("'2024-01-05'",), ("'today'", "''")),
    Kind(
        "time",
        "time(6)",
        ("'23:59:59.999999'", "'24:00:00'"),
        (),
        ("'10:00:00.5'",),
        ("'25:00:00'", "'-01:00:00'", "'838:59:59'"),
    ),
    Kind("time", "time", ("'10:00:00'",), ("'10:00:00.5'",), ("'00:00:00'",)),
    Kind("timetz", "time", (), ("'10:00:00+02'",)),
    Kind(
        "timestamp",
        "datetime(6)",
        ("'2024-01-01 10:00:00.123456'",),
        ("'infinity'", "'0044-03-15 BC'", "'10000-01-01'"),
        ("'0999-01-01'", "'2024-01-01 10:00:00.5'"),
        ("'0000-00-00'", "'2024-01-00 10:00:00'"),
    ),
    Kind("timestamp", "datetime", ("'2024-01-01 10:00:00'",), ("'2024-01-01 10:00:00.6'",)),
    Kind(
        "timestamp(0)", "datetime(3)", ("'2024-01-01'",), (), ("'2024-01-01'",), ("'2024-01-01 10:00:00.6'",)
    ),
    Kind(
        "timestamptz",
        "timestamp(6) NULL",
        ("'2024-01-01 10:00:00.5+02'",),
        ("'2040-01-01 10:00:00Z'", "'1960-01-01 10:00:00Z'", "'infinity'"),
        ("'2024-01-01 10:00:00.5'",),
        ("'0000-00-00'",),
    ),
    Kind("bytea", "blob", ("'\\x00ff'", "''"), ("repeat('a', 65536)::bytea",), ("x'00ff'", "''")),
    Kind("bytea", "binary(4)", ("'\\x00ff0000'",), ("'\\x00ff'",), ("x'00ff'",)),
    Kind("bytea", "varbinary(4)", ("'\\x20'",), ("'\\x00ff00ff00'",), ("x'2000'",)),
    Kind("bytea", "text", (), ("'\\x20'",), (), ("'a'",)),
    Kind("bytea", "point", (), ("'\\x00'",), (), ("POINT(1, 2)",)),
    Kind("text", "geometry", (), ("'x'",), (), ("ST_GeomFromText('POINT(1 2)', 4326)", "POINT(1, 2)")),
    Kind("uuid", "char(36)", ("'6F9619FF-8B86-D011-B42D-00C04FC964FF'",), (), (), ("'x'", "''")),
    Kind("inet", "varchar(50)", ("'10.0.0.1/8'", "'::1'"), (), ("'10.0.0.1'",), ("'x'",)),
    Kind("inet", "inet6", ("'::1'",), ("'10.0.0.1'",), ("'::1'",)),
    Kind("interval", "varchar(50)", ("'1 mon -3 days 04:05:06.7'",), (), ("'1 day'",), ("'x'",)),
    Kind("integer[]", "text", ("'{1,NULL,3}'",), (), ("'{1,2}'",), ("'x'",)),
    Kind("varchar(3)[]", "text", ("'{abc,NULL,\"\"}'",), (), ("'{abc}'",), ("'{abcd}'",)),
    Kind("bit varying(4)", "varchar(8)", ("b'0101'",), (), ("'01'",), ("'01010'",)),
]
NAMES = [f"c{number}" for number in range(len(KINDS))]


def create(kind):
    columns = ", ".join(f"{name} {getattr(k, kind)} NULL" for name, k in zip(NAMES, KINDS, strict=True))
    engine = " ENGINE=InnoDB CHARSET=utf8mb4" if kind == "mariadb" else ""
    return f"CREATE TABLE thing (k varchar(80) PRIMARY KEY, {columns}){engine}"


def write(site, *statements):
    """Run statements as a PHP application would, which takes what it is given."""
    settings = (
        "SET TimeZone = 'UTC'" if site.dialect == "postgresql" else "SET sql_mode = '', time_zone = '+00:00'"
    )
    site.run("; ".join([settings, *statements]))


def text_of(site, name, type_):
    if site.dialect == "postgresql":
        return f"{name}::text"
    if type_ in ("geometry", "point"):
        return f"concat(ST_SRID({name}), ST_AsText({name}))"
    return f"hex({name})" if "b" in type_.split("(")[0] else f"concat('', {name})"


def look(site, kind):
    """Return what a site shows, as text of its own: {(key, column): text}."""
    columns = [text_of(site, name, getattr(k, kind)) for name, k in zip(NAMES, KINDS, strict=True)]
    rows = fetch(site.url, f"SELECT k, {', '.join(columns)} FROM thing")
    return {(key, name): text for key, *row in rows for name, text in zip(NAMES, row, strict=True)}


def copy_back(here, there):
    """Make there a copy of each row that it shows, and bring it here."""
    write(there, f"INSERT INTO thing SELECT concat(k, '!'), {', '.join(NAMES)} FROM thing")
    exchange(there, here)


@pytest.mark.parametrize(("source", "target"), DIRECTIONS, ids="-".join)
def test_value_is_shown_as_it_is_or_its_row_is_parked(new_tables, source, target):
    here, there = new_tables(source, create(source)), new_tables(target, create(target))
    cases = []
    for name, kind in zip(NAMES, KINDS, strict=True):
        fine, parked = (
            (kind.shown, kind.parked) if source == "postgresql" else (kind.mariadb_shown, kind.mariadb_parked)
        )
        for literal in (*fine, *parked):
            cases.append(
                (f"{name} {len(cases)}", name, kind, literal, source != target and literal in parked)
            )
    write(
        here,
        *(f"INSERT INTO thing (k, {name}) VALUES ('{key}', {text})" for key, name, _, text, _ in cases),
        *(f"INSERT INTO thing (k) VALUES ('{key} later')" for key, *_ in cases),
    )
    exchange(here, there)
    write(
        here,
        *(f"UPDATE thing SET {name} = {text} WHERE k = '{key} later'" for key, name, _, text, _ in cases),
    )
    exchange(here, there)
    assert here.fetch("SELECT * FROM {p}missed") == []
    copy_back(here, there)
    assert here.parked() == {}
    parked = {row.key: reason for row, reason in there.parked().items()}
    shown, wrong = look(here, source), []
    for key, name, kind, literal, refused in cases:
        for row in (key, f"{key} later"):
            first, back = shown[row, name], shown.get((f"{row}!", name))
            fate = parked.get(row, "shown" if first == back else f"changed: {first!r:.60} to {back!r:.60}")
            if fate != ("value" if refused else "shown"):
                wrong.append(f"{row} ({getattr(kind, source)}, {getattr(kind, target)}): {literal} {fate}")
    assert not wrong, "\n".join(wrong)


def test_geometry_keeps_its_system_of_reference(new_tables):
    script = "CREATE TABLE place (code varchar(20) PRIMARY KEY, g geometry) ENGINE=InnoDB"
    here, there = new_tables("mariadb", script), new_tables("mariadb", script)
    here.family("INSERT INTO place VALUES ('a', ST_GeomFromText('POINT(6.03 80.2)', 4326))")
    exchange(here, there)
    here.family("UPDATE place SET g = ST_GeomFromText('LINESTRING(0 0,1 1)', 3857)")
    exchange(here, there)
    found = there.family.rows("SELECT ST_SRID(g), ST_AsText(g) FROM place")
    assert found == [(3857, "LINESTRING(0 0,1 1)")]


def test_number_in_32_bits_is_shown_as_near_as_it_can_be_and_kept_in_full(new_tables):
    """Eden's floats have 64 bits on PostgreSQL and 32 on MySQL: its rows are not parked for that."""
    here = new_tables("postgresql", "CREATE TABLE thing (k varchar(20) PRIMARY KEY, f float8, n integer)")
    there = new_tables("mariadb", "CREATE TABLE thing (k varchar(20) PRIMARY KEY, f float, n integer)")
    here.family("INSERT INTO thing VALUES ('a', 0.1234567891, 1)")
    exchange(here, there)
    assert there.parked() == {}
    assert there.family.rows("SELECT round(f, 6) FROM thing") == [(0.123457,)]
    there.family("UPDATE thing SET n = 2")
    exchange(here, there)
    assert here.family.rows("SELECT f, n FROM thing") == [(0.1234567891, 2)]


FREE = {
    "postgresql": "CREATE TABLE thing (k varchar(80) PRIMARY KEY, i bigint, n numeric, f float8, t text, "
    "d date, ti time, ts timestamp, tz timestamptz, b bytea)",
    "mariadb": "CREATE TABLE thing (k varchar(80) PRIMARY KEY, i bigint, n decimal(65, 30), f double, "
    "t longtext, d date, ti time(6), ts datetime(6), tz datetime(6), b longblob) CHARSET=utf8mb4",
}
TIGHT = {
    "postgresql": "CREATE TABLE thing (k varchar(80) PRIMARY KEY, i smallint, n numeric(8, 3), f integer, "
    "t varchar(6), d timestamp, ti time(1), ts timestamp(2), tz date, b bytea)",
    "mariadb": "CREATE TABLE thing (k varchar(80) PRIMARY KEY, i int unsigned, n decimal(7, 2), "
    "f decimal(9, 4), t varchar(5) CHARACTER SET latin1, d datetime, ti time, ts datetime(3), tz datetime, "
    "b varbinary(5)) CHARSET=utf8mb4",
}
TEXTS = st.text(st.sampled_from("aéж😀 \x01'\\"), max_size=8) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8
)
DAYS = st.dates(date(1000, 1, 1))
MOMENTS = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 100_000 * 100_000)
) | st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31))
ROWS = st.fixed_dictionaries(
    {
        "i": st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 70_000),
        "n": st.decimals(-(10**9), 10**9, places=4) | st.decimals(-(10**5), 10**5, places=1),
        "f": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9).map(lambda n: n / 4),
        "t": TEXTS,
        "d": DAYS,
        "ti": st.times() | st.times().map(lambda t: t.replace(microsecond=0)),
        "ts": MOMENTS,
        "tz": MOMENTS | DAYS.map(lambda day: datetime.combine(day, time())),
        "b": st.binary(max_size=7),
    }
)


@pytest.mark.parametrize(("source", "target"), DIRECTIONS[:3], ids="-".join)
def test_any_value_in_a_narrower_column_is_shown_as_it_is_or_its_row_is_parked(new_tables, source, target):
    here, there = new_tables(source, FREE[source]), new_tables(target, TIGHT[target])
    columns = ["i", "n", "f", "t", "d", "ti", "ts", "tz", "b"]
    here.run("CREATE TABLE counted (n integer)")
    numbers = iter(range(10**6))
    fates = set()

    @hypothesis.settings(max_examples=4)
    @hypothesis.given(st.lists(ROWS, min_size=8, max_size=12))
    def law(rows):
        named = {}
        for row in rows:
            for column, value in row.items():
                key = f"{column} {next(numbers)}"
                named[key] = column
                if isinstance(value, datetime) and column == "tz" and source == "postgresql":
                    value = value.replace(tzinfo=UTC)
                here.family(f"INSERT INTO thing (k, {column}) VALUES (%s, %s)", key, value)
        exchange(here, there)
        there.run(
            f"INSERT INTO thing (k, {', '.join(columns)}) SELECT concat(k, '!'), {', '.join(columns)} "
            "FROM thing AS t WHERE k NOT LIKE '%!' AND NOT EXISTS "
            "(SELECT 1 FROM thing AS o WHERE o.k = concat(t.k, '!'))"
        )
        exchange(there, here)
        parked = {row.key for row in there.parked()}
        found = {
            key: values for key, *values in fetch(here.url, f"SELECT k, {', '.join(columns)} FROM thing")
        }
        for key, column in named.items():
            place = columns.index(column)
            fates.add((column, key in parked))
            if key not in parked:
                first, back = found[key][place], found[f"{key}!"][place]
                assert first == back or (isinstance(first, Decimal) and first == back), (key, first, back)

    law()
    assert {shown for _, shown in fates} == {True, False}
