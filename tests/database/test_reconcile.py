"""What no trigger saw is found by comparing, sent once, and nothing else is."""

import json
from itertools import count

import pytest

from changecapture import reconcile as module
from changecapture.errors import ConfigError
from changecapture.reconcile import Found, reconcile
from tests.support.commands import run_command
from tests.support.sites import Site, assert_in_step, exchange

UNSEEN = {"postgresql": "SET changecapture.applying = 'on';", "mysql": "SET @changecapture_applying = 1;"}


def write_unseen(site: Site, script: str) -> None:
    """Write as the application does while its triggers are off."""
    site.run(f"{UNSEEN[site.dialect]} {script}")


def find(site: Site) -> dict[str, tuple[int, int, int]]:
    """Reconcile; return (appeared, changed, vanished) of the tables where anything was found."""
    return {f.table: (f.appeared, f.changed, f.vanished) for f in reconcile(site.store) if f.total}


@pytest.fixture
def known(families):
    """Two sites in step, with parents, children and a link."""
    here, there = families
    for name in ("a", "b", "c"):
        here.family.add_parent(name, name)
    here.family.add_parent("boss", "boss")
    here.family.add_child("kid", "a", may="b")
    here.family.add_child("kid 2", "c")
    here.family.add_link("a", "kid", "together")
    here.family("INSERT INTO line (note) VALUES ('one'), ('two')")
    exchange(here, there)
    return here, there


def test_writes_that_no_trigger_saw_arrive(known):
    here, there = known
    write_unseen(
        here,
        "INSERT INTO parent (uuid, name, note) VALUES ('new', 'new', 'unseen');"
        "UPDATE parent SET note = 'changed' WHERE uuid = 'a';"
        "UPDATE child SET may = NULL WHERE uuid = 'kid';"
        "DELETE FROM child WHERE uuid = 'kid 2';"
        "DELETE FROM line WHERE note = 'two';"
        "INSERT INTO line (note) VALUES ('three')",
    )
    assert exchange(here, there) == 0
    assert find(here) == {"parent": (1, 1, 0), "child": (0, 1, 1), "line": (1, 0, 1)}
    exchange(here, there)
    assert_in_step(here, there)
    assert there.family.rows("SELECT note FROM parent WHERE uuid = 'a'") == [("changed",)]
    assert there.family.rows("SELECT note FROM line ORDER BY note") == [("one",), ("three",)]


def test_what_would_be_sent_is_told_and_stays_as_it_is(known):
    here, there = known
    write_unseen(
        here,
        "UPDATE parent SET note = 'changed' WHERE uuid = 'a'; DELETE FROM child WHERE uuid = 'kid 2';"
        "INSERT INTO line (note) VALUES ('three')",
    )
    told = run_command("reconcile", here.url, "--dry-run")
    assert "nothing is sent yet" in told.out
    looked = {f.table: f for f in reconcile(here.store, look=True)}
    assert exchange(here, there) == 0
    assert {f.table: f for f in reconcile(here.store)} == looked
    exchange(here, there)
    assert_in_step(here, there)


def test_nothing_is_found_where_nothing_was_written_unseen(known):
    here, there = known
    here.family.note("parent", "a", "captured, and not yet published")
    for site in known:
        assert find(site) == {}
    exchange(here, there)
    for site in known:
        assert find(site) == {}
    assert_in_step(here, there)


def test_second_pass_finds_nothing(known):
    here, there = known
    write_unseen(here, "UPDATE parent SET note = 'changed'; DELETE FROM child WHERE uuid = 'kid 2'")
    assert find(here) == {"parent": (0, 4, 0), "child": (0, 0, 1)}
    assert find(here) == {}
    exchange(here, there)
    assert find(there) == {}
    assert_in_step(here, there)


def test_only_the_columns_that_differ_are_written(known):
    here, there = known
    write_unseen(here, "UPDATE parent SET note = 'here' WHERE uuid = 'a'")
    find(here)
    there.family("UPDATE parent SET name = 'there' WHERE uuid = 'a'")
    exchange(here, there)
    for site in known:
        assert site.family.rows("SELECT name, note FROM parent WHERE uuid = 'a'") == [("there", "here")]
    assert here.conflicts() == there.conflicts() == set()


def test_truncate_of_mariadb_arrives(mariadb, new_site):
    here, there = new_site("mariadb", "family"), new_site("postgresql", "family")
    here.family("INSERT INTO word (text, note) VALUES ('x', 'n'), ('y', 'n')")
    exchange(here, there)
    here.run("TRUNCATE word")
    assert exchange(here, there) == 0
    assert find(here) == {"word": (0, 0, 2)}
    exchange(here, there)
    assert there.family.rows("SELECT * FROM word") == []
    assert_in_step(here, there)


def test_row_that_myisam_kept_from_a_rollback_arrives(new_tables):
    """The captured row went with the rollback, the application's did not."""
    script = "CREATE TABLE note (code varchar(20) PRIMARY KEY, text varchar(20)) ENGINE=%s"
    here, there = new_tables("mariadb", script % "MyISAM"), new_tables("mariadb", script % "InnoDB")
    for statement in ("BEGIN", "INSERT INTO note VALUES ('a', 'kept')", "ROLLBACK"):
        here.family(statement)
    assert exchange(here, there) == 0
    assert find(here) == {"note": (1, 0, 0)}
    exchange(here, there)
    assert there.family.rows("SELECT code, text FROM note") == [("a", "kept")]


