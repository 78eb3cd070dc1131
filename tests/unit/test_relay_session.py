"""The laws of one peer address."""

from random import Random

import pytest

from relay.events import (
    Answered,
    Commands,
    Event,
    Failed,
    Greet,
    Greeted,
    Lead,
    Poked,
    Pull,
    Receive,
    Received,
    Release,
    Report,
    Sleep,
    Started,
    State,
    Stopped,
    Taken,
    Woken,
)
from relay.messages import ASK_NOW, OFFER
from relay.session import (
    ASK_S,
    LISTEN_S,
    MAX_EMPTY,
    MAX_QUICK,
    MAX_WAIT_HERE_S,
    MAX_WAIT_S,
    MIN_WAIT_S,
    Session,
    back_off,
)

OWN, PEER = "0" * 32, "a" * 32


def make_session() -> Session:
    return Session("127.0.0.1:1", own_site=OWN, protocol=1, rng=Random(7))


def play(session: Session, *events: Event, now: float = 0.0) -> Commands:
    """Hand over events at one time; return the commands of the last one."""
    commands: Commands = ()
    for event in events:
        commands = session.handle(event, now)
    return commands


def greeted(session: Session, now: float = 0.0) -> Commands:
    return play(session, Started(), Greeted(PEER, "north", 1), now=now)


def listening(now: float = 0.0) -> Session:
    session = make_session()
    greeted(session, now)
    play(session, Answered(b"x"), Received(0, 0, 0, True), now=now)
    assert session.state is State.LISTENING
    return session


def slept(commands: Commands) -> float:
    (sleep,) = [c for c in commands if isinstance(c, Sleep)]
    return sleep.seconds


def test_a_session_begins_with_a_greeting():
    assert play(make_session(), Started()) == (Greet(),)


def test_who_was_greeted_leads_and_is_asked_at_once_without_being_held():
    assert greeted(make_session()) == (Lead(PEER), Pull(PEER, 0))


def test_an_answer_is_received_before_anything_more_is_asked():
    session = make_session()
    greeted(session)
    assert play(session, Answered(b"x")) == (Receive(PEER, b"x"),)


def test_while_the_peer_has_more_it_is_asked_again_at_once():
    session = make_session()
    greeted(session)
    commands = play(session, Answered(b"x"), Received(10, 10, 0, False))
    assert commands[-1] == Pull(PEER, 0)


def test_who_has_no_more_is_listened_to():
    session = make_session()
    greeted(session)
    commands = play(session, Answered(b"x"), Received(10, 10, 0, True))
    assert commands[-1] == Pull(PEER, LISTEN_S)
    assert session.state is State.LISTENING


def test_what_travelled_is_reported_in_one_line():
    session = make_session()
    greeted(session)
    commands = play(session, Answered(b"x"), Received(12, 11, 1, False))
    assert commands[0] == Report("received 12 changes from north (applied 11, parked 1)")


def test_nothing_received_is_not_reported():
    assert play(listening(), Answered(b"x"), Received(0, 0, 0, True)) == (Pull(PEER, LISTEN_S),)


def test_being_in_step_is_reported_once_and_again_after_a_failure():
    session = make_session()
    greeted(session)
    told = Report("up to date with north (127.0.0.1:1)")
    assert told in play(session, Answered(b"x"), Received(0, 0, 0, True))
    assert told not in play(session, Answered(b"x"), Received(1, 1, 0, True))
    play(session, Failed("gone", "link"), Woken(), Greeted(PEER, "north", 1))
    assert told in play(session, Answered(b"x"), Received(0, 0, 0, True))


def test_news_without_entries_is_asked_for_afresh_and_not_received():
    session = listening()
    assert ASK_S <= slept(play(session, Answered(b""), now=5)) <= 3 * ASK_S
    assert play(session, Woken(), now=5.3) == (Pull(PEER, LISTEN_S),)


def test_a_peer_that_only_says_ask_again_cannot_keep_us_running():
    session = listening()
    for _ in range(MAX_QUICK - 1):
        assert slept(play(session, Answered(b""), now=0.1)) <= 3 * ASK_S
        assert play(session, Woken(), now=0.1) == (Pull(PEER, LISTEN_S),)
    assert play(session, Answered(b""), now=0.1) == (Sleep(MIN_WAIT_S),)
    assert play(session, Woken(), now=2) == (Pull(PEER, LISTEN_S),)


@pytest.mark.parametrize("said", [ASK_NOW, OFFER + b"{}"])
def test_a_peer_with_news_of_its_own_or_an_offer_is_asked_again_at_once_and_cannot_keep_us_running(said):
    session = listening()
    for _ in range(MAX_QUICK - 1):
        assert play(session, Answered(said), now=0.1) == (Pull(PEER, LISTEN_S),)
    assert play(session, Answered(said), now=0.1) == (Sleep(MIN_WAIT_S),)


def test_a_peer_that_sends_nothing_and_never_ends_cannot_keep_us_running():
    session = make_session()
    greeted(session)
    for _ in range(MAX_EMPTY):
        assert play(session, Answered(b"x"), Received(0, 0, 0, False)) == (Pull(PEER, 0),)
    assert play(session, Answered(b"x"), Received(0, 0, 0, False)) == (Sleep(MIN_WAIT_S),)


def test_entries_are_never_paused_for():
    session = make_session()
    greeted(session)
    for _ in range(5 * MAX_QUICK):
        assert play(session, Answered(b"x"), Received(1, 1, 0, False))[-1] == Pull(PEER, 0)


