"""What is written down of exchanges, and what is not worth it."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred

from changecapture.errors import RetryLater
from changecapture.store.records import Instance
from changecapture.sync import Received
from relay.card import Card
from relay.journal import CUT, STALE_S, STEP_S, WRITE_S, Ended, Journal, Stepped
from tests.unit.relay_fake import FakeReactor, result

ONE, TWO, PEER = "1" * 32, "2" * 32, "a" * 32


class Fixture:
    def __init__(self) -> None:
        self.clock = FakeReactor()
        self.written: list[Ended] = []
        self.met: list[Instance] = []
        self.steps: list[Stepped] = []
        self.away = False
        self.journal = Journal(self.write, self.clock)

    async def write(self, ended: Sequence[Ended], met: Sequence[Instance], steps: Sequence[Stepped]) -> None:
        if self.away:
            raise RetryLater("away")
        self.written.extend(ended)
        self.met.extend(met)
        self.steps.extend(steps)

    def note(self, exchange: str = ONE, entries: int = 3, *, last: bool = True, took: float = 0.0) -> None:
        began = self.clock.seconds()
        self.clock.advance(took)
        self.journal.note(exchange, PEER, "in", entries=entries, size=100, began=began, last=last)

    def outcomes(self) -> list[tuple[str, int, str]]:
        self.clock.advance(WRITE_S)
        return [(e.exchange, e.entries, e.outcome) for e in self.written]


def test_an_exchange_of_several_payloads_is_written_once_with_their_sum():
    f = Fixture()
    f.note(last=False, took=2.0)
    f.note(took=1.0)
    f.clock.advance(WRITE_S)
    assert f.written == [Ended(ONE, PEER, "in", 6, 200, 3.0 + WRITE_S, WRITE_S, "done")]


def test_the_last_of_what_is_received_brings_this_site_in_step_with_the_peer():
    f = Fixture()
    began = f.clock.seconds()
    f.journal.received(ONE, PEER, Received(2, 2, 0, last=False, carried=3), size=100, began=began)
    f.clock.advance(WRITE_S)
    assert f.steps == []
    f.journal.received(ONE, PEER, Received(1, 1, 0, last=True, carried=1), size=50, began=began)
    f.clock.advance(WRITE_S)
    assert f.steps == [Stepped(PEER, "in", WRITE_S, 0)]
    assert f.written == [Ended(ONE, PEER, "in", 4, 150, 2 * WRITE_S, WRITE_S, "done")]


def test_what_carried_nothing_is_not_worth_a_row():
    f = Fixture()
    f.note(entries=0)
    assert f.outcomes() == [] and f.clock.getDelayedCalls() == []


def test_what_failed_is_even_when_it_carried_nothing():
    f = Fixture()
    f.journal.broken(ONE, PEER, "in", "the connection was lost")
    assert f.outcomes() == [(ONE, 0, "the connection was lost")]


def test_what_came_before_a_failure_is_counted():
    f = Fixture()
    f.note(last=False)
    f.journal.broken(ONE, PEER, "in", "lost")
    assert f.outcomes() == [(ONE, 3, "lost")]


def test_a_new_exchange_ends_the_one_that_was_under_way():
    f = Fixture()
    f.note(ONE, last=False)
    f.note(TWO)
    assert f.outcomes() == [(ONE, 3, CUT), (TWO, 3, "done")]


def test_one_whose_other_end_has_given_up_ends_by_itself():
    f = Fixture()
    f.note(last=False)
    f.clock.advance(STALE_S)
    assert f.outcomes() == [(ONE, 3, CUT)]
    assert f.clock.getDelayedCalls() == []


def test_what_cannot_be_written_now_is_written_later():
    f = Fixture()
    f.away = True
    f.note()
    assert f.outcomes() == []
    f.note(TWO)
    f.away = False
    assert f.outcomes() == [(ONE, 3, "done"), (TWO, 3, "done")]


def test_a_stop_writes_what_there_is():
    f = Fixture()
    f.note(ONE)
    f.note(TWO, last=False)
    result(f.journal.stop())
    assert [e.exchange for e in f.written] == [ONE, TWO]
    assert f.clock.getDelayedCalls() == []


def test_what_a_peer_says_of_itself_is_written_when_it_changes():
    f = Fixture()
    for contact in ("ann", "ann", "bob"):
        f.journal.met(PEER, Card("north", "Red Cross", contact, "http://north"), "shape")
        f.clock.advance(WRITE_S)
    assert [i.contact for i in f.met] == ["ann", "bob"]
    assert f.met[0] == Instance(PEER, "north", "Red Cross", "ann", "http://north", "shape")


def test_that_a_peer_is_in_step_is_written_when_the_log_has_moved_and_else_now_and_then():
    f = Fixture()
    for position in (7, 7, 8):
        f.journal.in_step(PEER, "out", position)
        f.clock.advance(WRITE_S)
    assert [(s.position, s.ago) for s in f.steps] == [(7, WRITE_S), (8, WRITE_S)]
    f.clock.advance(STEP_S)
    f.journal.in_step(PEER, "out", 8)
    f.clock.advance(WRITE_S)
    assert len(f.steps) == 3 and f.clock.getDelayedCalls() == []


def test_that_a_peer_is_in_step_is_written_later_where_the_database_is_away():
    f = Fixture()
    f.away = True
    f.journal.in_step(PEER, "in")
    f.clock.advance(WRITE_S)
    f.away = False
    f.clock.advance(WRITE_S)
    assert f.steps == [Stepped(PEER, "in", 2 * WRITE_S, 0)]


def test_what_is_noted_after_the_end_is_forgotten():
    f = Fixture()
    result(Deferred.fromCoroutine(f.journal.stop()))
    f.note()
    f.journal.in_step(PEER, "out", 8)
    assert f.clock.getDelayedCalls() == []
