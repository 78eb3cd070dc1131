"""Who is told of which news, and with what."""

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock

from changecapture.errors import RetryLater
from relay.polls import Outcome, Poll, Polls
from tests.unit.relay_fake import result

A, B = "a" * 32, "b" * 32


def held(poll: Poll, clock: Clock | None = None) -> list[Outcome]:
    outcome: list[Outcome] = []
    poll.hold(30, clock or Clock()).addCallback(outcome.append)
    return outcome


def test_our_own_news_are_answered_with_entries():
    polls = Polls()
    outcome = held(polls.open(A))
    polls.tell(None)
    assert outcome == [Outcome.ANSWER]


def test_news_of_a_third_site_let_the_peer_ask_again():
    polls = Polls()
    outcome = held(polls.open(A))
    polls.tell(B)
    assert outcome == [Outcome.ASK]


def test_a_sites_own_changes_do_not_wake_its_poll():
    polls = Polls()
    outcome = held(polls.open(A))
    polls.tell(A)
    assert outcome == []


def test_after_a_sites_own_changes_its_old_vector_is_not_answered():
    polls = Polls()
    outcome = held(polls.open(A))
    polls.tell(A)
    polls.tell(None)
    assert outcome == [Outcome.ASK]


def test_news_between_the_answer_and_the_hold_are_not_lost():
    polls = Polls()
    poll = polls.open(A)
    polls.tell(None)
    assert held(poll) == [Outcome.ANSWER]
    polls.tell(B)
    assert held(poll) == [Outcome.ASK]


def test_a_poll_ends_when_its_time_is_up():
    clock = Clock()
    outcome = held(Polls().open(A), clock)
    clock.advance(29)
    assert outcome == []
    clock.advance(1)
    assert outcome == [Outcome.ANSWER]


def test_a_second_poll_of_a_site_lets_the_first_go():
    polls = Polls()
    first = polls.open(A)
    outcome = held(first)
    second = polls.open(A)
    assert outcome == [Outcome.ASK]
    polls.close(first)
    assert polls.holds(A)
    polls.close(second)
    assert not polls.holds(A)


def test_polls_are_bounded_and_a_site_may_replace_its_own():
    polls = Polls(limit=1)
    polls.open(A)
    with pytest.raises(RetryLater):
        polls.open(B)
    polls.open(A)


def test_a_cancelled_hold_leaves_no_timer():
    clock = Clock()
    poll = Polls().open(A)
    waiting = poll.hold(30, clock)
    waiting.cancel()
    with pytest.raises(CancelledError):
        result(waiting)
    assert clock.getDelayedCalls() == []
    poll.tell(None)


def test_all_are_let_go_at_the_end():
    polls = Polls()
    outcomes = [held(polls.open(A)), held(polls.open(B))]
    polls.let_go()
    assert outcomes == [[Outcome.ASK]] * 2