def test_row_that_comes_back_unseen_lives_again(known):
    here, there = known
    here.family("DELETE FROM child WHERE uuid = 'kid 2'")
    exchange(here, there)
    write_unseen(
        here,
        "INSERT INTO child (uuid, note, must) SELECT 'kid 2', 'back', id FROM parent WHERE uuid = 'b'",
    )
    assert find(here) == {"child": (1, 0, 0)}
    exchange(here, there)
    assert there.family.rows("SELECT note FROM child WHERE uuid = 'kid 2'") == [("back",)]
    assert_in_step(here, there)


def test_parked_rows_and_waiting_references_are_no_differences(families):
    here, there = families
    here.family.add_parent("theirs", "same name")
    there.family.add_parent("ours", "same name")
    exchange(here, there)
    assert there.parked() or here.parked()
    for site in families:
        assert find(site) == {}


def test_deletion_that_was_found_does_not_undo_a_later_edit_elsewhere(known):
    here, there = known
    write_unseen(here, "DELETE FROM child WHERE uuid = 'kid 2'")
    find(here)
    there.family.note("child", "kid 2", "edited after it was found gone")
    exchange(here, there)
    assert here.family.rows("SELECT note FROM child WHERE uuid = 'kid 2'") == [
        ("edited after it was found gone",)
    ]
    assert_in_step(here, there)


def test_interrupted_pass_is_completed_by_the_next(known, monkeypatch):
    here, there = known
    write_unseen(here, "UPDATE parent SET note = 'changed'; UPDATE child SET note = 'changed'")
    monkeypatch.setattr(module, "BATCH", 1)
    append, calls = module.append_changes, []

    def interrupted(store, changes):
        changes = list(changes)
        calls.extend(changes)
        if len(calls) == 3:
            raise KeyboardInterrupt
        append(store, changes)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "append_changes", interrupted)
        reconcile(here.store)
    here.close()
    left = find(here)
    assert sum(sum(numbers) for numbers in left.values()) == 6 - 2
    exchange(here, there)
    assert_in_step(here, there)


def test_rows_written_while_it_runs_are_written_once(known, monkeypatch):
    here, there = known
    monkeypatch.setattr(module, "BATCH", 1)
    numbers = iter(range(100))

    def write(what: str, done: int, total: int) -> None:
        number = next(numbers)
        here.family.add_parent(f"while {number}", f"while {number}")
        here.family.note("parent", "a", f"edit {number}")
        here.family("DELETE FROM parent WHERE uuid = %s", f"while {number - 1}")

    assert [found for found in reconcile(here.store, (), write) if found.total] == []
    exchange(here, there)
    assert_in_step(here, there)


def test_writes_to_eden_that_no_trigger_saw(pair):
    here, there = pair
    people = [here.eden.add_person(f"First {n}", f"Last {n}") for n in range(4)]
    contact = here.eden.add_contact(people[0], "1")
    exchange(here, there)
    for site in pair:
        assert find(site) == {}
    write_unseen(
        here,
        f"UPDATE pr_person SET last_name = 'Unseen' WHERE id = {people[1].id};"
        f"UPDATE pr_contact SET deleted = 'T' WHERE id = {contact.id}",
    )
    assert find(here) == {"pr_person": (0, 1, 0), "pr_contact": (0, 0, 1)}
    exchange(here, there)
    assert there.fetch("SELECT last_name FROM pr_person WHERE first_name = 'First 1'") == [("Unseen",)]
    assert there.fetch("SELECT deleted FROM pr_contact") == [("T",)]
    assert_in_step(here, there)


def test_command_says_what_it_found_and_clears_what_was_missed(home):
    home.family.add_parent("a", "a")
    home.publish()
    write_unseen(home, "UPDATE parent SET note = 'changed'")
    home.run(
        f"INSERT INTO {home.prefix}missed (table_name, operation, reason, missed_at) "
        "VALUES ('parent', 'U', 'a test', 1)"
    )
    assert "(run: changecapture install, then changecapture reconcile)" in run_command("status", home.url).out
    shown = run_command("reconcile", home.url)
    assert (shown.status, shown.out.split()) == (
        0,
        ["table", "appeared", "changed", "vanished", "parent", "0", "1", "0"],
    )
    assert home.fetch("SELECT * FROM {p}missed") == []
    again = run_command("reconcile", home.url)
    assert (again.status, again.out) == (0, "6 tables compared: nothing was written unseen\n")
    write_unseen(home, "DELETE FROM parent")
    told = run_command("reconcile", home.url, "--table", "parent", "--json")
    assert json.loads(told.out) == [
        {"table": "parent", "appeared": 0, "changed": 0, "vanished": 1, "set_aside": 0}
    ]


def test_table_that_is_not_synced_is_refused(home):
    with pytest.raises(ConfigError, match="nowhere is not synced"):
        reconcile(home.store, ["nowhere"])


def test_found_counts_all_kinds():
    assert Found("t", 1, 2, 3).total == 6


@pytest.mark.parametrize("walk", ["read_local_keys_after", "read_alive_after"])
def test_comparing_ends_beside_an_application_that_adds_a_row_for_each_look(known, monkeypatch, walk):
    here, there = known
    read, rows = getattr(here.store, walk), count()

    def look_while_it_writes(*where):
        number = next(rows)
        assert number < 100, "there is no end"
        here.family.add_parent(f"z{number:04}")
        return read(*where)

    monkeypatch.setattr(here.store, walk, look_while_it_writes)
    assert find(here) == {}
    exchange(here, there)
    assert_in_step(here, there)
