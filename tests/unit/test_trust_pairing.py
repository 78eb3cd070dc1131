"""A code pairs exactly the two who know it: one guess, ten minutes, nobody between them."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from changecapture.errors import ConfigError, PeerError, RetryLater
from relay.address import Address
from relay.trust.code import WORDS, make_code, number_of, read_code
from relay.trust.desk import GUESS_S, LINGER_S, OPEN_S, Desk
from relay.trust.join import FIND_S, Join
from relay.trust.pairing import Caller, Shower
from relay.trust.peers import Paired
from tests.unit.relay_fake import FakePeers, FakeReactor, device_id, result

A, B, EVIL = (device_id(letter) for letter in "abe")
HERE, THERE = Address("10.0.0.1", 1), Address("10.0.0.2", 2)


class Kept(FakePeers):
    """Keeps what was paired."""

    def __init__(self) -> None:
        super().__init__()
        self.all: list[Paired] = []

    def get(self, device: str) -> Paired | None:
        return next((peer for peer in self.all if peer.device == device), None)

    def put(self, peer: Paired) -> None:
        self.all.append(peer)
        self.paired.add(peer.device)


class Wire:
    """The calls of A to the desks of others, by address; what is lost on the way is RetryLater."""

    def __init__(self) -> None:
        self.desks: dict[Address, tuple[str, Desk]] = {}
        self.lost_confirms = 0
        self.calls: list[Address] = []

    async def identify(self, address: Address) -> str:
        if address not in self.desks:
            raise RetryLater("nobody there")
        return self.desks[address][0]

    async def pair(self, address: Address, device: str, message: str, name: str) -> tuple[str, str, str]:
        self.calls.append(address)
        if not self.desks[address][1].is_open:
            raise RetryLater("it does not let this site in")
        return tuple(await self.desks[address][1].pair(A, message, name))

    async def confirm(self, address: Address, device: str, proof: str) -> bool:
        answer = await self.desks[address][1].confirm(A, proof)
        if self.lost_confirms:
            self.lost_confirms -= 1
            raise RetryLater("the connection was lost")
        return answer


class Fixture:
    def __init__(self) -> None:
        self.clock = FakeReactor()
        self.here, self.there = Kept(), Kept()
        self.wire = Wire()
        self.desk = self.make_desk(B, self.there)
        self.wire.desks[THERE] = (B, self.desk)

    def make_desk(self, own: str, peers: Kept) -> Desk:
        return Desk(own=own, name="south", peers=peers, clock=self.clock)  # type: ignore[arg-type]

    def open(self) -> tuple[str, list[Any]]:
        code, done = self.desk.open()
        outcome: list[Any] = []
        done.addBoth(outcome.append)
        return code, outcome

    def join(self, code: str, addresses: Iterable[Address] = (THERE,)) -> Deferred[Paired]:
        joining = Join(
            code,
            own=A,
            name="north",
            peers=self.here,  # type: ignore[arg-type]
            calls=self.wire,
            clock=self.clock,
        )
        return Deferred.fromCoroutine(joining.find(lambda: list(addresses)))

    def wrong(self, code: str) -> str:
        """Return another code of the same machine."""
        words = code.split("-")
        words[3] = next(word for word in WORDS if word != words[3])
        return "-".join(words)


def test_the_words_are_256_and_none_is_like_another():
    assert len(WORDS) == len(set(WORDS)) == 256
    assert all(word.isascii() and word.islower() and word.isalpha() for word in WORDS)


@given(st.text("0123456789abcdef", min_size=64, max_size=64))
def test_a_code_is_read_however_it_is_typed(device):
    code = make_code(device)
    number, text = read_code(code)
    assert (number, text) == (number_of(device), code)
    assert read_code(f"  {code.upper().replace('-', '  ')} ") == (number, code)


@pytest.mark.parametrize(
    "text", ["", "42", "river-lemon-tiger", "42-river-lemon", "7-river-lemon-tiger", "²"]
)
def test_what_is_no_code_is_refused_before_anybody_is_called(text):
    with pytest.raises(ConfigError, match="not a pairing code"):
        read_code(text)


def test_a_word_that_is_in_no_code_is_named():
    with pytest.raises(ConfigError, match="'rivre' is in no pairing code"):
        read_code("42-rivre-lemon-tiger")


def test_the_code_pairs_both_ends_under_their_names():
    f = Fixture()
    code, shown = f.open()
    assert result(f.join(code)).name == "south"
    f.clock.advance(LINGER_S)
    assert [peer.device for peer in f.here.all] == [B]
    assert [(peer.device, peer.name) for peer in f.there.all] == [(A, "north")]
    assert shown == f.there.all and not f.desk.is_open


def test_a_wrong_code_pairs_neither_end_and_is_the_only_guess():
    f = Fixture()
    code, shown = f.open()
    with pytest.raises(PeerError, match="the code was wrong"):
        result(f.join(f.wrong(code)))
    assert f.here.all == f.there.all == [] and not f.desk.is_open
    assert "the code was wrong" in str(shown[0].value)
    joining = f.join(code)
    f.clock.pump([1] * int(FIND_S + 2))
    with pytest.raises(ConfigError):
        result(joining)
    assert f.here.all == f.there.all == []


def test_a_guess_without_a_proof_uses_the_code_up():
    f = Fixture()
    code, shown = f.open()
    f.wire.desks[THERE][1]
    caller = Caller(f.wrong(code), own=EVIL, other=B, name="evil")
    result(f.desk.pair(EVIL, caller.message, "evil"))
    with pytest.raises(PeerError, match="used already"):
        result(f.join(code))
    f.clock.advance(GUESS_S)
    assert shown and not f.desk.is_open and f.there.all == []


def test_nobody_in_the_middle_can_be_taken_for_the_other():
    """EVIL shows its own certificate to both ends and passes their messages on."""
    shower = Shower("42-river-lemon-tiger", own=B, name="south")
    caller = Caller("42-river-lemon-tiger", own=A, other=EVIL, name="north")
    message, name, proof = shower.answer(EVIL, caller.message, "north")
    with pytest.raises(PeerError):
        caller.check(message, name, proof)


def test_a_name_that_was_changed_on_the_way_pairs_nobody():
    shower = Shower("42-river-lemon-tiger", own=B, name="south")
    caller = Caller("42-river-lemon-tiger", own=A, other=B, name="north")
    message, _, proof = shower.answer(A, caller.message, "north")
    with pytest.raises(PeerError):
        caller.check(message, "the ministry", proof)


def test_a_message_sent_back_proves_nothing():
    caller = Caller("42-river-lemon-tiger", own=A, other=B, name="north")
    with pytest.raises(PeerError):
        caller.check(caller.message, "south", "00" * 32)


def test_only_the_device_that_guessed_can_confirm():
    shower = Shower("42-river-lemon-tiger", own=B, name="south")
    caller = Caller("42-river-lemon-tiger", own=A, other=B, name="north")
    proof = caller.check(*shower.answer(A, caller.message, "north"))
    assert not shower.confirm(EVIL, proof)
    assert shower.confirm(A, proof) and shower.paired


@pytest.mark.parametrize("message", ["", "zz", "00" * 33, "41" + "ff" * 32, "42" + "00" * 32, "é"])
def test_a_malformed_guess_is_refused_and_is_a_guess(message):
    f = Fixture()
    _, shown = f.open()
    with pytest.raises(PeerError):
        result(f.desk.pair(EVIL, message, "evil"))
    assert shown and not f.desk.is_open


def test_a_confirmation_that_was_lost_is_asked_for_again():
    f = Fixture()
    code, _ = f.open()
    f.wire.lost_confirms = 2
    joining = f.join(code)
    f.clock.pump([1, 1, 1])
    assert result(joining).device == B
    assert [peer.device for peer in f.there.all] == [A]


def test_a_code_is_good_for_ten_minutes():
    f = Fixture()
    _, shown = f.open()
    f.clock.advance(OPEN_S - 1)
    assert f.desk.is_open
    f.clock.advance(1)
    assert not f.desk.is_open and "within 10 minutes" in str(shown[0].value)


def test_a_newer_code_takes_the_place_of_the_older():
    f = Fixture()
    _, shown = f.open()
    code, _ = f.open()
    assert "replaced" in str(shown[0].value)
    assert result(f.join(code)).device == B


def test_who_no_longer_waits_shows_no_code():
    f = Fixture()
    _, done = f.desk.open()
    done.addErrback(lambda _: None)
    done.cancel()
    assert not f.desk.is_open and f.clock.getDelayedCalls() == []


def test_without_a_code_nobody_can_pair():
    f = Fixture()
    caller = Caller("42-river-lemon-tiger", own=A, other=B, name="north")
    with pytest.raises(PeerError, match="no code is shown"):
        result(f.desk.pair(A, caller.message, "north"))


def test_a_machine_of_another_number_gets_no_guess():
    f = Fixture()
    code, _ = f.open()
    f.wire.desks[HERE] = (EVIL, f.make_desk(EVIL, Kept()))
    assert number_of(EVIL) != number_of(B)
    assert result(f.join(code, [HERE, THERE])).device == B
    assert f.wire.calls == [THERE]


def test_a_machine_that_comes_late_is_waited_for():
    f = Fixture()
    code, _ = f.open()
    found: list[Address] = []
    joining = f.join(code, found)
    found.append(THERE)
    f.clock.pump([1, 1])
    assert result(joining).device == B


def test_when_nobody_shows_the_code_the_reason_is_told_and_what_to_do():
    f = Fixture()
    joining = f.join("42-river-lemon-tiger", [Address("10.0.0.9", 9)])
    f.clock.pump([1] * int(FIND_S + 2))
    with pytest.raises(ConfigError, match=r"nobody there.*--at host:port"):
        result(joining)
