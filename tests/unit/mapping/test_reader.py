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
    ],
)
def test_what_is_wrong_is_told_with_its_line(old, new, line, what):
    with pytest.raises(ConfigError) as raised:
        load_mapping(GOOD.replace(old, new), "bad.toml")
    assert f"bad.toml, line {line}: " in str(raised.value) and what in str(raised.value)


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
