"""A database thread: order, loss of the connection, and a stop."""

import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.trial.unittest import TestCase

from changecapture.errors import PeerError, RetryLater
from relay.worker import DatabaseAway, Worker
from tests.unit.relay_fake import FakeReactor, FakeSite, Held, site_id

BOUND_S = 10.0


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

    async def test_a_job_that_fails_leaves_nothing_in_memory(self):
        class Batch:
            pass

        alive: list[weakref.ref[Batch]] = []

        def receive(_: object) -> None:
            batch = Batch()
            alive.append(weakref.ref(batch))
            try:
                raise ValueError
            except ValueError as error:
                mapped = RetryLater("busy")  # it is in the frame that is in its traceback
                raise mapped from error

        gc.disable()
        self.addCleanup(gc.enable)
        worker = self.make()
        await self.assertFailure(worker.call(receive), RetryLater)
        await worker.call(lambda _: None)
        assert [batch() for batch in alive] == [None]

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
