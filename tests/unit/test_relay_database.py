"""The database threads: order, loss of the connection, and whose fault it is."""

import threading
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.trial.unittest import TestCase

from changecapture.errors import ConfigError, DriftError, PeerError, RetryLater
from relay.database import Database, DatabaseAway, Worker
from tests.unit.relay_fake import NO_TERMS, FakeLog, FakeReactor, FakeSite, site_id

BOUND_S = 10.0


class Held:
    """A job that runs until it is let go."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, _: object) -> None:
        self.running.set()
        assert self.go_on.wait(BOUND_S)


class WorkerTest(TestCase):
    timeout = 30

    def make(self, open_connection: Callable[[], Any] | None = None) -> Worker:
        worker = Worker("test", open_connection or FakeSite(site_id("a")).open, reactor)
        worker.start()
        self.addCleanup(worker.stop)
        return worker

    async def test_jobs_run_in_one_thread_that_is_not_the_reactors(self):
        worker = self.make()
        threads = await gatherResults([worker.call(lambda _: threading.current_thread()) for _ in range(5)])
        assert len(set(threads)) == 1 and threads[0] is not threading.current_thread()

    async def test_urgent_jobs_go_first_and_take_turns_with_the_others(self):
        worker, held, order = self.make(), Held(), list[str]()
        jobs: list[Deferred[Any]] = [worker.call(held)]
        assert held.running.wait(BOUND_S)
        jobs += [worker.call(lambda _, n=n: order.append(f"receive {n}")) for n in range(3)]
        for n in range(3):
            jobs.append(worker.call(lambda _, n=n: order.append(f"publish {n}"), first=True))
        held.go_on.set()
        await gatherResults(jobs)
        assert order == [f"{verb} {n}" for n in range(3) for verb in ("publish", "receive")]

    async def test_one_connection_serves_until_a_job_fails(self):
        site = FakeSite(site_id("a"))
        worker = self.make(site.open)
        first = await worker.call(lambda c: c)
        assert await worker.call(lambda c: c) is first

        def lose(_: object) -> None:
            raise RetryLater("the connection is lost")

        await self.assertFailure(worker.call(lose), RetryLater)
        assert first.closed
        assert await worker.call(lambda c: c) is not first

    async def test_nonsense_from_a_peer_does_not_cost_the_connection(self):
        site = FakeSite(site_id("a"))
        worker = self.make(site.open)
        await self.assertFailure(worker.call(lambda c: c.receive("", b"nonsense")), PeerError)
        assert not (await worker.call(lambda c: c)).closed and site.opened == 1

    async def test_a_cancelled_job_that_waits_is_not_done(self):
        worker, held, done = self.make(), Held(), list[str]()
        first = worker.call(held)
        waiting = worker.call(lambda _: done.append("done"))
        waiting.cancel()
        await self.assertFailure(waiting, CancelledError)
        held.go_on.set()
        await first
        await worker.call(lambda _: None)
        assert done == []

    async def test_a_stop_finishes_what_runs_fails_what_waits_and_closes(self):
        worker, held = self.make(), Held()
        connection = await worker.call(lambda c: c)
        running, waiting = worker.call(held), worker.call(lambda _: None)
        assert held.running.wait(BOUND_S)
        stopped = worker.stop()
        await self.assertFailure(waiting, DatabaseAway)
        held.go_on.set()
        await gatherResults([running, stopped])
        assert connection.closed
        await self.assertFailure(worker.call(lambda _: None), DatabaseAway)

    async def test_a_stop_does_not_wait_for_ever(self):
        worker, held = self.make(), Held()
        running = worker.call(held)
        assert held.running.wait(BOUND_S)
        await worker.stop(within=0.01)
        held.go_on.set()
        await running


class ReopenTest(TestCase):
    """The thread's own work, called from the test's thread: a clock decides, nothing waits."""

    def setUp(self) -> None:
        self.clock = FakeReactor()
        self.tries = 0
        self.away = True
        self.worker = Worker("test", self.open, self.clock)

    def open(self) -> Any:
        self.tries += 1
        if self.away:
            raise RetryLater("connection refused")
        return FakeSite(site_id("a")).open()

    def try_once(self) -> None:
        self.assertRaises(DatabaseAway, self.worker._connect)

    def test_a_database_that_is_away_is_tried_with_back_off_and_others_fail_at_once(self):
        for _ in range(600):
            self.try_once()
            self.clock.advance(0.1)
        assert 6 <= self.tries <= 12

    def test_it_is_tried_again_at_least_every_fifteen_seconds(self):
        for _ in range(100):
            self.try_once()
            self.clock.advance(15)
        assert self.tries == 100

    def test_a_success_makes_the_back_off_short_again(self):
        for _ in range(10):
            self.try_once()
            self.clock.advance(15)
        self.away = False
        self.worker._connect()
        self.away = True
        self.try_once()
        self.tries = 0
        self.clock.advance(0.5)
        self.try_once()
        assert self.tries == 1


class Gone(list[str]):
    """Changes that cannot be published."""

    def __getitem__(self, _: Any) -> Any:
        raise DriftError("a column is gone")


class DatabaseTest(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.site = FakeSite(site_id("a"))
        self.log = FakeLog()
        self.database = Database(self.site, reactor=reactor, log=self.log)
        self.database.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.database.stop()))

    def fails(self, work: Any, error: type[Exception]) -> Deferred[Any]:
        return self.assertFailure(Deferred.fromCoroutine(work), error)

    async def test_the_verbs_reach_the_database(self):
        self.site.write("one", "two")
        assert await self.database.publish() == 2
        assert (await self.database.greet()).site == site_id("a")
        answer = await self.database.answer(FakeSite(site_id("b")).open().next_request(""), NO_TERMS)
        assert (answer.entries, answer.last) == (2, True)
        received = await self.database.receive(site_id("b"), answer.payload, NO_TERMS)
        assert received.applied == 0
        assert await self.database.retry() == 0

    async def test_an_absent_database_is_told_once_and_again_when_it_is_back(self):
        self.site.away = True
        for _ in range(3):
            await self.fails(self.database.greet(), DatabaseAway)
            await self.fails(self.database.publish(), DatabaseAway)
        self.site.away = False
        while True:
            try:
                await self.database.greet()
                break
            except DatabaseAway:
                pass
        assert self.log.lines == [
            ("warning", "waiting for the database: connection refused"),
            ("info", "the database is back"),
        ]

    async def test_while_an_installation_is_half_through_the_database_is_not_said_to_be_back(self):
        self.site.check = lambda: (_ for _ in ()).throw(ConfigError("not installed"))
        await self.fails(self.database.publish(), DatabaseAway)
        del self.site.check
        self.site.unfinished = "1 of 3 tables"
        for _ in range(2):
            await self.database.modules()
        assert self.database.away == "the database: 1 of 3 tables"
        self.site.unfinished = ""
        await self.database.modules()
        assert self.database.away == ""
        told = [text.removeprefix("waiting for ") for _, text in self.log.lines]
        assert told == ["the database: not installed", "the database: 1 of 3 tables", "the database is back"]

    async def test_what_keeps_one_verb_from_its_work_is_over_when_that_verb_succeeds(self):
        self.site.captured = Gone()
        for _ in range(3):
            await self.fails(self.database.publish(), DatabaseAway)
            await self.database.modules()
        assert self.log.lines == [("warning", "the database: a column is gone")]
        self.site.captured = []
        await self.database.publish()
        assert self.log.lines[1:] == [("info", "the database is back")]

    async def test_nonsense_stays_the_peers_fault(self):
        await self.fails(self.database.receive(site_id("b"), b"nonsense", NO_TERMS), PeerError)
        assert self.log.lines == []

    async def test_a_database_without_installation_is_told_and_waited_for(self):
        self.site.check = lambda: (_ for _ in ()).throw(ConfigError("not installed"))
        await self.fails(self.database.greet(), DatabaseAway)
        assert self.log.count("not installed") == 1

    async def test_what_was_cancelled_is_no_mistake(self):
        held = Held()
        self.site.check = lambda: held(None)
        working = Deferred.fromCoroutine(self.database.greet())
        working.cancel()
        await self.assertFailure(working, CancelledError)
        held.go_on.set()
        assert self.log.lines == []

    async def test_a_mistake_of_ours_is_logged_once_and_does_not_stop_anything(self):
        self.site.check = lambda: 1 / 0
        await self.fails(self.database.greet(), DatabaseAway)
        await self.fails(self.database.greet(), DatabaseAway)
        assert [level for level, _ in self.log.lines] == ["failure"]
        del self.site.check
        await self.database.greet()


def test_nothing_is_opened_before_there_is_work():
    site = FakeSite(site_id("a"))
    Database(site, reactor=FakeReactor(), log=FakeLog())
    assert site.opened == 0
