"""Stamps: never before what was seen, never beyond what any clock says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changecapture.core.clock import LATEST_STAMP, check_stamp, next_stamp
from changecapture.errors import PeerError

NOW = 1_700_000_000_000_000


@given(st.integers(-(2**62), 2**62), st.integers(0, LATEST_STAMP - 1))
def test_change_beats_the_version_that_it_was_made_from(captured_at, previous):
    assert next_stamp(captured_at, previous) > previous


@given(st.integers(-(2**62), 2**62), st.integers(0, LATEST_STAMP))
def test_stamp_of_ours_is_never_refused_by_a_peer(captured_at, previous):
    stamp = next_stamp(captured_at, previous)
    assert check_stamp(stamp) == stamp


def test_stamp_is_the_time_of_the_change_when_the_clock_is_right():
    assert next_stamp(NOW, NOW - 5) == NOW
    assert next_stamp(NOW, 0) == NOW


@pytest.mark.parametrize("stamp", [0, -1, LATEST_STAMP + 1, 2**63])
def test_stamp_that_no_honest_site_makes_is_refused(stamp):
    with pytest.raises(PeerError):
        check_stamp(stamp)
