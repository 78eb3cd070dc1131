"""Sets of modules, some or all but some, are sets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changecapture.core.scopes import Scopes, Terms, load_scopes, name_progress
from changecapture.errors import PeerError

NAMES = ["a", "b", "c", "d"]
sets = st.builds(Scopes, st.frozensets(st.sampled_from(NAMES[:3])), st.booleans())


def members(scopes: Scopes) -> set[str]:
    return {name for name in NAMES if name in scopes}


@given(sets, sets)
def test_what_is_in_both_is_in_each(left, right):
    assert members(left & right) == members(left) & members(right)


@given(sets, sets)
def test_covering_is_having_all_members(left, right):
    assert left.covers(right) == (members(left) >= members(right))


@given(sets)
def test_a_set_reads_as_it_was_written(scopes):
    assert load_scopes(scopes.dump()) == scopes


@given(sets, sets)
def test_other_scopes_have_another_progress(left, right):
    assert (name_progress("s", left) == name_progress("s", right)) == (left == right)
    assert len(name_progress("0" * 32, left)) <= 64


@given(sets, sets, sets)
def test_nothing_is_asked_for_that_was_not_offered_or_is_not_taken(send, accept, offered):
    asked = Terms(send, accept, offered).asked
    assert offered.covers(asked) and accept.covers(asked)


@given(sets)
def test_of_a_vector_only_these_scopes_are_left(scopes):
    vector = {("site", 1, name): 5 for name in NAMES}
    assert {scope for _, _, scope in scopes.of(vector)} == members(scopes)


@pytest.mark.parametrize(
    "text", ["x", "[]", '{"but":1}', '{"some":["a"]}', '{"only":["a"],"but":["b"]}', '{"only":[1]}', None, 5]
)
def test_what_is_no_set_of_modules_is_refused(text):
    with pytest.raises(PeerError):
        load_scopes(text)
