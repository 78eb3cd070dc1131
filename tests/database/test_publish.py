"""Publish: every committed change once, whole, in an order that a peer can follow."""

from threading import Barrier, Thread

import pytest

from changecapture.errors import RetryLater
from changecapture.publish import publish
from changecapture.store import open_store
from tests.support.family import Family
from tests.support.sites import assert_in_step, assert_sound_log, exchange, send


@pytest.fixture
def parent(home):
    """A published parent."""
    home.family.add_parent("p", "Anna")
    home.family.note("parent", "p", "v1")
    home.publish()
    return home


@pytest.fixture
def other(home):
    """A second session of the application."""
    connection = Family(home.url)
    yield connection
    connection.close()


def test_nothing_is_published_when_nothing_waits(home):
    assert publish(home.store) == 0
    assert home.fetch("SELECT count(*) FROM {p}changelog") == [(0,)]
    assert home.store.read_site().last_pass == 0


def test_changes_of_one_row_in_a_pass_are_one_entry(home):
    home.family.add_parent("p", "Anna")
    for number in range(5):
        home.family.note("parent", "p", str(number))
    assert home.publish() == 6
    (columns,) = home.entries("parent", "p")
    assert columns == {"name": "Anna", "note": "4", "boss": None, "@alive": True}
    assert_sound_log(home)


def test_update_publishes_the_columns_that_changed(parent):
    parent.family.note("parent", "p", "v2")
    parent.publish()
    assert parent.entries("parent", "p")[-1] == {"note": "v2", "@alive": True}


def test_delete_publishes_no_value_of_its_image(parent):
    parent.family.delete("parent", "p")
    parent.publish()
    assert parent.entries("parent", "p")[-1] == {"@alive": False}


def test_update_and_delete_in_one_pass_carry_what_the_update_wrote(parent):
    """R17."""
    parent.family.note("parent", "p", "v2")
    parent.family.delete("parent", "p")
    parent.publish()
    assert parent.entries("parent", "p")[-1] == {"note": "v2", "@alive": False}


def test_row_that_a_later_edit_revives_has_the_value_of_the_lost_update(families):
    """R17: x is written and the row deleted in one pass; a later edit elsewhere brings it back."""
    here, there = families
    here.family.add_parent("p", "Anna")
    here.family.note("parent", "p", "v1")
    exchange(here, there)
    here.family.note("parent", "p", "v2")
    here.family.delete("parent", "p")
    there.family("UPDATE parent SET name = 'Berta' WHERE uuid = 'p'")
    exchange(here, there)
    assert here.family.rows("SELECT name, note FROM parent") == [("Berta", "v2")]
    assert_in_step(here, there)


def test_row_is_read_late_as_it_is(home):
    """The insert's own values are gone by then; the row as it is at publish is what counts."""
    home.family.add_parent("p", "first")
    home.family("UPDATE parent SET name = 'second' WHERE uuid = 'p'")
    home.publish()
    assert home.entries("parent", "p") == [{"name": "second", "note": None, "boss": None, "@alive": True}]


def test_references_travel_as_keys(home):
    home.family.add_parent("boss")
    home.family.add_parent("p", boss="boss")
    home.family.add_child("c", "p", may="boss")
    home.family.add_link("p", "c", "n")
    home.publish()
    assert home.entries("parent", "p")[0]["boss"] == "boss"
    assert home.entries("child", "c")[0] == {
        "note": None,
        "must": "p",
        "may": "boss",
        "keep": None,
        "@alive": True,
    }
    assert home.entries("link", '["p","c"]') == [{"note": "n", "@alive": True}]


def test_reference_that_is_set_by_an_update_travels_as_a_key(parent):
    parent.family.add_parent("boss")
    parent.publish()
    parent.family("UPDATE parent SET boss = (SELECT id FROM (SELECT * FROM parent) b WHERE uuid = 'boss')")
    parent.publish()
    assert parent.entries("parent", "p")[-1] == {"boss": "boss", "@alive": True}


def test_parents_come_before_children_and_deletes_last(home):
    home.family.add_parent("gone")
    home.family.add_child("gone child", "gone")
    home.publish()
    home.family("BEGIN")
    home.family.delete("child", "gone child")
    home.family.delete("parent", "gone")
    home.family.add_parent("p")
    home.family.add_child("c", "p")
    home.family.add_toy("t", "c")
    home.family("COMMIT")
    home.publish()
    found = home.fetch(f"SELECT row_key FROM {{p}}changelog WHERE {home.quote('pass')} = 2 ORDER BY number")
    assert [key for (key,) in found] == ["p", "c", "t", "gone child", "gone"]


def test_row_of_an_unknown_past_is_published_whole(home):
    """An update of a row that nobody has published yet: a peer must get all of it."""
    with home.store.applying():
        home.store.execute("INSERT INTO parent (uuid, name) VALUES ('p', 'from before')")
    home.family.note("parent", "p", "after")
    home.publish()
    assert home.entries("parent", "p") == [
        {"name": "from before", "note": "after", "boss": None, "@alive": True}
    ]


