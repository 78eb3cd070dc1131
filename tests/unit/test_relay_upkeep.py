"""The relay's upkeep: seldom, a step at a time, with a rest after each."""

from typing import Any

from twisted.internet.defer import Deferred

from changecapture.compact import Step
from relay.upkeep import EVERY_S, LEAST_REST_S, REST, Upkeep
from relay.worker import DatabaseAway
from tests.unit.relay_fake import FakeLog, FakeReactor


class SlowDatabase:
    """Takes a second for each of its steps."""

    def __init__(self, clock: FakeReactor, steps: int) -> None:
        self.clock, self.left = clock, steps
        self.asked: list[float] = []
        self.away = False

    async def compact(self, keep: int) -> Step | None:
        self.asked.append(self.clock.seconds())
        if self.away:
            raise DatabaseAway("away")
        if not self.left:
            return None
        self.left -= 1
        waiting: Deferred[Any] = Deferred()
        self.clock.callLater(1.0, waiting.callback, None)
        await waiting
        return Step(2, 0, 0)


def make(steps: int):
    clock, log = FakeReactor(), FakeLog()
    database = SlowDatabase(clock, steps)
    upkeep = Upkeep(database, keep=5, clock=clock, log=log)  # type: ignore[arg-type]
    upkeep.start()
    return clock, log, database, upkeep


def pass_time(clock: FakeReactor, seconds: float) -> None:
    end = clock.seconds() + seconds
    while clock.seconds() < end:
        clock.advance(min(0.5, end - clock.seconds()))


def test_nothing_is_compacted_at_the_start():
    clock, _, database, _ = make(3)
    pass_time(clock, EVERY_S - 1)
    assert database.asked == []


def test_a_step_is_followed_by_a_rest_that_is_longer_than_it():
    clock, log, database, _ = make(3)
    pass_time(clock, EVERY_S + 4 * (REST + 2))
    gaps = [b - a for a, b in zip(database.asked, database.asked[1:], strict=False)]
    assert len(database.asked) == 4 and min(gaps) >= REST + 1
    assert log.count("gave up 6 entries") == 1


def test_an_absent_database_is_asked_again_an_hour_later():
    clock, log, database, _ = make(1)
    database.away = True
    pass_time(clock, EVERY_S + 1)
    database.away = False
    pass_time(clock, EVERY_S + LEAST_REST_S + 3 * REST)
    assert len(database.asked) == 3 and log.count("gave up 2 entries") == 1


def test_a_stop_ends_it():
    clock, _, database, upkeep = make(3)
    upkeep.stop()
    pass_time(clock, 2 * EVERY_S)
    assert database.asked == []
