"""What two sites say to each other before any batch: read back as written, or refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changecapture.errors import PeerError
from changecapture.greeting import Greeting
from changecapture.sync import PullRequest

numbers = st.integers(0, 2**53 - 1)
words = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=64)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
greetings = st.builds(Greeting, words, numbers, st.just("{}"), numbers)
requests = st.builds(PullRequest, words, numbers, st.just("{}"), numbers, numbers, st.integers(1, 9999))
A_REQUEST = PullRequest("site", 1, '{"a":{"1":{"pr":3}}}', 2, 3)


@given(greetings)
def test_greeting_reads_back(greeting):
    assert Greeting.from_json(greeting.to_json()) == greeting


@given(requests)
def test_request_reads_back(request):
    assert PullRequest.from_json(request.to_json()) == request


@given(st.sampled_from([Greeting, PullRequest]), st.text() | json_values.map(json.dumps))
def test_what_is_no_message_is_refused(kind, text):
    with pytest.raises(PeerError):
        kind.from_json(text)


@given(requests, st.sampled_from(sorted(PullRequest.__annotations__)), json_values)
def test_request_with_another_value_is_refused_or_usable(request, name, value):
    data = {**json.loads(request.to_json()), name: value}
    try:
        read = PullRequest.from_json(json.dumps(data))
    except PeerError as error:
        assert str(error)
        return
    assert PullRequest.from_json(read.to_json()) == read


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("after", -1),
        ("after", 2**53),
        ("end", 10**40),
        ("epoch", -1),
        ("limit", 0),
        ("limit", True),
        ("site", ""),
        ("site", "s" * 65),
        ("site", "\0"),
        ("site", "\ud800"),
        ("vector", "{"),
        ("vector", "[]"),
        ("vector", "[" * 100_000),
        ("vector", '{"a":{"1":{"pr":-1}}}'),
    ],
)
def test_request_that_no_honest_site_makes_is_refused(name, value):
    data = {**json.loads(A_REQUEST.to_json()), name: value}
    with pytest.raises(PeerError):
        PullRequest.from_json(json.dumps(data))


def test_what_a_later_version_adds_is_ignored():
    data = {**json.loads(A_REQUEST.to_json()), "later": 1}
    assert PullRequest.from_json(json.dumps(data)) == A_REQUEST
