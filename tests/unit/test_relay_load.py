"""How much a call carries follows what the link bears."""

from changecapture.sync import BATCH_CHARACTERS
from relay.load import FIRST_PER_S, LEAST, Load


def settle(bytes_per_s: float, latency_s: float = 0.0, start: Load | None = None) -> Load:
    """Return the load after ten full calls over a link."""
    load = start or Load(3.0)
    for _ in range(10):
        load.took(latency_s + load.size / bytes_per_s, full=True)
    return load


def seconds(load: Load, bytes_per_s: float, latency_s: float = 0.0) -> float:
    return latency_s + load.size / bytes_per_s


def test_calls_take_two_to_five_seconds_over_any_link_that_moves():
    for rate in (5_000.0, 20_000.0, 100_000.0, 1_000_000.0):
        assert 2 <= seconds(settle(rate, 0.7), rate, 0.7) <= 5


def test_no_call_is_larger_than_what_a_site_makes():
    assert settle(1e12).size == BATCH_CHARACTERS


def test_no_call_is_too_small_to_be_worth_its_round_trip():
    assert settle(1.0).size == LEAST
    load = Load(3.0)
    for _ in range(50):
        load.failed()
    assert load.size == LEAST


def test_a_good_link_is_used_in_full_after_a_few_calls():
    load = Load(3.0)
    for _ in range(3):
        load.took(0.05, full=True)
    assert load.size == BATCH_CHARACTERS


def test_what_was_all_that_there_was_says_nothing_about_the_link():
    load = Load(3.0)
    load.took(0.01, full=False)
    assert load.size == FIRST_PER_S * 3


def test_a_link_that_becomes_slow_gets_smaller_calls_at_once():
    load = settle(1e12)
    load.took(60.0, full=False)
    assert load.size == BATCH_CHARACTERS / 4


def test_a_call_that_breaks_makes_the_next_one_smaller():
    load = Load(3.0)
    load.failed()
    assert load.size < FIRST_PER_S * 3
