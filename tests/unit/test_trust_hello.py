"""Whom a device introduces is believed when a person has allowed it, when it is signed, and new."""

import json
from base64 import b64encode
from pathlib import Path

import pytest

from changecapture.core.scopes import EVERY, Scopes
from changecapture.errors import PeerError
from relay.trust.hello import Hello
from relay.trust.identity import load_identity
from relay.trust.peers import Paired, Peers
from relay.trust.state import open_state
from tests.unit.relay_fake import device_id

ONE, TWO = device_id("1"), device_id("2")
MISSING = Scopes(frozenset({"mpr"}))


class Device:
    def __init__(self, directory: Path) -> None:
        state = open_state(directory)
        self.identity = load_identity(state)
        self.id = self.identity.device
        self.peers = Peers(state, self.id)
        self.hello = Hello(self.identity, self.peers)

    @property
    def names(self) -> list[str]:
        return [peer.name for peer in self.peers.all()]


@pytest.fixture
def hub(tmp_path: Path) -> Device:
    return Device(tmp_path / "hub")


@pytest.fixture
def spoke(tmp_path: Path, hub: Device) -> Device:
    made = Device(tmp_path / "spoke")
    hub.peers.put(Paired(made.id, "spoke"))
    made.peers.put(Paired(hub.id, "hub", introducer=True))
    return made


def greet(hub: Device, spoke: Device) -> None:
    spoke.hello.read(hub.id, hub.hello.write(spoke.id))


def test_who_is_paired_by_hand_is_introduced_under_its_name(hub, spoke):
    hub.peers.put(Paired(ONE, "one"))
    greet(hub, spoke)
    one = spoke.peers.get(ONE)
    assert spoke.names == ["hub", "one"] and one.introduced_by == hub.id


def test_who_was_introduced_is_not_introduced_further(hub, spoke):
    hub.peers.put(Paired(ONE, "one", introduced_by=TWO))
    greet(hub, spoke)
    assert spoke.names == ["hub"]


def test_who_is_no_introducer_is_not_believed(hub, spoke):
    hub.peers.put(Paired(ONE, "one"))
    spoke.peers.change(hub.id, introducer=False)
    greet(hub, spoke)
    assert spoke.names == ["hub"]


def test_whom_the_introducer_has_unpaired_is_unpaired_but_not_who_was_paired_by_hand(hub, spoke):
    for device in (ONE, TWO):
        hub.peers.put(Paired(device, device[0]))
    spoke.peers.put(Paired(TWO, "by hand"))
    greet(hub, spoke)
    for device in (ONE, TWO):
        hub.peers.remove(device)
    greet(hub, spoke)
    assert spoke.names == ["by hand", "hub"]


def test_limits_of_the_introducer_hold_for_whom_it_introduces(hub, spoke):
    spoke.peers.change(hub.id, send=MISSING)
    hub.peers.put(Paired(ONE, "one"))
    greet(hub, spoke)
    assert spoke.peers.get(ONE).send == MISSING


def test_an_older_list_changes_nothing(hub, spoke):
    old = hub.hello.write(spoke.id)
    hub.peers.put(Paired(ONE, "one"))
    greet(hub, spoke)
    spoke.hello.read(hub.id, old)
    assert spoke.names == ["hub", "one"]


def test_what_a_device_offers_is_heard_and_nothing_is_taken_before(hub, spoke):
    assert spoke.peers.terms(hub.id).asked == Scopes(but=False)
    hub.peers.change(spoke.id, send=MISSING)
    greet(hub, spoke)
    assert spoke.peers.terms(hub.id).asked == MISSING
    hub.peers.change(spoke.id, send=EVERY)
    greet(hub, spoke)
    assert spoke.peers.terms(hub.id).asked == EVERY


def test_nothing_is_exchanged_with_who_is_not_paired(spoke):
    terms = spoke.peers.terms(ONE)
    assert terms.send == terms.accept == terms.asked == Scopes(but=False)


@pytest.mark.parametrize("part", ["introduction", "key", "signature"])
def test_a_list_that_was_changed_or_is_anothers_is_refused(hub, spoke, tmp_path, part):
    hub.peers.put(Paired(ONE, "one"))
    told = json.loads(hub.hello.write(spoke.id))
    other = Device(tmp_path / "other")
    other.peers.put(Paired(TWO, "two"))
    told[part] = json.loads(other.hello.write(spoke.id))[part]
    with pytest.raises(PeerError):
        spoke.hello.read(hub.id, json.dumps(told))
    assert spoke.names == ["hub"]


@pytest.mark.parametrize("text", ["", "{}", "[]", "5", '{"offers":"x"}', "[" * 100_000])
def test_a_malformed_greeting_is_refused(hub, spoke, text):
    with pytest.raises(PeerError):
        spoke.hello.read(hub.id, text)


@pytest.mark.parametrize("row", [{}, 5, {"device": "x", "name": "y"}, {"device": ONE}])
def test_a_malformed_list_that_is_signed_pairs_nobody(hub, spoke, row):
    text = json.dumps({"device": hub.id, "serial": 2**50, "peers": [{"device": TWO, "name": "t"}, row]})
    told = json.loads(hub.hello.write(spoke.id))
    told |= {"introduction": text, "signature": b64encode(hub.identity.key.sign(text.encode())).decode()}
    with pytest.raises(PeerError):
        spoke.hello.read(hub.id, json.dumps(told))
    assert spoke.names == ["hub"]
