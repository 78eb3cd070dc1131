"""``changecapture bundle``: a stick between two paired sites does what the network would."""

import json
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

import pytest

from changecapture.core.scopes import Scopes
from relay.trust.identity import Identity, load_identity
from relay.trust.peers import Paired, Peers
from relay.trust.state import open_state
from tests.support.commands import Outcome, run_command
from tests.support.compare import assert_equal_sites
from tests.support.relays import CONFIG
from tests.support.sites import Site, exchange


@dataclass
class Desk:
    """A site with its relay's configuration, as a person finds it."""

    name: str
    site: Site
    config: Path
    identity: Identity

    @property
    def peers(self) -> Peers:
        return Peers(self.config.with_suffix(".state"), self.identity.device)

    def bundle(self, verb: str, *arguments: object) -> Outcome:
        self.site.close()
        return run_command("bundle", verb, "--config", str(self.config), *map(str, arguments))

    def done(self, verb: str, *arguments: object, status: int = 0) -> dict:
        outcome = self.bundle(verb, "--json", *arguments)
        assert (outcome.status, outcome.err) == (status, ""), outcome
        return json.loads(outcome.out)

    def refused(self, *arguments: object) -> str:
        outcome = self.bundle("import", *arguments)
        assert outcome.status == 2 and outcome.err.count("\n") == 1, outcome
        return outcome.err


def make_desk(name: str, site: Site, directory: Path) -> Desk:
    config = directory / f"{name}.toml"
    text = CONFIG.format(name=name, service="_x._tcp.local.")
    config.write_text(text.replace('url_env = "CHANGECAPTURE_URL"', f'url = "{site.url}"'))
    return Desk(name, site, config, load_identity(open_state(config.with_suffix(".state"))))


def pair(*desks: Desk) -> None:
    for here in desks:
        for there in desks:
            if here is not there:
                key = b64encode(there.identity.public_key).decode()
                here.peers.put(Paired(there.identity.device, there.name, key=key))


@pytest.fixture
def desks(families, tmp_path: Path) -> tuple[Desk, Desk]:
    """The city and the camp, paired; one on each kind of server."""
    city, camp = (
        make_desk(name, site, tmp_path) for name, site in zip(("city", "camp"), families, strict=True)
    )
    pair(city, camp)
    return city, camp


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    return tmp_path / "stick"


def test_what_a_stick_carries_is_what_the_network_would(desks, stick):
    city, camp = desks
    for number in range(5):
        city.site.family.add_parent(f"p{number}", note := f"name {number}")
    camp.site.family.add_parent("camp", "at the camp")
    city.site.family.note("parent", "p0", note)
    made = city.done("export", "--for", "camp", stick)
    taken = camp.done("import", stick)
    assert (made["changes"], taken["changes"], taken["applied"], taken["parked"]) == (5, 5, 5, 0)
    back = camp.done("export", "--for", "city", stick)
    assert city.done("import", stick)["applied"] == 1 and back["changes"] == 6
    assert_equal_sites(city.site.url, camp.site.url)
    assert exchange(city.site, camp.site) == 0, "the vectors were not raised"


def test_receipt_lets_the_next_bundle_begin_after_what_is_there(desks, stick):
    city, camp = desks
    city.site.family.add_parent("one")
    city.done("export", "--for", "camp", stick)
    receipt = camp.done("import", stick)["receipt"]
    assert city.done("import", receipt)["news"] and not city.done("import", receipt)["news"]
    assert city.done("export", "--for", "camp", stick)["changes"] == 0
    city.site.family.add_parent("two")
    assert city.done("export", "--for", "camp", stick)["changes"] == 1
    assert camp.done("import", stick)["applied"] == 1
    assert_equal_sites(city.site.url, camp.site.url)


