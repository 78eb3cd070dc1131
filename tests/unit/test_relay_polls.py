"""Who is told of which news, and with what."""

import pytest
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock

from changecapture.errors import RetryLater
from relay.polls import BETWEEN_S, FIRST_WAIT_S, LONGEST_WAIT_S, MAX_POLLS, Outcome, Poll, Polls
from tests.unit.relay_fake import result

A, B = "a" * 32, "b" * 32


def new_polls(limit: int = MAX_POLLS) -> tuple[Polls, Clock]:
    clock = Clock()
    return Polls(clock, limit), clock


def held(poll: Poll) -> list[Outcome]:
    outcome: list[Outcome] = []
    poll.hold(30).addCallback(outcome.append)
    return outcome


def test_our_own_news_are_answered_with_entries():
    polls, _ = new_polls()
    outcome = held(polls.open(A))
    polls.tell(None)
    assert outcome == [Outcome.ANSWER]


def test_news_of_a_third_site_are_offered():
    polls, _ = new_polls()
    outcome = held(polls.open(A))
    polls.tell(B)
    assert outcome == [Outcome.OFFER]


def test_a_sites_own_changes_do_not_wake_its_poll():
    polls, _ = new_polls()
    outcome = held(polls.open(A))
    polls.tell(A)
    assert outcome == []


def test_after_a_sites_own_changes_its_old_vector_is_not_answered():
    polls, _ = new_polls()
    outcome = held(polls.open(A))
    polls.tell(A)
    polls.tell(None)
    assert outcome == [Outcome.ASK_NOW]


def test_news_between_the_answer_and_the_hold_are_not_lost():
    polls, _ = new_polls()
    poll = polls.open(A)
    polls.tell(None)
    assert held(poll) == [Outcome.ANSWER]
    polls.tell(B)
    assert held(poll) == [Outcome.ASK_NOW]


def test_a_poll_ends_when_its_time_is_up():
    polls, clock = new_polls()
    outcome = held(polls.open(A))
    clock.advance(29)
    assert outcome == []
    clock.advance(1)
    assert outcome == [Outcome.ANSWER]


def test_a_second_poll_of_a_site_lets_the_first_go():
    polls, _ = new_polls()
    first = polls.open(A)
    outcome = held(first)
    second = polls.open(A)
    assert outcome == [Outcome.ASK]
    polls.close(first)
    assert polls.holds(A)
    polls.close(second)
    assert not polls.holds(A)


def test_polls_are_bounded_and_a_site_may_replace_its_own():
    polls = new_polls(limit=1)[0]
    polls.open(A)
    with pytest.raises(RetryLater):
        polls.open(B)
    polls.open(A)


def test_a_cancelled_hold_leaves_no_timer():
    polls, clock = new_polls()
    poll = polls.open(A)
    waiting = poll.hold(30)
    waiting.cancel()
    with pytest.raises(CancelledError):
        result(waiting)
    assert clock.getDelayedCalls() == []
    poll.tell(None)


def test_all_are_let_go_at_the_end():
    polls, _ = new_polls()
    outcomes = [held(polls.open(A)), held(polls.open(B))]
    polls.let_go()
    assert outcomes == [[Outcome.ASK]] * 2


def tell_and_ask(polls: Polls, clock: Clock, entries: int) -> float:
    """Let a third site have news, and A ask again, and lack so many; return how long A was spared."""
    poll = polls.open(A)
    outcome = held(poll)
    polls.tell(B)
    waited = 0.0
    while not outcome:
        clock.advance(FIRST_WAIT_S / 2)
        waited += FIRST_WAIT_S / 2
    assert outcome == [Outcome.OFFER]
    polls.close(poll)
    poll = polls.open(A)
    polls.answered(poll, entries)
    polls.close(poll)
    return waited


def test_who_has_the_news_of_third_sites_already_is_told_of_the_next_later():
    polls, clock = new_polls()
    assert tell_and_ask(polls, clock, 0) == 0
    waits = [tell_and_ask(polls, clock, 0) for _ in range(9)]
    assert waits == sorted(waits) and (waits[0], waits[-1]) == (FIRST_WAIT_S, LONGEST_WAIT_S)


def test_who_lacked_the_news_of_third_sites_is_told_of_the_next_at_once():
    polls, clock = new_polls()
    for _ in range(5):
        tell_and_ask(polls, clock, 0)
    tell_and_ask(polls, clock, 1)
    assert tell_and_ask(polls, clock, 1) == 0


def test_what_came_before_a_word_of_a_third_site_says_nothing_about_who_has_what():
    polls, clock = new_polls()
    polls.answered(polls.open(A), 0)
    assert tell_and_ask(polls, clock, 1) == 0


def test_own_news_while_third_ones_are_kept_back_are_told_at_once():
    polls, clock = new_polls()
    tell_and_ask(polls, clock, 0)
    outcome = held(polls.open(A))
    polls.tell(B)
    polls.tell(None)
    assert outcome == [Outcome.ASK_NOW]


def test_a_site_between_two_polls_hears():
    polls, clock = new_polls()
    assert not polls.hears(A)
    polls.close(polls.open(A))
    assert polls.hears(A) and not polls.holds(A)
    clock.advance(BETWEEN_S)
    assert not polls.hears(A)


def test_a_poll_that_is_closed_leaves_no_timer():
    polls, clock = new_polls()
    tell_and_ask(polls, clock, 0)
    poll = polls.open(A)
    held(poll)
    polls.tell(B)
    polls.close(poll)
    assert clock.getDelayedCalls() == []
