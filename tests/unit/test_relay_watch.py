"""How often the relay looks unasked."""

from random import Random

from twisted.internet.task import Clock

from changecapture.sync import Received
from relay.watch import ACTIVE_S, DRIFT_S, IDLE_S, LONGEST_RETRY_S, MANY, RETRY_S, Watch, interval
from relay.worker import DatabaseAway
from tests.unit.relay_fake import FakeLog

A = "a" * 32


class FakeDatabase:
    """Counts the looks; ``published`` and ``parked`` are what it answers."""

    def __init__(self) -> None:
        self.published: list[int] = []
        self.parked = 0
        self.away = False
        self.looks = 0
        self.retries = 0
        self.comparisons = 0
        self.drift = ""

    async def publish(self) -> int:
        self.looks += 1
        if self.away:
            raise DatabaseAway("away")
        return self.published.pop(0) if self.published else 0

    async def retry(self) -> int:
        self.retries += 1
        return self.parked

    async def look_for_drift(self) -> str:
        if self.away:
            raise DatabaseAway("away")
        self.comparisons += 1
        return self.drift


class Fixture:
    def __init__(self) -> None:
        self.clock = Clock()
        self.database = FakeDatabase()
        self.news: list[str | None] = []
        self.log = FakeLog()
        self.watch = Watch(
            self.database,  # type: ignore[arg-type]
            news=self.news.append,
            clock=self.clock,
            rng=Random(1),
            log=self.log,
        )

    def run(self, seconds: float) -> None:
        self.clock.pump([0.01] * round(seconds * 100))

    def looks_during(self, seconds: float) -> int:
        before = self.database.looks
        self.run(seconds)
        return self.database.looks - before


def test_the_interval_grows_with_the_quiet_between_its_bounds():
    assert interval(0) == ACTIVE_S and interval(1e9) == IDLE_S
    assert interval(5) == 0.1


def test_an_idle_relay_looks_at_most_five_times_a_second():
    f = Fixture()
    f.watch.start()
    f.run(60)
    assert f.looks_during(10) <= 10 / IDLE_S + 1


def test_traffic_makes_it_look_more_often():
    f = Fixture()
    f.watch.start()
    f.run(60)
    f.database.published = [1]
    f.run(IDLE_S)
    assert f.looks_during(1) >= 1 / ACTIVE_S - 3


def test_received_entries_are_traffic_and_news_for_the_others():
    f = Fixture()
    f.watch.start()
    f.run(60)
    f.watch.received(A, Received(3, 3, 0, True))
    assert f.news == [A]
    f.run(IDLE_S)
    assert f.looks_during(1) >= 1 / ACTIVE_S - 3


def test_an_empty_payload_is_no_news():
    f = Fixture()
    f.watch.received(A, Received(0, 0, 0, True))
    assert f.news == []


def test_a_backlog_is_published_without_a_pause_and_told_at_each_pass():
    f = Fixture()
    f.database.published = [MANY] * 50
    f.watch.start()
    assert f.database.published == [] and f.news == [None] * 50


def test_a_trickle_is_published_at_a_bounded_rate():
    f = Fixture()
    f.database.published = [1] * 1000
    f.watch.start()
    assert f.looks_during(1) <= 1 / ACTIVE_S + 1


def test_a_database_that_is_away_is_looked_for_less_and_less():
    f = Fixture()
    f.database.away = True
    f.watch.start()
    f.run(60)
    assert f.looks_during(60) <= 15
    f.database.away = False
    f.run(15)
    assert f.looks_during(10) >= 10 / IDLE_S - 2


def test_parked_rows_are_tried_again_until_none_is_left():
    f = Fixture()
    f.database.parked = 2
    f.watch.start()
    f.run(RETRY_S * 3)
    assert f.database.retries >= 2 and f.log.count("parked: 2") == 1
    f.database.parked = 0
    f.run(LONGEST_RETRY_S)
    done = f.database.retries
    assert f.log.count("parked: 0") == 1
    f.run(600)
    assert f.database.retries == done


def test_rows_that_stay_parked_are_tried_less_and_less_until_something_happens():
    f = Fixture()
    f.database.parked = 2
    f.watch.start()
    f.run(600)
    before = f.database.retries
    f.run(600)
    assert f.database.retries - before <= 600 / LONGEST_RETRY_S + 1
    before = f.database.retries
    f.watch.received(A, Received(1, 1, 0, True))
    f.run(2 * RETRY_S)
    assert f.database.retries > before


def test_a_payload_that_parks_something_begins_the_retries():
    f = Fixture()
    f.watch.start()
    f.run(60)
    before = f.database.retries
    f.database.parked = 1
    f.watch.received(A, Received(1, 0, 1, True))
    f.run(2 * RETRY_S)
    assert f.database.retries > before


def test_what_the_application_wrote_begins_the_retries():
    """A reference may have waited for it without being parked."""
    f = Fixture()
    f.watch.start()
    f.run(60)
    before = f.database.retries
    f.database.published = [1]
    f.run(2 * RETRY_S + 1)
    assert f.database.retries > before


def test_a_stop_leaves_nothing_to_come():
    f = Fixture()
    f.watch.start()
    f.watch.stop()
    assert f.clock.getDelayedCalls() == []


def test_drift_is_told_at_the_start_and_when_it_comes_and_goes_once_each():
    f = Fixture()
    f.database.drift = "pr_person not as installed"
    f.watch.start()
    f.run(1)
    assert f.log.lines == [("warning", "drift: pr_person not as installed")]
    f.clock.pump([DRIFT_S] * 2)
    assert f.log.lines == [("warning", "drift: pr_person not as installed")]
    f.database.drift = ""
    f.clock.pump([DRIFT_S])
    assert f.log.lines[1:] == [("info", "drift: mended")]


def test_an_idle_relay_compares_tables_once_in_ten_minutes():
    f = Fixture()
    f.watch.start()
    f.run(0.1)
    f.clock.pump([60.0] * 60)
    assert f.database.comparisons <= 1 + 3600 / DRIFT_S
