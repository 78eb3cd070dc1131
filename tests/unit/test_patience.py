"""A command tries again what was busy, within bounds."""

import pytest

from changecapture.errors import DataError, Gone, RetryLater
from changecapture.patience import PATIENCE_SECONDS, patiently


class World:
    """A clock that only sleeping moves, and an action that fails with what it is given first."""

    def __init__(self, *failures):
        self.now = 0.0
        self.calls = 0
        self._failures = list(failures)

    def act(self):
        self.calls += 1
        if self._failures:
            raise self._failures.pop(0)
        return "done"

    def sleep(self, seconds):
        self.now += seconds

    def try_it(self):
        return patiently(self.act, clock=lambda: self.now, sleep=self.sleep)


def test_what_was_busy_for_a_moment_is_tried_again():
    world = World(RetryLater("busy"), RetryLater("busy"))
    assert world.try_it() == "done"
    assert world.calls == 3
    assert 0 < world.now < 1


def test_what_stays_busy_fails_within_the_bound():
    world = World(*[RetryLater("busy")] * 1000)
    with pytest.raises(RetryLater):
        world.try_it()
    assert world.now <= PATIENCE_SECONDS
    assert 5 < world.calls < 20


@pytest.mark.parametrize("error", [Gone("lost"), DataError("does not fit")])
def test_what_no_second_try_mends_fails_at_once(error):
    world = World(error)
    with pytest.raises(type(error)):
        world.try_it()
    assert (world.calls, world.now) == (1, 0.0)
