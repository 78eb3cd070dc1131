"""Local times: there and back, and the two hours a year that have no plain answer."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changecapture.core.zones import find_zone, local_to_utc, show_local, to_local, to_utc

ZONES = ["Asia/Colombo", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Monrovia"]
MOMENTS = st.datetimes().map(lambda moment: moment.isoformat())


@given(st.sampled_from(ZONES), MOMENTS)
def test_local_time_comes_back_as_it_was(zone, text):
    assert to_local(zone, to_utc(zone, text)) == text


@given(st.sampled_from(ZONES), st.datetimes(datetime(1971, 1, 1), datetime(2037, 1, 1)))
def test_what_is_shown_is_the_moment_that_travelled(zone, moment):
    shown, _ = show_local(zone, moment.isoformat())
    local = datetime.fromisoformat(shown).replace(tzinfo=find_zone(zone))
    assert moment.replace(tzinfo=UTC).timestamp() in {local.replace(fold=fold).timestamp() for fold in (0, 1)}


@pytest.mark.parametrize(
    ("zone", "local", "utc"),
    [
        ("Asia/Colombo", "2024-01-01T05:30:00.25", "2024-01-01T00:00:00.25"),
        ("Europe/Berlin", "2024-07-01T02:00:00", "2024-07-01T00:00:00"),
        ("Europe/Berlin", "2024-10-27T02:30:00", "2024-10-27T00:30:00"),
        ("Europe/Berlin", "0000-00-00T00:00:00", "0000-00-00T00:00:00"),
        ("Europe/Berlin", "infinity", "infinity"),
        ("Europe/Berlin", "2024-03-31T02:30:00", "2024-03-31T02:30:00 Europe/Berlin"),
    ],
)
def test_local_time_travels_as_utc(zone, local, utc):
    assert to_utc(zone, local) == utc
    assert to_local(zone, utc) == local


def test_second_of_two_equal_local_times_is_not_taken_for_the_first():
    with pytest.raises(ValueError, match="second"):
        to_local("Europe/Berlin", "2024-10-27T01:30:00")
    assert show_local("Europe/Berlin", "2024-10-27T01:30:00") == ("2024-10-27T02:30:00", False)


def test_time_that_clocks_skipped_is_shown_in_its_own_zone_only():
    with pytest.raises(ValueError, match="skipped"):
        to_local("Asia/Colombo", "2024-03-31T02:30:00 Europe/Berlin")


@given(st.sampled_from(ZONES), st.datetimes(datetime(1970, 1, 2), datetime(2037, 1, 1)))
def test_microseconds_of_a_local_time_are_those_of_its_utc(zone, moment):
    utc = to_utc(zone, moment.isoformat())
    if " " not in utc:
        shown = int((moment - datetime(1970, 1, 1)).total_seconds()) * 1_000_000 + moment.microsecond
        found = datetime(1970, 1, 1).fromisoformat(utc) - datetime(1970, 1, 1)
        assert local_to_utc(zone, shown) // 1_000_000 == int(found.total_seconds())


def test_zone_that_there_is_none_of_is_refused():
    with pytest.raises(ValueError, match="Atlantis"):
        find_zone("Europe/Atlantis")
