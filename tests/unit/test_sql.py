"""The .sql files' reader: statements by name, holes by substitution, nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changecapture.sql import fill, split_statements

TEXT = """-- A file's own header.

-- statement: first
-- What it does.
-- Reads: nothing.
SELECT {{one}}; -- not a header
-- nor is this
SELECT '{{two}}'

-- statement: second
BEGIN; SELECT 1; END
"""


def test_statements_come_by_name_in_the_order_of_the_file():
    assert list(split_statements(TEXT)) == ["first", "second"]


def test_header_is_left_out_and_the_body_kept_whole():
    body = split_statements(TEXT)["first"]
    assert body == "SELECT {{one}}; -- not a header\n-- nor is this\nSELECT '{{two}}'"


def test_statement_is_not_split_on_semicolons():
    assert split_statements(TEXT)["second"] == "BEGIN; SELECT 1; END"


def test_name_that_stands_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        split_statements("-- statement: a\nX\n-- statement: a\nY\n")


def test_file_without_statements_has_none():
    assert split_statements("-- only a header\n") == {}


def test_holes_are_filled_wherever_they_stand():
    assert fill("{{a}} {{b}} {{a}}", a=1, b="x") == "1 x 1"


@pytest.mark.parametrize("holes", [{}, {"a": 1}, {"a": 1, "b": 2, "c": 3}, {"b": 2, "c": 3}])
def test_missing_and_unused_holes_are_refused(holes):
    with pytest.raises(ValueError, match="holes"):
        fill("{{a}} {{b}}", **holes)


@given(st.text())
def test_what_fills_a_hole_is_not_looked_at_again(text):
    assert fill("<{{a}}>", a=text) == f"<{text}>"


def test_filling_with_another_hole_s_mark_does_not_fill_it():
    assert fill("{{a}} {{b}}", a="{{b}}", b="x") == "{{b}} x"


@pytest.mark.parametrize("text", ["$capture$ %s :name @x {one} { {two} }"])
def test_marks_of_other_languages_are_no_holes(text):
    assert fill(text) == text
