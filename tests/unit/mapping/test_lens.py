"""The laws of the lens: there and back is the identity on what both sides know; nothing moves by itself."""

from hypothesis import given, settings
from hypothesis import strategies as st

from changecapture.core.change import Order
from changecapture.mapping import load_mapping, read_text
from changecapture.mapping.difference import UNKNOWN, Known, find_difference, read_parts
from changecapture.mapping.lens import get, put

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
        place = change.part.table, change.key
        before = known.get(place, UNKNOWN)
        values = {**before.values, **change.columns}
        orders = {**before.orders, **dict.fromkeys(change.columns, later)}
        alive = before.alive if change.alive is None else change.alive
        known[place] = Known((later, alive), values, orders)
    assert differences(known, local) == []


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
