"""What a site lets another have, by module: held back at both ends, never claimed, sent when allowed."""

from dataclasses import replace

import pytest

from changecapture.core.codec import decode_batch, encode_batch
from changecapture.core.scopes import EVERY, Scopes, Terms, name_progress
from changecapture.errors import OutOfStep, PeerError
from changecapture.status import read_status
from changecapture.sync import answer, next_request, receive
from tests.database.conftest import NewSite
from tests.support.sites import Site, assert_sound_log

MISSING, CAMPS = Scopes(frozenset({"mpr"})), Scopes(frozenset({"cr"}), False)
"""All but the missing persons; camps only."""
KINDS = [("postgresql", "mariadb"), ("mariadb", "postgresql")]


@pytest.fixture(params=KINDS, ids="-".join)
def sites(request: pytest.FixtureRequest, new_site: NewSite) -> list[Site]:
    """Three sites; the third is of the first's kind."""
    return [new_site(kind, "modules") for kind in (*request.param, request.param[0])]


def write(site: Site, *codes: str) -> None:
    """Write a camp and a missing person of each code."""
    for code in codes:
        for table in ("cr_camp", "mpr_missing"):
            site.run(f"INSERT INTO {table} VALUES ('{code}', 'name of {code}')")
    site.publish()


def pull(source: Site, target: Site, send: Scopes, accept: Scopes = EVERY, limit: int = 2) -> int:
    """Let a target pull until its end, in small payloads; return how many entries travelled."""
    ours, theirs = Terms(send=send), Terms(accept=accept, offered=send)
    entries, last = 0, False
    while not last:
        request = replace(next_request(target.store, source.origin, theirs), limit=limit)
        payload = answer(source.store, request, ours).payload
        received = receive(target.store, source.origin, payload, theirs)
        entries, last = entries + received.entries, received.last
    return entries


def codes(site: Site, table: str) -> list[str]:
    return [code for (code,) in site.fetch(f"SELECT code FROM {table} ORDER BY code")]


def test_what_is_not_sent_stays_home_and_is_not_claimed(sites):
    here, there, _ = sites
    write(here, "a", "b")
    assert pull(here, there, MISSING) == 2
    assert codes(there, "cr_camp") == ["a", "b"] and codes(there, "mpr_missing") == []
    assert {scope for _, _, scope in there.store.read_vector()} == {"cr"}


def test_what_is_not_taken_does_not_travel(sites):
    here, there, _ = sites
    write(here, "a")
    assert pull(here, there, Scopes(), accept=CAMPS) == 1
    assert codes(there, "mpr_missing") == []


def test_what_was_held_back_is_sent_when_it_is_allowed_and_the_rest_not_again(sites):
    here, there, _ = sites
    write(here, "a", "b")
    pull(here, there, MISSING)
    write(here, "c")
    pull(here, there, MISSING)
    assert pull(here, there, Scopes()) == 3
    assert codes(there, "mpr_missing") == ["a", "b", "c"] == codes(there, "cr_camp")
    assert there.store.read_vector() == here.store.read_vector()
    assert pull(here, there, Scopes()) == 0


def test_what_is_narrowed_and_widened_again_has_no_hole(sites):
    here, there, _ = sites
    write(here, "a")
    pull(here, there, Scopes())
    write(here, "b")
    pull(here, there, MISSING)
    write(here, "c")
    pull(here, there, Scopes())
    write(here, "d")
    pull(here, there, MISSING)
    assert codes(there, "mpr_missing") == ["a", "b", "c"]
    pull(here, there, Scopes())
    assert codes(there, "mpr_missing") == ["a", "b", "c", "d"] == codes(there, "cr_camp")
    assert_sound_log(there)


def test_a_site_forwards_what_it_holds_and_claims_no_more(sites):
    """What the first withholds from the second reaches the third from the first, not less and not twice."""
    here, there, third = sites
    write(here, "a")
    pull(here, there, MISSING)
    assert pull(there, third, Scopes()) == 1
    assert codes(third, "cr_camp") == ["a"] and codes(third, "mpr_missing") == []
    assert pull(here, third, Scopes()) == 1
    assert codes(third, "mpr_missing") == ["a"]


def test_a_pull_that_was_cut_before_it_was_narrowed_claims_nothing_that_has_not_come(sites):
    here, there, _ = sites
    write(here, "a", "b", "c")
    every = Terms()
    request = replace(next_request(there.store, here.origin, every), limit=3)
    receive(there.store, here.origin, answer(here.store, request, every).payload, every)
    pull(here, there, MISSING)
    assert {scope for _, _, scope in there.store.read_vector()} == {"cr"}
    pull(here, there, Scopes())
    assert codes(there, "mpr_missing") == ["a", "b", "c"]


def test_who_asks_for_more_than_it_may_have_gets_nothing(sites):
    here, there, _ = sites
    write(here, "a")
    for asked in (Scopes(), Scopes(frozenset({"mpr", "cr"}), False), Scopes(frozenset({"x"}))):
        request = next_request(there.store, here.origin, Terms(offered=asked))
        with pytest.raises(PeerError, match="does not send there"):
            answer(here.store, request, Terms(send=MISSING))


def test_who_sends_more_than_is_taken_is_refused_and_nothing_is_kept(sites):
    here, there, _ = sites
    write(here, "a")
    request = next_request(there.store, here.origin)
    honest = decode_batch(answer(here.store, request).payload)
    takes = Terms(accept=MISSING)
    lie = replace(honest, head=replace(honest.head, scopes=MISSING))
    with pytest.raises(PeerError, match="not taken from it: mpr"):
        receive(there.store, here.origin, encode_batch(lie), takes)
    relabelled = replace(
        lie,
        head=replace(lie.head, target=MISSING.of(lie.head.target)),
        entries=tuple(replace(entry, scope="cr") for entry in lie.entries),
    )
    with pytest.raises(PeerError, match="not taken from it: mpr"):
        receive(there.store, here.origin, encode_batch(relabelled), takes)
    assert codes(there, "cr_camp") == codes(there, "mpr_missing") == []
    assert there.store.last_position() == 0


def test_a_payload_that_was_asked_for_under_other_terms_is_not_taken(sites):
    """Else its end would be the end of a pull that has never seen what was held back."""
    here, there, _ = sites
    write(here, "a")
    request = next_request(there.store, here.origin, Terms(offered=MISSING))
    payload = answer(here.store, request, Terms(send=MISSING)).payload
    with pytest.raises(OutOfStep):
        receive(there.store, here.origin, payload, Terms())
    pull(here, there, Scopes())
    assert codes(there, "mpr_missing") == ["a"]


def test_status_shows_a_peer_once_whatever_was_asked_for(sites):
    here, there, _ = sites
    write(here, "a", "b")
    pull(here, there, MISSING)
    pull(here, there, Scopes())
    (peer,) = read_status(there.store).peers
    assert (peer.site, peer.received, peer.pulling) == (here.origin, 4, False)
    assert name_progress(here.origin, MISSING) != name_progress(here.origin, CAMPS)
