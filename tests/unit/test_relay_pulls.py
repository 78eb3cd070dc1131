"""No two neighbours are asked for the same at once, and nobody is waited for in vain."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from relay.pulls import AUTHOR_S, LONG_S, LOOK_S, STALL_S, Pulls
from tests.unit.relay_fake import result

A, B, C = "a" * 32, "b" * 32, "c" * 32
Held = dict[tuple[str, int, str], int]
NOTHING: Held = {}
X, Y = ("x" * 32, 1, ""), ("y" * 32, 1, "")


def two(first: Held, second: Held) -> tuple[Pulls, Clock]:
    """Return pulls of A, which has begun, and of B, which has not."""
    clock = Clock()
    pulls = Pulls(clock)
    pulls.greeted(A, first)
    pulls.greeted(B, second)
    assert result(pulls.wait(A, NOTHING)) is False
    return pulls, clock


def waits(pulls: Pulls, own: Held | None = None) -> "Deferred[bool]":
    return Deferred.fromCoroutine(pulls.wait(B, own or NOTHING))


def test_who_has_what_another_brings_waits_for_its_end():
    pulls, _ = two({X: 5}, {X: 5})
    waiting = waits(pulls)
    assert not waiting.called
    pulls.ended(A)
    assert result(waiting) is True
    assert result(waits(pulls, {X: 5})) is False


def test_who_has_something_else_is_asked_at_once():
    pulls, _ = two({X: 5}, {Y: 5})
    assert result(waits(pulls)) is False


def test_what_is_here_already_is_not_waited_for():
    pulls, _ = two({X: 5, Y: 1}, {X: 5})
    assert result(waits(pulls, {X: 5})) is False


def test_a_pull_that_brings_nothing_holds_up_no_other():
    pulls, clock = two({X: 5}, {X: 5})
    clock.advance(STALL_S + 1)
    assert result(waits(pulls)) is False


def test_a_pull_that_is_slow_holds_up_no_other():
    pulls, clock = two({X: 5}, {X: 5})
    clock.advance(1)
    pulls.moved(A, left=1000 * int(LONG_S), total=1000 * int(LONG_S) + 999)
    assert result(waits(pulls)) is False


def test_a_pull_that_ends_soon_is_waited_for():
    pulls, clock = two({X: 5}, {X: 5})
    clock.advance(1)
    pulls.moved(A, left=1000, total=2000)
    waiting = waits(pulls)
    assert not waiting.called
    clock.advance(LOOK_S)
    assert result(waiting) is True


def test_of_several_that_waited_one_begins():
    pulls, _ = two({X: 5}, {X: 5, Y: 5})
    pulls.greeted(C, {Y: 5})
    waiting = [waits(pulls), Deferred.fromCoroutine(pulls.wait(C, NOTHING))]
    assert [one.called for one in waiting] == [False, True]
    pulls.ended(A)
    assert not waits(pulls, {X: 5}).called


def test_who_is_not_new_is_asked_at_once_and_a_given_up_wait_leaves_nothing():
    pulls, clock = two({X: 5}, {X: 5})
    assert result(pulls.wait(C, NOTHING)) is False
    waiting = waits(pulls)
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    assert clock.getDelayedCalls() == []
    pulls.ended(A)


def hears(*led: str) -> tuple[Pulls, Clock]:
    """Return pulls of a site that speaks to these, and to B, which has offered one entry of X."""
    clock = Clock()
    pulls = Pulls(clock, lambda site: site in led)
    pulls.offered(B, {X: 1})
    return pulls, clock


def test_what_nobody_else_is_expected_to_bring_is_asked_of_who_offers_it():
    pulls, _ = hears()
    assert pulls.weigh(B, NOTHING) == ({X: 1}, 0)
    assert pulls.weigh(B, NOTHING) == ({}, 0)


def test_what_an_author_may_bring_itself_is_waited_for_a_while():
    pulls, clock = hears(X[0])
    assert pulls.weigh(B, NOTHING) == ({X: 1}, AUTHOR_S)
    clock.advance(1)
    pulls.offered(B, {X: 2})
    assert pulls.weigh(B, NOTHING) == ({X: 2}, AUTHOR_S - 1)
    clock.advance(AUTHOR_S - 1)
    assert pulls.weigh(B, NOTHING) == ({X: 2}, 0)


def test_an_author_that_keeps_bringing_is_waited_for_again():
    pulls, clock = hears(X[0])
    pulls.offered(B, {X: 2})
    clock.advance(AUTHOR_S)
    assert pulls.weigh(B, {X: 1}) == ({X: 2}, AUTHOR_S)


def test_what_an_author_itself_offers_is_asked_of_it_at_once():
    pulls, _ = hears(X[0])
    pulls.offered(X[0], {X: 1})
    assert pulls.weigh(X[0], NOTHING) == ({X: 1}, 0)


def test_an_offer_of_what_is_here_by_now_is_forgotten():
    pulls, _ = hears(X[0])
    assert pulls.weigh(B, {X: 1}) == ({}, 0)


def test_what_one_neighbour_brings_is_not_asked_of_another_one():
    pulls, clock = hears()
    pulls.offered(C, {X: 1})
    assert pulls.weigh(B, NOTHING) == ({X: 1}, 0)
    assert pulls.weigh(C, NOTHING) == ({X: 1}, STALL_S)
    clock.advance(STALL_S + 1)
    assert pulls.weigh(C, NOTHING) == ({X: 1}, 0)


def test_what_was_offered_by_who_is_spoken_to_no_longer_is_forgotten():
    pulls, _ = hears(X[0])
    pulls.forget(B)
    assert pulls.weigh(B, NOTHING) == ({}, 0)
