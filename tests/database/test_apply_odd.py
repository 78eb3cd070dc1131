"""Values, columns and keys that a table cannot hold: parked, and the rest of the batch goes on."""

from dataclasses import replace

import pytest

from changecapture.apply import retry
from changecapture.core.change import Row
from tests.support.stranger import apply, stranger

HOSTILE = [
    True,
    -(2**70),
    1e300,
    "x" * 10_000,
    "nul \0",
    "not a number",
    "",
    [],
    [1],
    {},
    {"base64": "!"},
    {"a": {"b": []}},
]


@pytest.mark.parametrize("column", ["note", "boss", "name"])
def test_value_that_does_not_fit_is_parked_and_the_rest_goes_on(home, column):
    odd = [
        stranger("parent", f"odd {n}", n, **{column: value, "@alive": True})
        for n, value in enumerate(HOSTILE, start=1)
    ]
    apply(home, *odd, stranger("parent", "fine", 50, **{"@alive": True}))
    shown = home.family.shown("parent")
    assert "fine" in shown
    assert {Row("parent", e.key) for e in odd if e.key not in shown} == set(home.parked())
    assert set(home.parked().values()) <= {"value"}
    assert home.parked()
    for number, entry in enumerate(odd, start=100):
        apply(home, stranger("parent", entry.key, number, 2000, **{column: None, "@alive": True}))
    assert len(home.family.shown("parent")) == len(odd) + 1
    assert home.parked() == {}


def test_eden_value_that_does_not_fit_is_parked(site):
    """Every kind of column that Eden has."""
    columns = {
        "gis_location": ["lat", "start_date", "created_on", "level", "parent", "name"],
        "hrm_shift_template": ["start_time"],
        "project_location": ["percentage"],
        "pr_person_availability": ["schedule_json"],
        "hrm_course": ["pass_mark"],
    }
    more = {
        "gis_location": {"gis_feature_type": 1},
        "project_location": {"name": "n"},
        "hrm_course": {"name": "n"},
    }
    entries = [
        stranger(table, f"urn:{name}:{n}", 0, **{**more.get(table, {}), name: value, "@alive": True})
        for table, names in columns.items()
        for name in names
        for n, value in enumerate(HOSTILE)
    ]
    apply(site, *(replace(entry, number=n) for n, entry in enumerate(entries, start=1)))
    assert set(site.parked().values()) <= {"value"}
    assert len(site.parked()) > len(HOSTILE)
    apply(site, stranger("pr_contact", "urn:fine", 9999, value="v", **{"@alive": True}))
    assert site.eden.fetch("SELECT value FROM pr_contact") == [("v",)]


ODD_COLUMNS = [
    *({"@alive": "yes"}, {"@alive": None}, {"@alive": 1}, {"@alive": []}),
    *({"@unseen": 5}, {"@unseen": [1, {}]}, {"@unseen": "text"}),
    *({"@other": 1}, {"unknown column": 1}, {"": 1}, {}),
]


def test_odd_columns_stop_nothing(home):
    for number, columns in enumerate(ODD_COLUMNS):
        key = f"odd {number}"
        home.family.add_parent(key)
        home.publish()
        later = 10**15 * 2
        apply(home, stranger("parent", key, number * 3 + 1, later, **columns))
        apply(home, stranger("parent", key, number * 3 + 2, later + 1, note="n", **{"@alive": True}))
        assert home.family.shown("parent")[key] == "n"
    assert home.parked() == {}


ODD_KEYS = [
    *("x" * 512, "not json", "[]", "[1]", '["p"]', '["p","c","d"]', "[null,null]", "[{},{}]", "7"),
    *("[[],[]]", '"text"', "null", "[1e999,NaN]", '["p",' * 60),
]


@pytest.mark.parametrize("table", ["link", "parent", "line", "word"])
def test_odd_key_stops_nothing(home, table):
    odd = [stranger(table, key, n, note="n", **{"@alive": True}) for n, key in enumerate(ODD_KEYS, start=1)]
    apply(home, *odd, stranger("parent", "p", 50, **{"@alive": True}))
    assert "p" in home.family.shown("parent")
    gone = [stranger(table, key, 100 + n, 2000, **{"@alive": False}) for n, key in enumerate(ODD_KEYS)]
    apply(home, *gone)
    assert retry(home.store) == 0


def test_row_without_any_column_is_inserted(home):
    apply(home, stranger("line", "k", 1, **{"@alive": True}), stranger("parent", "p", 2, **{"@alive": True}))
    assert home.family.rows("SELECT note FROM line") == [(None,)]
    assert home.family.rows("SELECT note FROM parent") == [(None,)]
