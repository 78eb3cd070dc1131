"""Canonical values: one form for each value, whichever engine printed it."""

import json
import math
import struct
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changecapture.core import values

CASES = [
    ("integer", 7, 7),
    ("integer", -(2**63), -(2**63)),
    ("boolean", True, 1),
    ("boolean", False, 0),
    ("boolean", "t", 1),
    ("boolean", "false", 0),
    ("boolean", 1, 1),
    ("decimal", "1.500", "1.5"),
    ("decimal", "1000", "1000"),
    ("decimal", "1E+3", "1000"),
    ("decimal", "-0.00", "0"),
    ("decimal", ".5", "0.5"),
    ("decimal", "NaN", "NaN"),
    ("decimal", "-Infinity", "-Infinity"),
    ("decimal", "123456789012345678901234567890.10", "123456789012345678901234567890.1"),
    ("float64", 3.0, 3),
    ("float64", -0.0, 0),
    ("float64", 0.1, 0.1),
    ("float64", "NaN", "NaN"),
    ("float64", "-Infinity", "-Infinity"),
    ("float32", 0.1234567891, 0.12345679),
    ("float32", 0.10000000149011612, 0.1),
    ("float32", 16777216.0, 16777216),
    ("float32", "NaN", "NaN"),
    ("text", "", ""),
    ("text", 'it\'s \\ "quoted"\n\x01', 'it\'s \\ "quoted"\n\x01'),
    ("date", "2024-02-29", "2024-02-29"),
    ("time", "10:00:00.500000", "10:00:00.5"),
    ("time", "10:00:00", "10:00:00"),
    ("datetime", "2024-01-02 03:04:05", "2024-01-02T03:04:05"),
    ("datetime", "2024-01-02T03:04:05.000000", "2024-01-02T03:04:05"),
    ("datetime", "2024-01-02T03:04:05.120", "2024-01-02T03:04:05.12"),
    ("datetime", "2024-01-02T03:04:10", "2024-01-02T03:04:10"),
    ("datetime", "0044-03-15T00:00:00 BC", "0044-03-15T00:00:00 BC"),
    ("datetime", "infinity", "infinity"),
    ("instant", "2024-01-02T03:04:05.1", "2024-01-02T03:04:05.1"),
    ("bytes", {"base64": "AAE="}, {"base64": "AAE="}),
]

RAW = {
    "integer": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.sampled_from([True, False, 0, 1, "t", "f"]),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False, places=6).map(str),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
    "float32": st.floats(allow_nan=False, allow_infinity=False, width=32),
    "text": st.text(),
    "json": st.text(),
    "date": st.dates().map(str),
    "time": st.times().map(str),
    "datetime": st.datetimes().map(str),
    "instant": st.datetimes().map(lambda moment: moment.isoformat()),
}


@pytest.mark.parametrize(("kind", "raw", "expected"), CASES)
def test_canonical_form(kind, raw, expected):
    found = values.canonical(kind, raw)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("kind", [*values.KINDS, "kind of another version"])
def test_null_is_null_for_every_kind(kind):
    assert values.canonical(kind, None) is None


@given(st.sampled_from(sorted(RAW)).flatmap(lambda kind: st.tuples(st.just(kind), RAW[kind])))
def test_canonical_form_stays_when_it_travels(case):
    kind, raw = case
    once = values.canonical(kind, raw)
    travelled = json.loads(values.dump(once))
    assert travelled == once
    again = values.canonical(kind, travelled)
    assert values.dump(again) == values.dump(once)


@given(st.sampled_from(sorted(RAW)).flatmap(lambda kind: st.tuples(st.just(kind), RAW[kind])))
def test_kind_that_needs_no_canonical_form_is_left_alone(case):
    kind, raw = case
    assert values.needs_canonical(kind) or values.canonical(kind, raw) is raw


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30))
def test_decimal_keeps_its_number_in_one_spelling(number):
    text = values.canonical("decimal", str(number))
    assert Decimal(text) == number
    assert "e" not in text.lower()
    assert values.canonical("decimal", f"{text}{'' if '.' in text else '.'}00") == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float64_loses_no_bit(number):
    assert float(json.loads(values.dump(values.canonical("float64", number)))) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_float32_is_the_same_from_both_precisions(number):
    try:
        single = struct.unpack("<f", struct.pack("<f", number))[0]
    except OverflowError:
        assert values.canonical("float32", number) == values.canonical("float64", number)
        return
    assert values.canonical("float32", number) == values.canonical("float32", single)
    if math.isfinite(single):
        short = values.canonical("float32", number)
        assert struct.unpack("<f", struct.pack("<f", short))[0] == single
        assert len(Decimal(repr(short)).normalize().as_tuple().digits) <= 9


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float32_equals_its_own_rounding(number):
    shown = float(f"{number:.9g}")
    assert values.equal("float32", number, shown)


@pytest.mark.parametrize(
    ("kind", "left", "right", "expected"),
    [
        ("float32", 0.1234567891, 0.12345679, True),
        ("float64", 0.1234567891, 0.12345679, False),
        ("float32", 0.5, 0.25, False),
        ("float32", "NaN", 0.5, False),
        ("float32", None, 0.5, False),
        ("text", "a", "A", False),
        ("text", "", None, False),
    ],
)
def test_equality_is_that_of_a_table_of_the_kind(kind, left, right, expected):
    assert values.equal(kind, left, right) is expected


def test_float_that_32_bits_cannot_hold_is_equal_to_itself_only():
    assert values.equal("float32", 1e300, 1e300)
    assert not values.equal("float32", 1e300, 1e301)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=5))
def test_dump_is_compact_and_reads_back(value):
    text = values.dump(value)
    assert json.loads(text) == value
    assert values.dump(json.loads(text)) == text
