"""What edits of common columns show, told from these alone, is what all of the record shows."""

from hypothesis import given, settings
from hypothesis import strategies as st

from changecapture.apply.mapped_write import decide_row
from changecapture.mapping.lens import put
from changecapture.mapping.parts import Place
from changecapture.mapping.showing import find_showing
from tests.unit.mapping.test_lens import KEY, LENS, PHASE2, texts

RECORD = LENS.records[0]
VALUES = texts() | st.sampled_from([None, 1, 2, 3, 9, "1980-01-01"])


def places_of(record):
    """Return the common columns that entries of a record may write."""
    found = {place for pair in record.pairs for place in (*pair.common, exact_of(pair))}
    found |= {Place(record.root.name, item.name) for item in record.carried}
    assert found <= record.common_places
    return sorted(found | {Place(p.name, column) for p in record.common for column, _ in p.set})


def exact_of(pair):
    return Place(pair.common[0].part, pair.exact)


@st.composite
def rows_of(draw, record, places):
    """Return values of common columns, some of which stand for others more exactly."""
    rows = {place.part: {} for place in places}
    for part, column in places:
        rows[part][column] = draw(VALUES)
    for pair in record.pairs:
        part, column = exact_of(pair)
        if column in rows.get(part, ()):
            common = [rows.get(place.part, {}).get(place.column) for place in pair.common]
            rows[part][column] = draw(st.none() | st.just([common, "exactly"]))
    return rows


def check(record, data):
    every = places_of(record)
    written = data.draw(st.sets(st.sampled_from(every), min_size=1, max_size=5))
    showing = find_showing(record, record.common_places & written)
    if showing is None or showing.needs:
        return
    parts = {part.name: {} for part in record.common} | data.draw(rows_of(record, every))
    said = data.draw(rows_of(record, sorted(written)))
    later = {name: {**columns, **said.get(name, {})} for name, columns in parts.items()}
    before, after = put(record, parts), put(record, later)
    shown = showing.show(record, said, {name: parts[name] for name in showing.reads})
    for part in record.local:
        was, now = before[part.name], after[part.name]
        decided = decide_row(record, part, KEY, now, was, False, True) or {}
        told = shown.get(part.name, {})
        assert told == {column: now[column] for column in told}
        assert told == decided if part.name in showing.halves else decided.items() <= told.items()


@given(st.data())
@settings(max_examples=60)
def test_edits_show_what_the_whole_record_shows_then(data):
    check(RECORD, data)


@given(st.data())
@settings(max_examples=40)
def test_edits_show_what_the_whole_record_of_phase_2_shows_then(data):
    check(PHASE2.records[0], data)


def test_what_is_half_of_a_name_is_read():
    showing = find_showing(RECORD, frozenset({Place("pr_person", "last_name")}))
    assert showing is not None and showing.reads == ("pr_person",)
    status = frozenset({Place("status", "status"), Place("status", "vesuvius:person_status.opt_status")})
    assert find_showing(RECORD, status).reads == ()
    both = find_showing(RECORD, status | {Place("pr_person", "last_name")})
    assert both.reads == ("pr_person",) and both.halves == {"person_uuid"}


def test_an_edit_that_another_row_may_show_is_left():
    assert find_showing(RECORD, frozenset({Place("email", "value")})) is None
    assert find_showing(RECORD, frozenset({Place("status", "pe_id"), Place("status", "status")})) is None
    assert find_showing(RECORD, frozenset({Place("physical", "height_cm")})) is None