def test_transaction_that_commits_late_is_found_by_a_later_pass(home, other):
    """Its ids are lower than those that were published before it committed."""
    home.family("BEGIN")
    home.family.add_parent("early id, late commit")
    other.add_parent("late id, early commit")
    assert home.publish() == 1
    home.family("COMMIT")
    assert home.publish() == 1
    assert len(home.entries("parent", "early id, late commit")) == 1
    assert_sound_log(home)


@pytest.mark.parametrize("around", [1, 10, 100])
def test_open_transaction_of_the_application_does_not_stop_publishing(home, other, around):
    """What it has written lies between what is published, and must not be waited for."""
    for number in range(around):
        other.add_parent(f"before {number}")
    home.family("BEGIN")
    home.family.add_parent("open")
    for number in range(around):
        other.add_parent(f"after {number}")
    assert home.publish() == 2 * around
    home.family("COMMIT")
    assert home.publish() == 1
    assert_sound_log(home)


def test_transaction_is_never_cut_by_the_limit_of_a_pass(home, other):
    """Ids of two transactions interleave; a pass holds all of one or nothing."""
    if home.dialect == "mysql":
        pytest.skip("MySQL's triggers do not know the transaction: connections stand for them")
    home.family("BEGIN")
    other("BEGIN")
    for number in range(4):
        home.family.add_parent(f"a{number}")
        other.add_parent(f"b{number}")
    home.family("COMMIT")
    other("COMMIT")
    assert publish(home.store, 5) == 4
    assert publish(home.store, 5) == 4
    found = home.fetch(f"SELECT {home.quote('pass')}, row_key FROM {{p}}changelog")
    passes = {key: number for number, key in found}
    assert len({passes[f"a{n}"] for n in range(4)}) == 1
    assert len({passes[f"b{n}"] for n in range(4)}) == 1


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 100])
def test_last_write_of_a_row_wins_whatever_the_limit_of_a_pass(families, limit):
    """Two connections write one row in turn, one of them much more: the later write is the later entry."""
    here, there = families
    other = Family(here.url)
    try:
        here.family.add_parent("p")
        send(here, there)
        here.family.note("parent", "p", "first, by one")
        other.note("parent", "p", "second, by the other")
        for number in range(6):
            here.family.add_parent(f"noise {number}")
        while publish(here.store, limit):
            pass
        exchange(here, there)
        assert there.family.shown("parent")["p"] == "second, by the other"
        assert_in_step(here, there)
    finally:
        other.close()


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
def test_transaction_above_the_limit_is_cut_and_arrives(families, limit):
    here, there = families
    here.family("BEGIN")
    here.family.add_parent("p", "n")
    here.family.add_child("c", "p", may="p")
    here.family.note("parent", "p", "1")
    here.family.note("child", "c", "1")
    here.family.add_parent("boss", boss="p")
    here.family("UPDATE parent SET boss = (SELECT id FROM (SELECT * FROM parent) b WHERE uuid = 'boss')")
    here.family.delete("child", "c")
    here.family.add_child("c", "boss")
    here.family("COMMIT")
    while publish(here.store, limit):
        pass
    exchange(here, there)
    assert_in_step(here, there)


def test_change_that_was_made_after_seeing_a_value_beats_it_with_a_slow_clock(parent):
    """The row's last stamp is an hour ahead of this site's clock."""
    ahead = parent.store.read_clock() + 3_600_000_000
    parent.fetch("SELECT 1")
    parent.run(f"UPDATE {parent.prefix}row_version SET stamp = {ahead}")
    parent.family.note("parent", "p", "v2")
    parent.publish()
    found = parent.fetch("SELECT max(stamp) FROM {p}changelog WHERE row_key = 'p'")
    assert found == [(ahead + 1,)]


def test_stamp_is_the_time_of_the_last_change_of_the_row(parent):
    before = parent.store.read_clock()
    parent.family.note("parent", "p", "v2")
    between = parent.store.read_clock()
    parent.family.note("parent", "p", "v3")
    after = parent.store.read_clock()
    parent.publish()
    ((stamp,),) = parent.fetch("SELECT max(stamp) FROM {p}changelog WHERE row_key = 'p'")
    assert before < between < stamp < after


def test_context_of_a_pass_is_what_its_author_had_seen(families):
    here, there = families
    there.family.add_parent("theirs")
    exchange(here, there)
    here.family.add_parent("ours")
    here.publish()
    ((vector,),) = here.fetch(
        f"SELECT vector FROM {{p}}context c JOIN {{p}}pass p ON p.context = c.context "
        f"WHERE p.origin = %s ORDER BY p.{here.quote('pass')} DESC",
        [here.origin],
    )
    assert there.origin in vector
    assert here.origin not in vector


