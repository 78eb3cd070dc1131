"""Version vectors: an order, and a text that a stranger may have written."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changecapture.core.vector import (
    covers_name,
    covers_vector,
    digest_vector,
    dump_vector,
    load_vector,
    tree_vector,
)
from changecapture.errors import PeerError

components = st.tuples(st.sampled_from(["a", "b"]), st.integers(1, 2), st.sampled_from(["pr", "org"]))
vectors = st.dictionaries(components, st.integers(0, 3))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def held(vector):
    """Return what a vector says without components at 0, which say nothing."""
    return {component: number for component, number in vector.items() if number}


@given(vectors, vectors)
def test_vectors_that_cover_each_other_are_equal(left, right):
    both = covers_vector(left, right) and covers_vector(right, left)
    assert both == (held(left) == held(right))


@given(vectors, components, st.integers(1, 4))
def test_name_is_covered_when_the_vector_has_come_so_far(vector, component, number):
    origin, epoch, scope = component
    covered = covers_name(vector, origin, epoch, scope, number)
    assert covered == covers_vector(vector, {component: number})


@given(vectors)
def test_text_reads_back(vector):
    assert load_vector(dump_vector(vector)) == vector


@given(vectors)
def test_text_and_digest_do_not_depend_on_the_order(vector):
    turned = dict(reversed(vector.items()))
    assert dump_vector(turned) == dump_vector(vector)
    assert digest_vector(turned) == digest_vector(vector)


@given(vectors, vectors)
def test_digest_tells_vectors_apart(left, right):
    assert (digest_vector(left) == digest_vector(right)) == (left == right)


@given(json_values)
def test_whatever_is_no_vector_is_refused(tree):
    try:
        vector = tree_vector(tree)
    except PeerError:
        return
    assert tree_vector(json.loads(dump_vector(vector))) == vector


@given(st.text())
def test_text_that_is_no_vector_is_refused(text):
    try:
        load_vector(text)
    except PeerError:
        pass


@pytest.mark.parametrize(
    "tree",
    [
        [],
        {"a": 1},
        {"a": {"1": 1}},
        {"a": {"one": {"pr": 1}}},
        {"a": {"1": {"pr": -1}}},
        {"a": {"1": {"pr": 1.5}}},
        {"a": {"1": {"pr": True}}},
        {"a": {"1": {"pr": 2**53}}},
        {"a": {"-1": {"pr": 1}}},
        {"a": {"9" * 30: {"pr": 1}}},
        {"a" * 65: {"1": {"pr": 1}}},
        {"a": {"1": {"p" * 65: 1}}},
        {"": {"1": {"pr": 1}}},
        {"a": {"1": {"": 1}}},
        {"a\0": {"1": {"pr": 1}}},
        {"\ud800": {"1": {"pr": 1}}},
        {"a": {"1": {"pr": 1}, "01": {"pr": 2}}},
    ],
)
def test_vector_that_no_site_can_store_is_refused(tree):
    with pytest.raises(PeerError):
        tree_vector(tree)
