"""Edits told from the rows as they are say what is told with all that the log knows."""

from hypothesis import given, settings
from hypothesis import strategies as st

from changecapture.bridge.changes import Hidden, compare
from changecapture.bridge.edits import find_columns, find_saying
from changecapture.core.change import Order, Row, Version
from changecapture.mapping.difference import UNKNOWN, Known, derived_key, read_parts
from changecapture.mapping.lens import get, put
from changecapture.mapping.parts import Place
from tests.unit.mapping.test_lens import HEIGHTS, KEY, LENS, NAMES, PHASE2, php_people, texts

RECORD, OLD = LENS.records[0], PHASE2.records[0]
AT = 1_767_225_600_000_000
"""2026 begins."""
COLUMNS = {
    Place("person_uuid", "given_name"): NAMES,
    Place("person_uuid", "family_name"): NAMES,
    Place("person_uuid", "full_name"): NAMES,
    Place("person_status", "opt_status"): st.sampled_from(["mis", "ali", "inj", "dec", "unk", "fnd", "zzz"]),
    Place("person_details", "opt_gender"): st.sampled_from(["mal", "fml", "cpx", "odd"]),
    Place("person_details", "years_old"): st.integers(0, 99),
    Place("person_details", "last_seen"): NAMES,
    Place("person_details", "birth_date"): st.sampled_from(["1980-01-01", "1980-00-00"]),
    Place("person_physical", "height"): st.sampled_from([height for height in HEIGHTS if height]),
    Place("person_physical", "injuries"): NAMES,
}


PAIRS_OF_NAMES = st.fixed_dictionaries({"full_name": texts(), "family_name": texts()})


def told_by(local, record=RECORD):
    """Return the merged common rows of a person whom an application made."""
    order = Order(1, "a", 1, 1)
    found = {}
    for part in record.common:
        columns = get(record, local)[part.name]
        if columns is not None:
            key = derived_key(part, KEY) if part.parent else KEY
            values = {**columns, **dict(part.match), **(part.parent_columns(KEY) or {})}
            found[part.table, key] = Known((order, True), values, dict.fromkeys(values, order))
    return found


@given(php_people(), st.data())
@settings(max_examples=100)
def test_an_edit_says_what_comparing_says_and_else_what_is_known(local, data):
    shown = put(RECORD, read_parts(RECORD, KEY, told_by(local)))
    if data.draw(st.booleans()):  # the site that made the person has it as it was written there
        shown = {part.name: local.get(part.name) for part in RECORD.local}
    now = dict(shown)
    for place in data.draw(st.sets(st.sampled_from(sorted(COLUMNS)), min_size=1, max_size=4)):
        if now[place.part] is not None:
            now[place.part] = {**now[place.part], place.column: data.draw(COLUMNS[place])}
    check_edit(RECORD, told_by(local), shown, now)


@given(PAIRS_OF_NAMES, PAIRS_OF_NAMES)
@settings(max_examples=100)
def test_an_edit_of_names_of_phase_2_says_what_comparing_says(names, other):
    shown = {part.name: None for part in OLD.local} | {"person_uuid": names}
    now = {**shown, "person_uuid": {c: other[c] or name for c, name in names.items()}}
    check_edit(OLD, told_by(shown, OLD), shown, now)


def check_edit(record, known, shown, now):
    """Fail unless an edit says what comparing says, and besides only what is known, or is left."""
    written = frozenset(
        Place(part.name, column)
        for part in record.local
        for column, value in (now[part.name] or {}).items()
        if value != shown[part.name].get(column)
    )
    saying = find_saying(record, written)
    if saying is None:
        return
    rows = [Row(part.table, derived_key(part, KEY) if part.parent else KEY) for part, _ in saying.says]
    if not known.keys() >= set(rows):
        return
    told = find_columns(saying, now, AT, dict.fromkeys(rows, Version(0, "a", True, 0)), rows)
    if told is None:
        return
    compared = {
        change.row: change.columns
        for change in compare({}, record, KEY, known, now, Hidden(), "2026-01-01T00:00:00")
    }
    quick = dict(zip(rows, told, strict=True))
    assert compared.keys() <= quick.keys()
    for row, columns in quick.items():
        before = known.get(row, UNKNOWN).values
        one, other = ({**before, **each} for each in (columns, compared.get(row, {})))
        if row in compared or row.table != "pr_note":  # else: the moment at which the same was said
            assert {c: v for c, v in one.items() if v is not None} == {
                c: v for c, v in other.items() if v is not None
            }


def test_an_edit_of_a_row_that_others_may_stand_for_is_left():
    assert find_saying(RECORD, frozenset({Place("email", "contact_value")})) is None


def test_an_edit_beside_a_full_name_that_stands_alone_is_left():
    saying = find_saying(RECORD, frozenset({Place("person_uuid", "family_name")}))
    row = Row("pr_person", KEY)
    names = {"given_name": None, "family_name": "Prince", "full_name": "Madonna"}
    versions = {row: Version(0, "a", True, 0)}
    assert find_columns(saying, {"person_uuid": names}, AT, versions, [row]) is None
    names["given_name"] = "M."
    assert find_columns(saying, {"person_uuid": names}, AT, versions, [row]) is not None
