"""The laws of the lens: there and back is the identity on what both sides know; nothing moves by itself."""

from uuid import NAMESPACE_URL, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from changecapture.bridge import hanging
from changecapture.bridge.changes import Hidden, compare, tell_new
from changecapture.core.change import ALIVE, Entry, Order, Row
from changecapture.core.values import dump
from changecapture.mapping import load_mapping, read_text
from changecapture.mapping.difference import (
    UNKNOWN,
    Known,
    derived_key,
    find_difference,
    merge_known,
    read_new_parts,
    read_parts,
)
from changecapture.mapping.lens import get, put
from changecapture.mapping.narrow import concerned, narrow

LENS = load_mapping(read_text("vesuvius"), "vesuvius")
PHASE2 = load_mapping(read_text("sahana2"), "sahana2")
KEY = "pl.test/person.1"
NAMES = st.text("abc -", min_size=1, max_size=8).map(str.strip).filter(bool)

STATUSES = ["mis", "ali", "inj", "dec", "unk", "fnd", "zzz"]
HEIGHTS = [None, "180", "6 ft", "tall"]


def texts():
    return st.none() | NAMES


@st.composite
def eden_people(draw):
    person = {
        "first_name": draw(NAMES),
        "middle_name": draw(texts()),
        "last_name": draw(texts()),
        "gender": draw(st.sampled_from([None, 1, 2, 3, 4, 7])),
        "comments": draw(texts()),
    }
    parts = {part.name: None for part in LENS.records[0].common}
    parts |= {"pr_person": person, "pr_pentity": {}, "sit_trackable": {}}
    if draw(st.booleans()):
        parts["status"] = {"status": draw(st.sampled_from([1, 2, 3, 9, 42]))}
    if draw(st.booleans()):
        parts["physical"] = {"height_cm": draw(st.none() | st.integers(1, 250)), "eye_color": 4}
    return parts


@st.composite
def php_people(draw):
    return {
        "person_uuid": {
            "given_name": draw(texts()),
            "family_name": draw(texts()),
            "full_name": draw(texts()),
        },
        "person_status": {
            "opt_status": draw(st.sampled_from(["mis", "ali", "inj", "dec", "unk", "fnd", "zzz"]))
        },
        "person_details": {
            "opt_gender": draw(st.sampled_from([None, "mal", "fml", "cpx", "NULL", "odd"])),
            "years_old": draw(st.none() | st.integers(0, 99)),
            "last_seen": draw(texts()),
        },
        "person_physical": draw(
            st.none()
            | st.fixed_dictionaries(
                {"height": st.sampled_from([None, "180", "6 ft", "tall"]), "injuries": texts()}
            )
        ),
    }


def known_of(parts):
    """Return the merged rows that an Eden with these parts would have sent."""
    order = Order(1, "a", 1, 1)
    found = {}
    for part in LENS.records[0].common:
        columns = parts.get(part.name)
        if columns is not None:
            values = {**columns, **dict(part.match)}
            key = KEY
            if part.parent:
                values |= part.parent_columns(KEY)
                key = f"urn:{part.name}"
            found[part.table, key] = Known((order, True), values, dict.fromkeys(values, order))
    return found


def differences(known, local):
    record = LENS.records[0]
    shown = put(record, read_parts(record, KEY, known))
    actual, expected = get(record, local), get(record, shown)
    return list(find_difference(record, KEY, known, actual, expected, "2026-01-01T00:00:00"))


@st.composite
def first_entries(draw):
    """Return the first entries of the rows of a person, of which several may stand for one part."""
    refers = st.sampled_from([KEY, KEY, KEY, "pl.test/other", None])
    hung = {
        "pr_note": {"pe_id": refers, "status": st.sampled_from([None, 1, 2, 3])},
        "pr_contact": {
            "pe_id": refers,
            "contact_method": st.sampled_from(["EMAIL", "SMS", "SKYPE"]),
            "value": NAMES,
        },
        "pr_physical_description": {"pe_id": refers, "height_cm": st.integers(1, 250)},
    }
    rows = [("pr_person", KEY, {"first_name": draw(NAMES)}), ("pr_pentity", KEY, {})]
    for table, columns in hung.items():
        every = draw(st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=4))
        rows += [(table, f"urn:{n}", own) for n, own in enumerate(every)]
    stamps = draw(st.lists(st.integers(1, 4), min_size=len(rows), max_size=len(rows)))
    return [
        Entry("a", 1, n, 1, stamp, 0, "pr", table, key, dump({**columns, ALIVE: True}))
        for n, ((table, key, columns), stamp) in enumerate(zip(rows, stamps, strict=True), 1)
    ]


