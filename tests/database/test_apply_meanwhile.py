"""What the application writes in the middle of an apply transaction is neither overwritten nor lost."""

import psycopg
import pymysql
import pytest

from changecapture.core.change import Row
from changecapture.pair import pull
from tests.support import family, things
from tests.support.compare import compare_sites
from tests.support.interrupt import InterruptedStore
from tests.support.plain import ThoroughStore
from tests.support.sites import assert_in_step, assert_sound_log, exchange

IN_BULK = [(False, moment) for moment in ("hold_rows", "insert_columns", "has_captured", "update_columns")]
SINGLY = [(True, moment) for moment in ("hold_rows", "read_captured", "update_rows")]


def interrupt(store, moment, action, singly=False):
    """Return a store in which the application acts at a moment; ``singly``: each row is merged by itself."""
    return InterruptedStore(ThoroughStore(store) if singly else store, moment, action)


@pytest.mark.parametrize(("singly", "moment"), IN_BULK + SINGLY)
def test_r7_change_of_the_application_in_mid_apply_is_not_overwritten(families, other, singly, moment):
    here, there = families
    here.family.add_parent("p")
    here.family.add_parent("q")
    exchange(here, there)
    here.family.note("parent", "p", "ours")
    here.family.add_parent("new")
    application = other(there)
    application("SET lock_timeout = '100ms'") if there.dialect == "postgresql" else application(
        "SET innodb_lock_wait_timeout = 1"
    )

    written = set()

    def write():
        try:
            application("UPDATE parent SET name = 'theirs', note = 'theirs' WHERE uuid = 'p'")
            written.add("p")
        except (psycopg.Error, pymysql.Error):
            application("UPDATE parent SET name = 'theirs' WHERE uuid = 'q'")

    store = interrupt(there.store, moment, write, singly)
    pull(here.store, store)
    exchange(here, there)
    if moment != "has_captured":
        assert store.done
    assert_in_step(here, there)
    if "p" in written:
        assert here.family.shown("parent")["p"] == "theirs"
        assert here.conflicts() == there.conflicts() == {("parent", "p", "note", '"theirs"', '"ours"')}


@pytest.mark.parametrize("singly", [False, True])
def test_r21_order_of_the_application_s_changes_is_kept_when_one_is_published_in_mid_apply(
    families, other, singly
):
    """R21: two transactions wrote one row; the second also wrote the row that is being applied. The
    first must not be published after the second."""
    here, there = families
    here.family.add_parent("both")
    here.family.add_parent("applied")
    exchange(here, there)
    here.family.note("parent", "applied", "ours")
    first, second = other(there), other(there)

    def write():
        first.note("parent", "both", "first")
        second("BEGIN")
        second.note("parent", "both", "second")
        second("UPDATE parent SET name = 'theirs' WHERE uuid = 'applied'")
        second("COMMIT")

    pull(here.store, interrupt(there.store, "hold_rows", write, singly))
    exchange(here, there)
    assert there.family.shown("parent")["both"] == "second"
    assert here.family.shown("parent")["both"] == "second"
    assert_in_step(here, there)


@pytest.mark.parametrize("singly", [False, True])
def test_r20_row_that_publish_writes_by_itself_in_mid_apply_is_merged_again(families, other, singly):
    """R20: it refers to a row that gets another key, and no captured change is of it."""
    here, there = families
    for key in ("a", "b"):
        here.family.add_parent(key)
    here.family.add_child("c", "a")
    exchange(here, there)
    here.family.note("parent", "a", "ours")
    here.family.note("child", "c", "ours")
    application = other(there)

    def write():
        application("UPDATE parent SET uuid = 'z' WHERE uuid = 'a'")

    pull(here.store, interrupt(there.store, "hold_rows", write, singly))
    assert_sound_log(there)
    exchange(here, there)
    assert_in_step(here, there)


def test_row_that_the_application_inserts_in_mid_apply_is_merged(families, other):
    """R6: the key is absent when it is looked for, and there when it is inserted."""
    here, there = families
    here.family.add_parent("same", "ours")
    application = other(there)

    def write():
        application.add_parent("same", "theirs")
        application.note("parent", "same", "theirs")

    pull(here.store, InterruptedStore(there.store, "insert_columns", write))
    exchange(here, there)
    assert here.family.rows("SELECT name, note FROM parent") == [("theirs", "theirs")]
    assert_in_step(here, there)


def test_row_that_the_application_inserts_and_deletes_in_mid_apply_is_merged(families, other):
    """R6: the delete comes after our insert was looked for, and is later than what is applied."""
    here, there = families
    here.family.add_parent("same")
    application = other(there)

    def write():
        application.add_parent("same", "theirs")
        application.delete("parent", "same")

    pull(here.store, InterruptedStore(there.store, "insert_columns", write))
    exchange(here, there)
    assert_in_step(here, there)


@pytest.mark.parametrize("singly", [False, True])
@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_thing_that_the_application_deletes_in_mid_apply_comes_back_whole(
    new_tables, other, tmp_path, kind, singly
):
    """R7: of two rows that are one thing a concurrent edit of one wins; the other was not at hand."""
    profile = tmp_path / "things.toml"
    profile.write_text(things.PROFILE)
    script = family.spell(things.TABLES, kind)
    here, there = new_tables(kind, script, str(profile)), new_tables(kind, script, str(profile))
    person = things.Choice("person", "1", "x", "x", "lat", 1)
    things.Things(here.family).write_thing(person)
    exchange(here, there)
    here.family("UPDATE person SET note = 'ours'")
    here.run(f"UPDATE {here.prefix}captured SET captured_at = captured_at + 3600000000")
    application = other(there)

    def write():
        application("BEGIN")
        application("DELETE FROM person")
        application("DELETE FROM entity")
        application("COMMIT")

    store = interrupt(there.store, "hold_rows", write, singly)
    pull(here.store, store)
    exchange(here, there)
    assert store.done
    whole = "SELECT p.note, p.deleted, e.deleted FROM person p JOIN entity e ON e.pe_id = p.pe_id"
    assert here.family.rows(whole) == there.family.rows(whole) == [("ours", "F", "F")]
    assert_in_step(here, there)


@pytest.mark.parametrize("moment", ["keep_image", "delete_rows"])
def test_child_that_the_application_adds_in_mid_delete_is_not_lost(families, other, moment):
    """R4: the database's own cascade would take it, uncaptured."""
    here, there = families
    here.family.add_parent("p")
    exchange(here, there)
    here.family.delete("parent", "p")
    application = other(there)
    application("SET lock_timeout = '100ms'") if there.dialect == "postgresql" else application(
        "SET innodb_lock_wait_timeout = 1"
    )
    added = []

    def write():
        try:
            application.add_child("c", "p")
            added.append("c")
        except (psycopg.Error, pymysql.Error):
            pass

    store = InterruptedStore(there.store, moment, write)
    pull(here.store, store)
    assert store.done
    exchange(here, there)
    if added:
        assert there.parked() == {Row("child", "c"): "reference"}
    assert not compare_sites(here.url, there.url).differences
