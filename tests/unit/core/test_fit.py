"""What a column would change without a word is told before it is written. On real servers: test_kinds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changecapture.core.fit import find_fit, find_key_fit
from changecapture.core.table import SyncedColumn
from changecapture.core.values import canonical


def fit_of(type_, kind, engine="mysql", *, zone=None, quiet=False):
    return find_fit(SyncedColumn("c", type_, kind, True, None, zone), engine, quiet=quiet)


@pytest.mark.parametrize(
    ("type_", "kind", "value", "fits"),
    [
        ("decimal(6,2)", "decimal", "1.25", True),
        ("decimal(6,2)", "decimal", "1.255", False),
        ("decimal(6,2)", "decimal", "1e-3", False),
        ("varchar(3)", "text", "abc ", False),
        ("varchar(3)", "text", "abcd", True),  # refused by the database
        ("tinytext", "text", "é" * 127 + " ", True),
        ("tinytext", "text", "é" * 127 + "  ", False),
        ("enum('a','it''s')", "text", "it's", True),
        ("enum('a','it''s')", "text", "A", False),
        ("set('a','b')", "text", "b,a", False),
        ("datetime", "datetime", "2024-01-01T10:00:00.5", False),
        ("datetime(1)", "datetime", "2024-01-01T10:00:00.5", True),
        ("datetime", "datetime", "10:00:00", False),
        ("binary(2)", "bytes", {"base64": "AA=="}, False),
        ("varbinary(2)", "bytes", {"base64": "AA=="}, True),
        ("varbinary(2)", "bytes", {"geometry": "AA=="}, False),
        ("bigint", "integer", "12", True),
        ("bigint", "integer", "1.5", False),
        ("double", "float64", "0.1", True),
        ("double", "float64", "0.12345678901234567890", False),
    ],
)
def test_column_takes_what_it_shows(type_, kind, value, fits):
    fit = fit_of(type_, kind)
    if fits:
        fit(value)
    else:
        with pytest.raises(ValueError):
            fit(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_scale_counts_digits_that_say_something(number):
    fit = fit_of("decimal(30,2)", "decimal")
    text = canonical("decimal", str(number))
    if len(text.partition(".")[2]) <= 2:
        assert fit(text) == text
    else:
        with pytest.raises(ValueError):
            fit(text)


def test_quiet_column_shows_what_it_can():
    assert fit_of("decimal(6,2)", "decimal", quiet=True) is None
    assert fit_of("datetime", "datetime", quiet=True)("2024-01-01T10:00:00.5") == "2024-01-01T10:00:00.5"
    berlin = fit_of("datetime", "datetime", zone="Europe/Berlin", quiet=True)
    assert berlin("2024-10-27T01:30:00") == "2024-10-27T02:30:00"


def test_key_is_found_by_its_spelling():
    fit = find_key_fit(SyncedColumn("u", "uuid", "text", False), "postgresql")
    with pytest.raises(ValueError, match="spelled"):
        fit("6F9619FF-8B86-D011-B42D-00C04FC964FF")