@pytest.mark.parametrize("whose", ["peer", "link", "here"])
@pytest.mark.parametrize("reached", [State.GREETING, State.PULLING, State.APPLYING])
def test_every_failure_backs_off_and_begins_again_by_a_greeting(whose, reached):
    session = make_session()
    play(session, Started())
    if reached is not State.GREETING:
        play(session, Greeted(PEER, "north", 1))
    if reached is State.APPLYING:
        play(session, Answered(b"x"))
    assert session.state is reached
    assert slept(play(session, Failed("why", whose))) >= MIN_WAIT_S
    assert play(session, Woken()) == (Greet(),)


def test_the_site_is_released_by_a_failure_and_by_a_stop():
    assert Release(PEER) in play(listening(), Failed("why", "link"))
    assert play(listening(), Stopped()) == (Release(PEER),)


def test_who_does_not_lead_releases_nothing():
    session = make_session()
    assert Release(PEER) not in play(session, Started(), Failed("why", "link"))
    assert play(session, Stopped()) == ()


def test_back_off_doubles_has_jitter_and_bounds():
    rng = Random(1)
    for failures in range(40):
        full = min(MAX_WAIT_S, MIN_WAIT_S * 2**failures)
        waits = {back_off(failures, MAX_WAIT_S, rng) for _ in range(20)}
        assert max(full / 2, MIN_WAIT_S) <= min(waits) and max(waits) <= full
        assert len(waits) > 1 or failures == 0


def test_only_an_exchange_that_worked_makes_the_back_off_short_again():
    session = make_session()
    play(session, Started())
    for _ in range(10):
        play(session, Failed("why", "link"), Woken())
    play(session, Greeted(PEER, "north", 1))
    assert slept(play(session, Failed("why", "peer"))) >= MAX_WAIT_S / 2
    play(session, Woken(), Greeted(PEER, "north", 1), Answered(b"x"), Received(1, 1, 0, True))
    assert slept(play(session, Failed("why", "link"))) == MIN_WAIT_S


def test_our_own_database_is_looked_for_more_often_and_the_peer_is_not_blamed():
    session = make_session()
    play(session, Started())
    for _ in range(10):
        commands = play(session, Failed("away", "here"))
        assert not any(isinstance(c, Report) for c in commands)
        assert slept(commands) <= MAX_WAIT_HERE_S
        play(session, Woken())


def test_a_lasting_failure_is_reported_once():
    session = make_session()
    play(session, Started())
    first = play(session, Failed("refused", "link"))
    assert Report("cannot reach 127.0.0.1:1: refused", warning=True) in first
    assert not any(isinstance(c, Report) for c in play(session, Woken(), Failed("refused", "link")))
    assert any(isinstance(c, Report) for c in play(session, Woken(), Failed("deaf", "link")))


def test_ourselves_are_refused_and_never_asked():
    session = make_session()
    commands = play(session, Started(), Greeted(OWN, "me", 1))
    assert commands[0] == Report("127.0.0.1:1 is this site itself: not a peer", warning=True)
    assert isinstance(commands[1], Sleep)
    assert play(session, Poked(), now=1000) == ()


def test_a_copy_of_this_machine_is_told_of_with_what_to_do_and_not_spoken_to():
    session = make_session()
    session.handle(Started(), 0.0)
    (report, sleep) = session.handle(Greeted(OWN, "us", 1, copied=True), 0.0)
    assert isinstance(report, Report) and report.warning and isinstance(sleep, Sleep)
    assert "a copy of this machine answers at 127.0.0.1:1: run changecapture site renew" in report.text
    assert not session.leads


def test_another_protocol_is_refused_with_the_reason_and_tried_again_later():
    session = make_session()
    commands = play(session, Started(), Greeted(PEER, "north", 2))
    assert "speaks protocol 2, this site 1" in commands[0].text
    assert play(session, Woken()) == (Greet(),)
    again = play(session, Greeted(PEER, "north", 2))
    assert not any(isinstance(c, Report) for c in again)
    assert play(session, Woken(), Greeted(PEER, "north", 1)) == (Lead(PEER), Pull(PEER, 0))


def test_a_second_address_of_a_site_stands_by_until_it_is_needed():
    session = make_session()
    assert play(session, Started(), Taken(PEER)) == ()
    assert session.state is State.STANDING_BY and session.site == PEER
    assert play(session, Poked()) == (Greet(),)


def test_a_poke_ends_a_back_off_but_never_below_the_shortest_wait():
    session = make_session()
    play(session, Started())
    for _ in range(10):
        play(session, Failed("why", "link"), Woken())
    play(session, Failed("why", "link"), now=100)
    assert play(session, Poked(), now=100.25) == (Sleep(0.75),)
    assert play(session, Poked(), now=100.5) == ()
    assert play(session, Poked(), now=101) == (Greet(),)


@pytest.mark.parametrize(
    "events",
    [
        (Started(),),
        (Started(), Greeted(PEER, "", 1)),
        (Started(), Greeted(PEER, "", 1), Answered(b"x")),
        (Started(), Greeted(PEER, "", 1), Answered(b"x"), Received(1, 1, 0, True)),
    ],
)
def test_a_poke_changes_nothing_while_something_is_under_way(events):
    session = make_session()
    play(session, *events)
    before = session.state
    assert play(session, Poked()) == ()
    assert session.state is before


def test_after_the_end_nothing_happens():
    session = listening()
    play(session, Stopped())
    for event in (Answered(b"x"), Woken(), Poked(), Failed("why", "link"), Stopped()):
        assert play(session, event) == ()


def test_an_event_that_cannot_be_is_the_callers_mistake():
    with pytest.raises(RuntimeError, match="Received while idle"):
        play(make_session(), Received(0, 0, 0, True))
