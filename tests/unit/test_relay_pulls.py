"""No two neighbours are asked for the same at once, and nobody is waited for in vain."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from relay.pulls import LONG_S, LOOK_S, STALL_S, Pulls
from tests.unit.relay_fake import result

A, B, C = "a" * 32, "b" * 32, "c" * 32
NOTHING: dict[str, int] = {}


def two(first: dict[str, int], second: dict[str, int]) -> tuple[Pulls, Clock]:
    """Return pulls of A, which has begun, and of B, which has not."""
    clock = Clock()
    pulls = Pulls(clock)
    pulls.greeted(A, first)
    pulls.greeted(B, second)
    assert result(pulls.wait(A, NOTHING)) is False
    return pulls, clock


def waits(pulls: Pulls, own: dict[str, int] | None = None) -> "Deferred[bool]":
    return Deferred.fromCoroutine(pulls.wait(B, own or NOTHING))


def test_who_has_what_another_brings_waits_for_its_end():
    pulls, _ = two({"x": 5}, {"x": 5})
    waiting = waits(pulls)
    assert not waiting.called
    pulls.ended(A)
    assert result(waiting) is True
    assert result(waits(pulls, {"x": 5})) is False


def test_who_has_something_else_is_asked_at_once():
    pulls, _ = two({"x": 5}, {"y": 5})
    assert result(waits(pulls)) is False


def test_what_is_here_already_is_not_waited_for():
    pulls, _ = two({"x": 5, "y": 1}, {"x": 5})
    assert result(waits(pulls, {"x": 5})) is False


def test_a_pull_that_brings_nothing_holds_up_no_other():
    pulls, clock = two({"x": 5}, {"x": 5})
    clock.advance(STALL_S + 1)
    assert result(waits(pulls)) is False


def test_a_pull_that_is_slow_holds_up_no_other():
    pulls, clock = two({"x": 5}, {"x": 5})
    clock.advance(1)
    pulls.moved(A, left=1000 * int(LONG_S), total=1000 * int(LONG_S) + 999)
    assert result(waits(pulls)) is False


def test_a_pull_that_ends_soon_is_waited_for():
    pulls, clock = two({"x": 5}, {"x": 5})
    clock.advance(1)
    pulls.moved(A, left=1000, total=2000)
    waiting = waits(pulls)
    assert not waiting.called
    clock.advance(LOOK_S)
    assert result(waiting) is True


def test_of_several_that_waited_one_begins():
    pulls, _ = two({"x": 5}, {"x": 5, "y": 5})
    pulls.greeted(C, {"y": 5})
    waiting = [waits(pulls), Deferred.fromCoroutine(pulls.wait(C, NOTHING))]
    assert [one.called for one in waiting] == [False, True]
    pulls.ended(A)
    assert not waits(pulls, {"x": 5}).called


def test_who_is_not_new_is_asked_at_once_and_a_given_up_wait_leaves_nothing():
    pulls, clock = two({"x": 5}, {"x": 5})
    assert result(pulls.wait(C, NOTHING)) is False
    waiting = waits(pulls)
    waiting.addErrback(lambda _: None)
    waiting.cancel()
    assert clock.getDelayedCalls() == []
    pulls.ended(A)