@given(first_entries())
def test_rows_with_one_entry_each_show_what_they_are_merged_to(entries):
    record = LENS.records[0]
    known = {entry.row: merge_known([entry]) for entry in entries}
    merged = put(record, read_parts(record, KEY, known))
    assert put(record, read_new_parts(record, KEY, entries)) == merged


@given(NAMES)
def test_a_key_is_derived_as_a_name_based_uuid_is(key):
    part = next(part for part in LENS.records[0].common if part.name == "status")
    assert derived_key(part, key) == uuid5(NAMESPACE_URL, f"changecapture/pr_note/status/{key}").urn


@given(eden_people())
def test_what_was_put_is_no_change(parts):
    known = known_of(parts)
    record = LENS.records[0]
    assert differences(known, put(record, read_parts(record, KEY, known))) == []


@given(php_people())
@settings(max_examples=200)
def test_put_shows_again_what_get_told(local):
    record = LENS.records[0]
    shown = put(record, get(record, local))
    again = get(record, shown)
    assert again == get(record, put(record, again))
    for name in ("person_uuid", "person_status", "person_details"):
        for column, value in local[name].items():
            if value not in (None, "", "NULL"):
                assert shown[name][column] == value


@given(eden_people(), php_people())
def test_a_change_that_is_put_back_is_known(parts, local):
    """What the application did, once merged, is what its rows show: nothing more is to be sent."""
    known = dict(known_of(parts))
    later = Order(2, "b", 1, 1)
    for change in differences(known, local):
        place = change.row
        before = known.get(place, UNKNOWN)
        values = {**before.values, **change.columns}
        orders = {**before.orders, **dict.fromkeys(change.columns, later)}
        alive = before.alive if change.alive is None else change.alive
        known[place] = Known((later, alive), values, orders)
    assert differences(known, local) == []


@given(php_people())
def test_a_person_that_nothing_is_known_of_is_told_at_once_as_by_comparing(local):
    record, at = LENS.records[0], "2026-01-01T00:00:00"
    told = list(tell_new(record, KEY, get(record, local), at))
    assert told == list(compare({}, record, KEY, {}, local, Hidden(), at))


def test_what_was_once_said_more_exactly_is_not_said_again_of_the_same_value():
    exact = "vesuvius:person_details.opt_gender"
    known = known_of({"pr_person": {"first_name": "Mary", "gender": 2, exact: [[None], "odd"]}})
    local = put(LENS.records[0], read_parts(LENS.records[0], KEY, known))
    assert local["person_details"]["opt_gender"] == "fml"
    local["person_details"]["opt_gender"] = None
    (change,) = differences(known, local)
    assert change.columns == {"gender": None, exact: None}


def test_an_edit_of_one_column_changes_no_other():
    record = LENS.records[0]
    known = known_of({"pr_person": {"first_name": "Mary", "middle_name": "Ann", "last_name": "X" * 60}})
    local = put(record, read_parts(record, KEY, known))
    local["person_details"]["opt_gender"] = "fml"
    (change,) = differences(known, local)
    assert change.columns == {"gender": 2}


def test_phase_2_splits_the_full_name_by_the_family_name():
    record = PHASE2.records[0]
    local = {"person_uuid": {"full_name": "Nadia Karimi", "family_name": "Karimi"}, "person_details": {}}
    person = get(record, local)["pr_person"]
    assert (person["first_name"], person["last_name"]) == ("Nadia", "Karimi")
    assert put(record, get(record, local))["person_uuid"]["full_name"] == "Nadia Karimi"


@pytest.mark.parametrize("lens", [LENS, PHASE2], ids=["vesuvius", "sahana2"])
@given(st.data())
def test_no_text_in_any_column_stops_a_lens(lens, data):
    for record in lens.records:
        local = {part.name: {} for part in record.local}
        for part, column in {pair.local for pair in record.pairs}:
            local[part][column] = data.draw(st.none() | st.text(max_size=6) | st.sampled_from(ODD))
        shown = put(record, get(record, local))
        assert get(record, shown) == get(record, put(record, get(record, shown)))


