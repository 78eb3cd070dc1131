"""The database as the relay sees it: what is said when it is away, and whose fault it is."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import TestCase

from changecapture.errors import ConfigError, DriftError, PeerError
from relay.database import Database
from relay.worker import DatabaseAway
from tests.unit.relay_fake import NO_TERMS, FakeLog, FakeReactor, FakeSite, Held, site_id


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
