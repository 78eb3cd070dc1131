"""Restored backups and copies: noticed, healed without a person, nothing of either life lost (R10)."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from changecapture.compact import compact
from changecapture.errors import PeerError
from changecapture.greeting import greet, meet
from changecapture.lives import sample_entries
from changecapture.memo import Memo
from changecapture.sync import answer, next_request, receive
from tests.support import family
from tests.support.backups import Backups
from tests.support.sites import Site, assert_in_step, exchange, send

OTHER = {"postgresql": "mariadb", "mysql": "postgresql"}
KIND = {"postgresql": "postgresql", "mysql": "mariadb"}


@pytest.fixture
def backups(server) -> Iterator[Backups]:
    made = Backups(server)
    yield made
    made.close()


@pytest.fixture
def home(server, new_tables) -> Site:
    """The site that loses a part of its past: once on each engine."""
    kind = KIND[server.dialect]
    return new_tables(kind, family.script(kind))


@pytest.fixture
def peers(server, new_site) -> list[Site]:
    return [new_site(OTHER[server.dialect], "family"), new_site("postgresql", "family")]


@pytest.fixture
def memo(tmp_path) -> Memo:
    return Memo(tmp_path / "memo.json")


def write(site: Site, *texts: str) -> None:
    for text in texts:
        site.family("INSERT INTO word (text, note) VALUES (%s, 'first')", text)
    site.publish()


def note(site: Site, text: str, value: str) -> None:
    site.family("UPDATE word SET note = %s WHERE text = %s", value, text)
    site.publish()


def words(site: Site) -> dict[str, str]:
    return dict(site.family.rows("SELECT text, note FROM word"))


def epochs(site: Site) -> set[int]:
    return {epoch for origin, epoch, _ in site.store.read_vector() if origin == site.origin}


def settle(*sites: Site, whole: bool = True) -> None:
    """Exchange until nothing moves, and see that all show the same; ``whole``: see assert_sound_log."""
    for _ in range(3):
        for left in sites:
            for right in sites:
                if left is not right:
                    send(left, right)
    for other in sites[1:]:
        assert_in_step(sites[0], other, whole=whole)


def test_restored_backup_begins_an_epoch_before_it_publishes(home, peers, backups, memo):
    peer = peers[0]
    home.store.memo = memo
    write(home, "before")
    backup = backups.make(home)
    home.store.memo = memo
    write(home, "lost at home")
    exchange(home, peer)
    backups.restore(home, backup, memo)
    write(home, "written after")
    assert home.store.read_site().epoch > 1
    settle(home, peer)
    assert set(words(home)) == {"before", "lost at home", "written after"}
    assert home.fetch("SELECT count(*) FROM {p}contested") == [(0,)]


def test_restored_backup_without_the_memo_is_noticed_when_sites_meet(home, peers, backups):
    """R10 (a): numbers are given a second time before any contact, and overtake what was shipped."""
    peer = peers[0]
    write(home, "before")
    note(home, "before", "second")
    backup = backups.make(home)
    note(home, "before", "lost at home")
    write(home, "shipped")
    exchange(home, peer)
    backups.restore(home, backup)
    write(home, "one", "two", "three", "four")
    assert home.store.read_site().epoch == 1
    settle(home, peer)
    assert words(home) == {
        "before": "lost at home",
        **dict.fromkeys(("shipped", "one", "two", "three", "four"), "first"),
    }
    assert len(epochs(home)) > 1


def test_site_that_took_a_name_in_its_second_sense_ends_equal_too(home, peers, backups):
    former, latter = peers
    write(home, "before")
    backup = backups.make(home)
    note(home, "before", "of the former life")
    write(home, "former 1", "former 2")
    exchange(home, former)
    backups.restore(home, backup)
    write(home, "latter 1", "latter 2", "latter 3", "latter 4")
    exchange(home, latter)
    settle(home, former, latter)
    assert words(latter) == words(former) == words(home)
    assert len(words(home)) == 7
    assert words(home)["before"] == "of the former life"


def test_two_lives_that_gave_one_stamp_show_one_value(home, peers, backups):
    """R10 (b): the clock is slow, so that both write previous + 1 to the row: stamp and origin are equal."""
    peer = peers[0]
    write(home, "word")
    far = 4_000_000_000_000_000
    home.run(f"UPDATE {home.prefix}changelog SET stamp = {far}")
    home.run(f"UPDATE {home.prefix}row_version SET stamp = {far}")
    backup = backups.make(home)
    note(home, "word", "of the former life")
    exchange(home, peer)
    backups.restore(home, backup)
    note(home, "word", "of the latter life")
    settle(home, peer)
    assert words(home) == words(peer)
    stamps = home.fetch("SELECT DISTINCT stamp FROM {p}changelog WHERE number > 1 OR epoch > 1")
    assert stamps == [(far + 1,)]
    lost = {value for *_, value in (*home.conflicts(), *peer.conflicts())}
    shown = f'"{words(home)["word"]}"'
    assert lost >= {'"of the former life"', '"of the latter life"'} - {shown}


def test_deletion_is_not_undone_by_a_restored_backup(home, peers, backups):
    peer = peers[0]
    write(home, "gone", "kept")
    exchange(home, peer)
    backup = backups.make(home)
    home.family("DELETE FROM word WHERE text = 'gone'")
    exchange(home, peer)
    backups.restore(home, backup)
    note(home, "kept", "second")
    settle(home, peer)
    assert words(home) == words(peer) == {"kept": "second"}


def test_backup_of_a_year_ago_is_noticed_though_the_others_have_given_up_what_it_lacks(home, peers, backups):
    """Of the names that it gives again they hold the last ones at most; deletions of then stay."""
    write(home, "kept", "gone", "edited")
    backup = backups.make(home)
    home.family("DELETE FROM word WHERE text = 'gone'")
    for number in range(5):
        note(home, "edited", f"number {number}")
    for peer in peers:
        exchange(home, peer)
        assert sum(step.removed for step in compact(peer.store, 0, anew=True)) > 0
    backups.restore(home, backup)
    write(home, *(f"new {number}" for number in range(9)))
    told = meet(home.store, greet(peers[0].store, home.origin))
    assert "names of a new epoch" in told[0] and home.store.read_site().epoch > 1
    settle(home, *peers, whole=False)
    new = {f"new {number}": "first" for number in range(9)}
    assert words(home) == {"kept": "first", "edited": "number 4", **new}


def test_what_others_wrote_comes_back_to_a_restored_site_from_any_of_them(home, peers, backups):
    """Entries of others that the lost part of its log held are asked for again: positions are void."""
    first, second = peers
    write(first, "one")
    exchange(first, home)
    exchange(home, second)
    backup = backups.make(home)
    write(first, "two")
    exchange(first, home)
    exchange(home, second)
    backups.restore(home, backup)
    write(second, "three")
    settle(home, first, second)
    assert set(words(home)) == {"one", "two", "three"}


def test_cut_pull_from_a_site_that_was_restored_meanwhile_claims_nothing_that_did_not_come(
    home, peers, backups
):
    """The end and the target that were named are of the former life; another log has grown beyond them."""
    giver, taker = peers
    write(giver, "a")
    send(giver, home)
    backup = backups.make(home)
    write(giver, "b", "c")
    send(giver, home)
    request = replace(next_request(taker.store, home.origin), limit=1)
    receive(taker.store, home.origin, answer(home.store, request).payload)
    origin = home.origin
    backups.restore(home, backup)
    write(home, "d", "e", "f")
    while not receive(
        taker.store, origin, answer(home.store, next_request(taker.store, origin)).payload
    ).last:
        pass
    assert set(words(taker)) == {"a", "d", "e", "f"}
    held = {c[0]: n for c, n in taker.store.read_vector().items()}
    assert held == {giver.origin: 1, origin: 3}
    settle(home, giver, taker)
    assert set(words(taker)) == {"a", "b", "c", "d", "e", "f"}


def test_names_of_a_former_life_that_a_cut_pull_brought_are_told_in_a_greeting(home, peers, backups):
    """They are not in the vector of the peer, and would be refused for ever."""
    peer = peers[0]
    write(home, "before")
    backup = backups.make(home)
    write(home, "lost at home")
    write(home, "lost everywhere")
    for _ in range(2):
        request = replace(next_request(peer.store, home.origin), limit=1)
        receive(peer.store, home.origin, answer(home.store, request).payload)
    backups.restore(home, backup)
    send(peer, home)
    assert set(words(home)) == {"before", "lost at home"}
    write(home, "second life")
    settle(home, peer, whole=False)


def test_copy_that_is_alive_beside_its_original_is_noticed_and_loses_nothing(home, peers, backups):
    peer = peers[0]
    write(home, "before")
    exchange(home, peer)
    copied = backups.copy(home)
    for number in range(3):
        write(home, f"original {number}")
        write(copied, f"copy {number}")
        send(peer, home)
        send(home, peer)
        send(peer, copied)
        send(copied, peer)
    told = meet(copied.store, greet(peer.store, copied.origin))
    assert "run changecapture site renew" in told[0]
    assert copied.store.read_copied() is not None
    for site in (home, copied, peer, home, copied):
        send(peer, site) if site is not peer else None
    assert words(home) == words(copied) == words(peer)
    assert len(words(home)) == 7


def test_healing_is_done_once(home, peers, backups):
    peer = peers[0]
    write(home, "before")
    backup = backups.make(home)
    write(home, "former")
    exchange(home, peer)
    backups.restore(home, backup)
    write(home, "latter")
    settle(home, peer)
    held = home.store.read_vector()
    for _ in range(3):
        assert meet(home.store, greet(peer.store, home.origin)) == []
        assert meet(peer.store, greet(home.store, peer.origin)) == []
    settle(home, peer)
    assert home.store.read_vector() == held


def test_peer_that_lies_cannot_make_a_site_begin_epochs_without_end(home, peers):
    peer = peers[0]
    write(home, "word")
    exchange(home, peer)
    lie = replace(greet(peer.store, home.origin))
    begun = set()
    for _ in range(3):
        epoch = home.store.read_site().epoch
        digests = f'{{"{home.origin}": {{"{epoch}": [[999, "0123456789abcdef"]]}}}}'
        meet(home.store, replace(lie, digests=digests))
        begun.add(home.store.read_site().epoch)
    assert len(begun) == 1
    assert home.store.last_position() == 2
    settle(home, peer)


@pytest.mark.parametrize("digests", ["[]", '{"a": 1}', '{"a": {"x": []}}', '{"a": {"1": [[1]]}}', "{"])
def test_malformed_digests_are_refused(home, digests):
    with pytest.raises(PeerError):
        type(greet(home.store)).from_json(replace(greet(home.store), digests=digests).to_json())


def test_backup_and_then_an_older_one_put_back_are_no_copy(home, peers, backups, memo):
    """Each time the site greets before it writes anything: its greeting never tells a life that is past."""
    peer, home.store.memo = peers[0], memo
    write(home, "a")
    older = backups.make(home)
    write(home, "b")
    newer = backups.make(home)
    write(home, "c")
    exchange(home, peer)
    told = []
    for backup, word in ((newer, "d"), (older, "e")):
        backups.restore(home, backup, memo)
        told += meet(peer.store, greet(home.store, peer.origin))
        write(home, word)
        exchange(home, peer)
        told += meet(peer.store, greet(home.store, peer.origin))
    assert told == [] and set(words(home)) == set(words(peer)) == set("abcde")


def test_samples_reach_back_as_far_as_two_lives_can_part(home):
    write(home, *(f"w{n}" for n in range(300)))
    numbers = [n for n, _ in sample_entries(home.store, home.origin, 1, 300, deep=True)]
    assert numbers == [*range(300, 235, -1), 172, 44]
    assert [n for n, _ in sample_entries(home.store, home.origin, 1, 300, deep=False)] == [300]