def test_r5_two_publishers_at_once_publish_each_change_once(home):
    with home.store.applying():
        pass
    for number in range(300):
        home.family.add_parent(f"p{number}")
    start = Barrier(3)
    failures = []

    def work():
        store = open_store(home.url)
        try:
            start.wait()
            while store.count_captured():
                publish(store, 7)
        except Exception as error:
            failures.append(error)
        finally:
            store.close()

    threads = [Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert home.fetch("SELECT count(*), count(DISTINCT row_key) FROM {p}changelog") == [(300, 300)]
    assert_sound_log(home)


def test_publisher_beside_a_writing_application_misses_nothing(home):
    """Several sessions write the same rows while passes of odd sizes are published."""
    for number in range(4):
        home.family.add_parent(f"p{number}", f"n{number}")
    failures = []

    def write(seed):
        connection = Family(home.url)
        try:
            for step in range(40):
                connection("BEGIN")
                connection.note("parent", f"p{(seed + step) % 4}", f"{seed}.{step}")
                connection("ROLLBACK" if step % 5 == 4 else "COMMIT")
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [Thread(target=write, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        publish(home.store, 3)
    for thread in threads:
        thread.join()
    assert failures == []
    while publish(home.store, 3):
        pass
    for key, note in home.family.shown("parent").items():
        merged = {}
        for columns in home.entries("parent", key):
            merged.update(columns)
        assert merged["note"] == note
    assert_sound_log(home)


def test_r18_pass_is_rolled_back_when_someone_else_has_taken_what_it_read(home):
    """R18: without the lock, a second publisher would publish the same changes twice."""
    home.family.add_parent("p")
    other = open_store(home.url)
    try:
        with pytest.raises(RetryLater), home.store.snapshot():
            captured = home.store.read_captured(None)
            home.store.read_versions([])
            assert publish(other) == 1
            home.store.delete_captured([item.id for item in captured])
    finally:
        other.close()
    assert len(home.entries("parent", "p")) == 1


def test_changed_key_is_a_delete_and_an_insert(parent):
    parent.family("UPDATE parent SET uuid = 'q' WHERE uuid = 'p'")
    parent.publish()
    assert parent.entries("parent", "p")[-1] == {"@alive": False}
    assert parent.entries("parent", "q") == [{"name": "Anna", "note": "v1", "boss": None, "@alive": True}]
    assert_sound_log(parent)


def test_rows_that_refer_to_a_changed_key_are_published_again(parent):
    """R20."""
    parent.family.add_child("c", "p")
    parent.publish()
    parent.family("UPDATE parent SET uuid = 'q' WHERE uuid = 'p'")
    parent.publish()
    assert parent.entries("child", "c")[-1]["must"] == "q"


def test_row_whose_key_names_a_changed_key_changes_its_own(families):
    here, there = families
    here.family.add_parent("p")
    here.family.add_child("c", "p")
    here.family.add_link("p", "c", "kept")
    exchange(here, there)
    here.family("UPDATE parent SET uuid = 'q' WHERE uuid = 'p'")
    here.publish()
    assert here.entries("link", '["p","c"]')[-1] == {"@alive": False}
    assert here.entries("link", '["q","c"]') == [{"note": "kept", "@alive": True}]
    exchange(here, there)
    assert there.family.rows("SELECT note FROM link") == [("kept",)]
    assert_in_step(here, there)


@pytest.mark.parametrize("limit", [1, 100])
def test_deleted_row_is_named_by_rows_that_are_gone_as_well(families, limit):
    """The key of a link is made of its parents' keys: they are deleted by the time of the publish."""
    here, there = families
    here.family.add_parent("p")
    here.family.add_child("c", "p")
    here.family.add_link("p", "c")
    exchange(here, there)
    here.family("DELETE FROM link")
    here.family("DELETE FROM child")
    here.family("DELETE FROM parent")
    while publish(here.store, limit):
        pass
    exchange(here, there)
    assert here.entries("link", '["p","c"]')[-1] == {"@alive": False}
    assert_in_step(here, there)


def test_key_of_a_table_without_one_is_given_once(home):
    home.family("INSERT INTO line (note) VALUES ('a')")
    home.publish()
    home.family("UPDATE line SET note = 'b'")
    home.publish()
    keys = home.fetch("SELECT DISTINCT row_key FROM {p}changelog WHERE table_name = 'line'")
    assert len(keys) == 1
    assert keys[0][0].startswith("urn:uuid:")


def test_row_with_a_key_that_is_too_long_stops_nothing_else(home):
    home.family("INSERT INTO word (text) VALUES (%s)", "x" * 600)
    home.family.add_parent("p")
    home.publish()
    assert len(home.entries("parent", "p")) == 1
    assert list(home.parked().values()) == ["key"]


def test_changes_of_a_table_that_left_the_plan_are_still_published(home):
    home.family.add_parent("p")
    home.run(f"UPDATE {home.prefix}synced_table SET active = 0 WHERE table_name = 'parent'")
    try:
        store = open_store(home.url)
        assert publish(store) == 1
        store.close()
        assert len(home.entries("parent", "p")) == 1
    finally:
        home.run(f"UPDATE {home.prefix}synced_table SET active = 1 WHERE table_name = 'parent'")
