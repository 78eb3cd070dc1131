"""A mapping that is wrong is refused with the line; the documented coverage is that of the files."""

import re
from pathlib import Path

import pytest

from changecapture.errors import ConfigError
from changecapture.mapping import MAPPINGS, load_mapping, read_text
from changecapture.mapping.check import check_mapping
from tests.support.catalogues import load_catalogue

GOOD = """title = "t"
[[record]]
name = "person"
  [[record.local]]
  table = "person"
  [[record.common]]
  table = "pr_person"
  [[record.column]]
  local = "person.name"
  common = "pr_person.last_name"
"""
LAST = 'common = "pr_person.last_name"'


def test_a_good_mapping_is_read():
    assert load_mapping(GOOD, "good.toml").records[0].pairs[0].local.column == "name"


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        ('local = "person.name"', 'local = "camp.name"', 9, "names 'camp.name'"),
        ('  table = "pr_person"', '  tabel = "pr_person"', 7, "unknown key 'tabel'"),
        (
            'common = "pr_person.last_name"',
            'common = "pr_person.last_name"\n  number = 3',
            11,
            "'number' is 3",
        ),
        (
            'common = "pr_person.last_name"',
            'common = "pr_person.last_name"\n  values = ["a"]',
            11,
            "'values' holds",
        ),
        ('  table = "person"', '  table = "person"\n  key = ["@key", "x"]', 6, "has the record's key"),
        (
            'common = "pr_person.last_name"',
            'common = "pr_person.last_name"\n  whole = "pr_person.nick"',
            11,
            "'whole' names 'nick'",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_line(old, new, line, what):
    with pytest.raises(ConfigError) as raised:
        load_mapping(GOOD.replace(old, new), "bad.toml")
    assert f"bad.toml, line {line}: " in str(raised.value) and what in str(raised.value)


TABLE = '  table = "pr_person"'
SECOND = '  [[record.local]]\n  name = "b"\n  table = "person"\n'
COMMON = "  [[record.common]]"
NAME = 'name = "person"\n'


@pytest.mark.parametrize(
    ("old", "new", "line", "what"),
    [
        (LAST, LAST + "\n  values = [[['a'], 1]]", 11, "'values' has ['a']"),
        (LAST, LAST + "\n  values = [['a', 1979-05-27]]", 11, "'values' has datetime.date(1979"),
        (LAST, LAST + "\n  values = [['a', 1], ['a', 2]]", 11, "'a' stands twice"),
        (LAST, LAST + "\n  values = 3", 11, "'values' is 3"),
        (LAST, LAST + "\n  length = 0", 11, "'length' is 0"),
        (LAST, LAST + "\n  number = true\n  date = true", 12, "'number' and 'date' stand together"),
        (LAST, LAST + "\n  unit = 'cm'", 11, "'unit' without 'number'"),
        (LAST, LAST + "\n  local_none = [1]", 11, "'local_none' has [1]"),
        (LAST, "common = 3", 10, "'common' is 3"),
        (LAST, "common = ['pr_person.a', 'pr_person.b']\n  number = true", 11, "several columns compose"),
        (TABLE, TABLE + "\n  parent = [1]", 8, "'parent' is [1]"),
        (TABLE, TABLE + "\n  parent = 'pe_id'", 8, "the first common row is the record"),
        (TABLE, TABLE + "\n  parent = ['a', 'b']\n  codes = { a = 3 }", 9, "'codes' holds 3"),
        (TABLE, TABLE + "\n  parent = ['a', 'b']\n  codes = { c = [] }", 9, "'codes' names 'c'"),
        (TABLE, TABLE + "\n  set = { a = [1] }", 8, "'set' has [1]"),
        (NAME, NAME + "skip = [1]\n", 4, "'skip' is [1]"),
        (NAME, NAME + 'carried = ["person.name"]\n', 4, "person.name is carried"),
        (COMMON, SECOND + "  key = [1]\n" + COMMON, 9, "'key' is [1]"),
        (COMMON, SECOND + COMMON, 8, "person belongs to two rows"),
        (GOOD, 'title = "t"\nrecord = [1]', 2, "1 stands where a table must"),
    ],
)
def test_what_makes_no_sense_is_told_with_its_line(old, new, line, what):
    with pytest.raises(ConfigError) as raised:
        load_mapping(GOOD.replace(old, new, 1), "bad.toml")
    assert what in str(raised.value) and f"bad.toml, line {line}: " in str(raised.value), raised.value


def test_a_table_of_two_records_is_refused():
    again = GOOD.split("\n", 1)[1].replace('name = "person"', 'name = "other"')
    with pytest.raises(ConfigError, match=r"line 14: person belongs to two rows of the mapping"):
        load_mapping(GOOD + again, "bad.toml")


@pytest.mark.parametrize("place", ['parent = ["pe_id", "nothing"]', "set = { nothing = 1 }"])
def test_columns_that_a_database_lacks_are_told_with_their_line(place):
    text = GOOD.replace(TABLE, f"{TABLE}\n  {place}")
    found = check_mapping(load_mapping(text, "ours"), text, load_catalogue("eden-postgresql"))
    assert (8, "pr_person has no column nothing") in [(f.line, f.what) for f in found]


@pytest.mark.parametrize(("name", "schema"), [("vesuvius", "vesuvius-mysql"), ("sahana2", "sahana2-mysql")])
def test_packaged_mappings_fit_both_applications(name, schema):
    text = read_text(name)
    mapping = load_mapping(text, name)
    assert check_mapping(mapping, text, load_catalogue(schema)) == []
    assert check_mapping(mapping, text, load_catalogue("eden-postgresql")) == []


@pytest.mark.parametrize("name", MAPPINGS)
def test_documented_coverage_is_that_of_the_file(name):
    documented = Path(__file__).parents[3].joinpath("docs", "mapping.md").read_text(encoding="utf-8")
    column = {"vesuvius": 3, "sahana2": 4}[name]
    listed: set[str] = set()
    for row in documented.splitlines():
        cells = row.split("|")
        if len(cells) > 5 and "both ways" in cells[column]:
            listed |= set(re.findall(r"`(\w+)`", cells[column]))
    assert listed == set(load_mapping(read_text(name), name).local_tables)


def test_mapping_that_the_documentation_shows_can_be_read():
    text = Path(__file__).parents[3].joinpath("docs", "mapping.md").read_text(encoding="utf-8")
    _, example = text.split("## A mapping of your own")
    shown = "\n".join(line[4:] for line in example.splitlines() if line.startswith("    "))
    assert len(load_mapping(shown, "shown").records[0].pairs) == 2