ODD = [
    "--5",
    "5\u00b2",
    "\u00b2",
    "150 lb",
    "1.75",
    "9999-12-31",
    "1980-00-00",
    "a\0b",
    "-",
    "+5",
    "1e3",
    "NULL",
]


@pytest.mark.parametrize(
    ("height", "told"),
    [("180", 180), ("180 cm", 180), ("180cm", 180), ("180.0", 180)]
    + [(text, None) for text in ("5 ft", "1.75", "150 lb", "--5", "\u00b2", "5\u00b2", "tall", "-3")],
)
def test_only_a_whole_number_in_the_unit_of_the_column_is_a_number(height, told):
    record = LENS.records[0]
    local = {"person_uuid": {}, "person_physical": {"height": height}}
    parts = get(record, local)
    assert parts["physical"]["height_cm"] == told
    assert put(record, parts)["person_physical"]["height"] == height


@pytest.mark.parametrize(
    ("born", "told"), [("1980-01-31", "1980-01-31"), ("1980-00-00", None), ("soon", None)]
)
def test_a_date_that_no_calendar_has_stays_exact_and_is_none_elsewhere(born, told):
    record = LENS.records[0]
    parts = get(record, {"person_uuid": {}, "person_details": {"birth_date": born}})
    assert parts["pr_person"]["date_of_birth"] == told
    assert put(record, parts)["person_details"]["birth_date"] == born


def test_a_full_name_alone_is_a_name():
    record = LENS.records[0]
    parts = get(record, {"person_uuid": {"full_name": "Madonna"}})
    assert parts["pr_person"]["first_name"] == "Madonna"
    shown = put(record, parts)
    assert get(record, shown)["pr_person"] == parts["pr_person"]
    assert shown["person_uuid"]["full_name"] == "Madonna"


def test_a_note_of_the_last_year_does_not_stop_a_status():
    record = LENS.records[0]
    known = dict(known_of({"pr_person": {"first_name": "A"}, "pr_pentity": {}, "sit_trackable": {}}))
    last = {"pe_id": KEY, "status": 1, "timestmp": "9999-12-31T23:59:59"}
    known["pr_note", "n"] = Known((Order(1, "a", 1, 1), True), last, dict.fromkeys(last, Order(1, "a", 1, 1)))
    local = put(record, read_parts(record, KEY, known))
    local["person_status"]["opt_status"] = "fnd"
    (change,) = differences(known, local)
    assert change.columns["status"] == 2


def test_codes_that_lead_one_way_do_not_come_back():
    record = LENS.records[0]
    assert (
        get(record, {"person_uuid": {}, "person_physical": {"opt_hair_color": "BLD"}})["physical"][
            "hair_color"
        ]
        == 99
    )
    assert put(record, {"pr_person": {}, "physical": {"hair_color": 99}})["person_physical"] is None


@pytest.mark.parametrize("key", ["", "k" * 5000, "a\0b", 7, None, ["x"]])
def test_what_is_no_key_hangs_on_nothing(key):
    assert hanging(LENS, [(Row("pr_note", "n"), {"pe_id": key})]) == {}


@given(php_people(), st.data())
def test_a_narrowed_record_tells_what_the_whole_one_does(local, data):
    record = LENS.records[0]
    asked = data.draw(st.sets(st.sampled_from([part.name for part in record.local]), min_size=1))
    narrowed = narrow(record, frozenset(asked))
    whole, told = get(record, local), get(narrowed, local)
    for part in narrowed.common:
        own, every = told[part.name], whole[part.name]
        if part.parent:
            assert own == every
        else:
            assert own.items() <= every.items()
    shown = put(narrowed, {part.name: whole[part.name] for part in narrowed.common})
    every = put(record, whole)
    assert {name: shown[name] for name in asked} == {name: every[name] for name in asked}


def test_a_status_concerns_no_name_and_a_name_no_status():
    record = LENS.records[0]
    assert concerned(record, frozenset({("status", "status")})) == {"person_status"}
    assert concerned(record, frozenset({("pr_person", "last_name")})) == {"person_uuid"}
    assert [part.name for part in narrow(record, frozenset({"person_status"})).common] == [
        "pr_person",
        "status",
    ]
