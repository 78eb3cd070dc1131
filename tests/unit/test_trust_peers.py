"""Who is paired is kept, bound to its sites, and gone at once when unpaired."""

from pathlib import Path

import pytest

from changecapture.core.scopes import Scopes
from changecapture.errors import ConfigError, PeerError
from relay.trust.peers import FILE, MAX_SITES, Paired, Peers
from relay.trust.state import open_state, write_private
from tests.unit.relay_fake import device_id, site_id

OWN, ONE, TWO, THREE = (device_id(letter) for letter in "0123")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return open_state(tmp_path / "state")


def open_peers(state: Path, *paired: Paired) -> Peers:
    peers = Peers(state, OWN)
    for peer in paired:
        peers.put(peer)
    return peers


def test_what_is_paired_is_there_after_a_restart(state: Path):
    peer = Paired(
        ONE,
        "north",
        "2026-01-01",
        (site_id("a"),),
        True,
        TWO,
        Scopes(frozenset({"cr", "pr"}), False),
        Scopes(frozenset({"mpr"})),
        7,
    )
    open_peers(state, peer)
    assert open_peers(state).all() == [peer]
    assert (state / FILE).stat().st_mode & 0o777 == 0o600


def test_who_is_unpaired_is_gone_with_those_that_it_alone_introduced(state: Path):
    peers = open_peers(
        state, Paired(ONE, "hub"), Paired(TWO, "spoke", introduced_by=ONE), Paired(THREE, "friend")
    )
    assert {peer.name for peer in peers.remove(ONE)} == {"hub", "spoke"}
    assert [peer.name for peer in open_peers(state).all()] == ["friend"]


def test_every_change_is_told(state: Path):
    peers = open_peers(state)
    told: list[tuple[Paired | None, Paired | None]] = []
    peers.on_change(lambda before, after: told.append((before, after)))
    north, allowed = Paired(ONE, "north"), Paired(ONE, "north", introducer=True)
    peers.put(north)
    peers.change(ONE, introducer=True)
    peers.remove(ONE)
    assert told == [(None, north), (north, allowed), (allowed, None)]


def test_this_device_is_not_its_own_peer(state: Path):
    with pytest.raises(PeerError):
        open_peers(state, Paired(OWN, "me"))


def test_a_site_belongs_to_the_device_that_spoke_for_it_first(state: Path):
    peers = open_peers(state, Paired(ONE, "north"), Paired(TWO, "south"))
    peers.claim(ONE, site_id("a"))
    with pytest.raises(PeerError, match="spoken for by north"):
        peers.claim(TWO, site_id("a"))
    peers = open_peers(state)
    peers.claim(ONE, site_id("a"))
    peers.remove(ONE)
    peers.claim(TWO, site_id("a"))


def test_a_site_is_called_by_the_name_of_who_speaks_for_it(state: Path):
    peers = open_peers(state, Paired(ONE, "north"))
    peers.claim(ONE, site_id("a"))
    assert (peers.name_site(site_id("a")), peers.name_site(site_id("b"))) == ("north", site_id("b"))


def test_who_is_not_paired_speaks_for_no_site(state: Path):
    with pytest.raises(PeerError, match="not paired"):
        open_peers(state).claim(ONE, site_id("a"))


def test_a_device_cannot_claim_sites_without_end(state: Path):
    peers = open_peers(state, Paired(ONE, "north"))
    for number in range(MAX_SITES):
        peers.claim(ONE, f"{number:032x}")
    with pytest.raises(PeerError):
        peers.claim(ONE, site_id("f"))


def test_a_peer_is_found_by_name_or_by_the_beginning_of_its_id(state: Path):
    peers = open_peers(state, Paired(ONE, "North"), Paired(TWO, "twin"), Paired(THREE, "twin"))
    assert peers.find("north").device == peers.find("1111").device == ONE
    with pytest.raises(ConfigError, match="any of 2 peers"):
        peers.find("twin")
    for unknown in ("111", "east", ""):
        with pytest.raises(ConfigError, match="no peer is called"):
            peers.find(unknown)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"peers":[{"name":"x"}]}', b"\xff"])
def test_a_damaged_list_is_one_line(state: Path, content: bytes):
    write_private(state / FILE, content)
    with pytest.raises(ConfigError, match="is damaged"):
        open_peers(state)


def test_what_a_later_version_keeps_beside_it_is_read_over(state: Path):
    write_private(state / FILE, b'{"peers":[{"device":"%s","name":"x","new":1}]}' % ONE.encode())
    assert open_peers(state).all() == [Paired(ONE, "x")]


def test_what_a_device_may_bring_that_nobody_knew_ends_and_does_not_begin_anew_with_a_restart(state: Path):
    open_peers(state, Paired(ONE, "north"), Paired(TWO, "south"))
    peers = Peers(state, OWN, most_brought=10)
    peers.note_brought(ONE, 7)
    assert (peers.terms(ONE).room, peers.terms(TWO).room) == (3, 10)
    peers.note_brought(ONE, 5)
    assert Peers(state, OWN, most_brought=10).terms(ONE).room == 0