def test_importing_twice_or_an_old_bundle_later_changes_nothing(desks, stick, tmp_path):
    city, camp = desks
    city.site.family.add_parent("one", "old")
    city.done("export", "--for", "camp", stick)
    old = tmp_path / "old"
    old.write_bytes(stick.read_bytes())
    camp.done("import", stick)
    city.site.family("UPDATE parent SET name = 'new'")
    city.done("export", "--for", "camp", stick)
    camp.done("import", stick)
    log = camp.site.fetch("SELECT count(*) FROM {p}changelog")
    for file in (stick, old, stick):
        taken = camp.done("import", file)
        assert (taken["known"], taken["changes"]) == (True, 0)
    assert camp.site.fetch("SELECT count(*) FROM {p}changelog") == log
    assert camp.site.family.rows("SELECT name FROM parent") == [("new",)]
    assert not camp.site.conflicts()


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bundle of many chunks, without many rows."""
    monkeypatch.setattr("changecapture.sync.sender.BATCH_ENTRIES", 3)


def test_file_that_ends_early_gives_its_whole_parts_and_the_whole_file_goes_on(
    desks, stick, small_batches, tmp_path
):
    city, camp = desks
    for number in range(10):
        city.site.family.add_parent(f"p{number}")
    city.done("export", "--for", "camp", stick)
    cut = tmp_path / "cut"
    cut.write_bytes(stick.read_bytes()[:-200])
    first = camp.done("import", cut, status=1)
    assert not first["whole"] and 0 < first["applied"] < 10
    rest = camp.done("import", stick)
    assert rest["whole"] and rest["applied"] == 10 - first["applied"]
    assert_equal_sites(city.site.url, camp.site.url)


def test_receipt_after_half_a_bundle_claims_no_more_than_is_there(desks, stick, small_batches):
    city, camp = desks
    for number in range(10):
        city.site.family.add_parent(f"p{number}")
    city.done("export", "--for", "camp", stick)
    stick.write_bytes(stick.read_bytes()[:-200])
    city.done("import", camp.done("import", stick, status=1)["receipt"])
    city.site.family.add_parent("later")
    assert city.done("export", "--for", "camp", stick)["changes"] == 11
    camp.done("import", stick)
    assert_equal_sites(city.site.url, camp.site.url)


def test_bundle_goes_along_with_a_pull_over_the_network_that_was_made_meanwhile(desks, stick):
    city, camp = desks
    city.site.family.add_parent("one")
    city.done("export", "--for", "camp", stick)
    city.site.family.add_parent("two")
    exchange(city.site, camp.site)
    assert camp.done("import", stick)["known"]
    city.site.family.add_parent("three")
    exchange(city.site, camp.site)
    assert_equal_sites(city.site.url, camp.site.url)


def test_bundle_of_a_stranger_is_refused(desks, stick):
    city, camp = desks
    city.site.family.add_parent("one")
    city.done("export", "--for", "camp", stick)
    camp.peers.remove(city.identity.device)
    assert "is not paired" in camp.refused(stick)
    assert camp.site.family.shown("parent") == {}


def test_bundle_for_somebody_else_is_refused(desks, stick, tmp_path):
    city, camp = desks
    other = make_desk("other", camp.site, tmp_path)
    pair(city, other)
    city.done("export", "--for", "camp", stick)
    assert "the bundle is for device" in other.refused(stick)


def test_damaged_bundle_is_refused_with_one_line_and_nothing_of_the_damage_is_taken(desks, stick):
    city, camp = desks
    city.site.family.add_parent("one")
    city.done("export", "--for", "camp", stick)
    content = bytearray(stick.read_bytes())
    content[-30] ^= 1
    stick.write_bytes(content)
    assert "changed or damaged" in camp.refused(stick)
    assert camp.site.family.shown("parent") == {} and camp.site.store.read_vector() == {}


def test_changed_receipt_is_refused(desks, stick):
    city, camp = desks
    camp.done("receipt", "--for", "city", stick)
    told = json.loads(stick.read_text())
    stick.write_text(json.dumps({**told, "receipt": told["receipt"].replace('"serial": 1', '"serial": 2')}))
    assert "signature" in city.refused(stick)


def test_what_a_peer_may_not_have_is_in_no_bundle_for_it(desks, stick):
    city, camp = desks
    city.site.family.add_parent("one")
    scope = next(iter(city.site.store.tables.values())).scope
    city.peers.change(camp.identity.device, send=Scopes(frozenset({scope})))
    assert city.done("export", "--for", "camp", stick)["changes"] == 0
    camp.done("import", stick)
    assert camp.site.family.shown("parent") == {}
    city.peers.change(camp.identity.device, send=Scopes())
    assert city.done("export", "--for", "camp", stick)["changes"] == 1
    assert camp.done("import", stick)["applied"] == 1


def test_what_is_not_taken_from_a_peer_is_refused_and_a_receipt_leaves_it_out(desks, stick):
    city, camp = desks
    city.site.family.add_parent("one")
    scope = next(iter(city.site.store.tables.values())).scope
    camp.peers.change(city.identity.device, accept=Scopes(frozenset({scope})))
    city.done("export", "--for", "camp", stick)
    assert "not taken from city" in camp.refused(stick)
    stick.unlink()
    camp.done("receipt", "--for", "city", stick)
    city.done("import", stick)
    stick.unlink()
    assert city.done("export", "--for", "camp", stick)["changes"] == 0
    camp.done("import", stick)
    assert camp.site.family.shown("parent") == {}


def test_site_that_was_put_back_refuses_what_begins_after_it_and_a_receipt_mends_that(desks, stick):
    city, camp = desks
    city.site.family.add_parent("one")
    city.done("export", "--for", "camp", stick)
    city.done("import", camp.done("import", stick)["receipt"])
    origin = camp.site.origin
    camp.site.clean()
    camp.site.run(f"UPDATE {camp.site.prefix}site SET origin = '{origin}'")
    city.site.family.add_parent("two")
    city.done("export", "--for", "camp", stick)
    assert "begins after what is here" in camp.refused(stick)
    camp.done("receipt", "--for", "city", stick.with_suffix(".receipt"))
    city.done("import", stick.with_suffix(".receipt"))
    assert city.done("export", "--for", "camp", stick)["changes"] == 2
    assert camp.done("import", stick)["applied"] == 2


def test_site_that_another_device_speaks_for_is_refused(desks, stick, tmp_path):
    city, camp = desks
    thief = make_desk("thief", city.site, tmp_path)
    pair(camp, thief)
    camp.peers.claim(city.identity.device, city.site.origin)
    thief.done("export", "--for", "camp", stick)
    assert "is spoken for by" in camp.refused(stick)


def test_key_that_is_not_known_is_asked_for_and_comes_with_a_receipt(desks, stick):
    city, camp = desks
    city.peers.change(camp.identity.device, key="")
    outcome = city.bundle("export", "--for", "camp", stick)
    assert outcome.status == 2 and "the key of camp" in outcome.err
    camp.done("receipt", "--for", "city", stick)
    city.done("import", stick)
    stick.unlink()
    city.done("export", "--for", "camp", stick)
    assert camp.done("import", stick)["changes"] == 0


def test_file_that_is_no_bundle_is_not_written_over(desks, stick):
    city, _ = desks
    stick.write_text("holiday.jpg")
    outcome = city.bundle("export", "--for", "camp", stick)
    assert outcome.status == 2 and "no bundle" in outcome.err
    assert stick.read_text() == "holiday.jpg"


def test_stick_is_an_exchange_in_the_status_of_both(desks, stick):
    city, camp = desks
    city.site.family.add_parent("one")
    made = city.done("export", "--for", "camp", stick)
    camp.done("import", stick)
    for desk, direction in ((city, "out"), (camp, "in")):
        status = json.loads(run_command("status", desk.site.url, "--json").out)
        (last,) = status["exchanges"]
        assert (last["exchange"], last["direction"], last["entries"]) == (made["bundle"], direction, 1)
