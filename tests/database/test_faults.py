"""One row that cannot be written, or raises what nobody foresaw, stops neither its batch nor its site."""

import os
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from changecapture.apply import retry
from changecapture.clients import put_changes
from changecapture.config import parse_url
from changecapture.core.change import Row
from changecapture.core.clock import LATEST_STAMP
from changecapture.core.scopes import EVERY
from changecapture.errors import ConfigError, DataError
from changecapture.install import install
from changecapture.pair import pull
from changecapture.publish import publish
from changecapture.reconcile import reconcile
from changecapture.record.export import Wanted, export_rows
from changecapture.record.load import import_rows
from changecapture.store import open_store
from tests.database.test_store_contract import entry, place, store  # noqa: F401
from tests.support import family
from tests.support.databases import run_script
from tests.support.forger import Peer, send
from tests.support.sites import Site, assert_in_step, exchange

NARROW = (
    "CREATE TABLE k (code varchar(40) PRIMARY KEY, s varchar(20), par varchar(40),"
    " FOREIGN KEY (par) REFERENCES k (code)) ENGINE=InnoDB CHARSET={0};"
    "CREATE TABLE q (id int AUTO_INCREMENT PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, s varchar(20),"
    " k varchar(40), UNIQUE (s), FOREIGN KEY (k) REFERENCES k (code)) ENGINE=InnoDB CHARSET={0};"
    "CREATE TABLE c (a varchar(20), b varchar(20), n int, PRIMARY KEY (a, b)) ENGINE=InnoDB CHARSET={0}"
)
WIDE = {"latin1": "\u0628", "utf8mb3": "\U0001f600"}
"""A text that a character set cannot hold."""

SIGNAL = {
    "postgresql": (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.note = 'bad' THEN "
        "RAISE EXCEPTION 'not here' USING ERRCODE = '{0}'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON parent FOR EACH ROW EXECUTE FUNCTION refuse()",
        "P0001",
        "ZZ001",
    ),
    "mariadb": (
        "CREATE TRIGGER refuse_i BEFORE INSERT ON parent FOR EACH ROW IF NEW.note = 'bad' THEN "
        "SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {0}, MESSAGE_TEXT = 'not here'{1} END IF",
        "1644",
        "31001",
    ),
}
"""An application's trigger that refuses a value: with the code that is meant for it, and with any other."""


@pytest.mark.parametrize("what", ["key", "part of a key", "reference", "required uuid", "unique value"])
@pytest.mark.parametrize("charset", WIDE)
def test_text_that_a_character_set_cannot_hold_stops_nothing(narrow, charset, what):
    site, peer = narrow(charset), Peer(f"far {charset} {what}")
    text = WIDE[charset]
    bad = {
        "key": ("k", text, {"@alive": True, "s": "x"}),
        "part of a key": ("c", f'["{text}","b"]', {"@alive": True, "n": 1}),
        "reference": ("k", "a", {"@alive": True, "par": text}),
        "required uuid": ("q", text, {"@alive": True, "k": text}),
        "unique value": ("q", "u", {"@alive": True, "s": text}),
    }[what]
    good = f"good {what}"
    send(site, peer, peer.entry(*bad), peer.entry("k", good, {"@alive": True}))
    send(site, peer, peer.entry(*bad), peer.entry("k", good + " 2", {"@alive": True}))
    found = site.fetch("SELECT code FROM k WHERE code LIKE %s", [f"{good}%"])
    assert {code for (code,) in found} == {good, good + " 2"}
    assert bad[1] in {key for (key,) in site.fetch("SELECT row_key FROM {p}changelog")}
    listed = site.fetch("SELECT reason FROM {p}parked WHERE row_key = %s", [bad[1]])
    assert {reason for (reason,) in listed} <= {"value", "key"}
    assert bool(listed) != (what == "reference")


@pytest.fixture(scope="module")
def narrow(mariadb):
    """Sites of columns in a narrow character set, one for each."""

    made = {}

    def find(charset):
        if charset not in made:
            url = mariadb.create_database(f"cc_{os.getpid()}_narrow_{charset}")
            run_script(url, NARROW.format(charset))
            made[charset] = Site(url, "generic")
        site = made[charset]
        site.run("DELETE FROM q")
        site.fetch("SELECT 1")
        return site

    yield find
    for charset, site in made.items():
        site.close()
        mariadb.drop_database(f"cc_{os.getpid()}_narrow_{charset}")


@pytest.fixture(params=["postgresql", "mariadb"])
def refusing(request, new_tables):
    """Make a site whose application refuses notes, and a peer that sends one such."""

    def make(code):
        script, *codes = SIGNAL[request.param]
        site = new_tables(request.param, family.script(request.param))
        statement = script.format(codes[code], ";")

        run_script(site.url, statement)
        return site

    return make


@pytest.mark.parametrize("code", [0, 1], ids=["refusal", "unforeseen"])
def test_row_that_the_application_refuses_holds_up_no_other_that_a_program_puts(refusing, code):
    site = refusing(code)
    notes = {f"p{number}": "bad" if number == 4 else "good" for number in range(9)}
    changes = [{"table": "parent", "uuid": key, "columns": {"note": note}} for key, note in notes.items()]
    done = put_changes(site.store, "clinic", changes, "", EVERY)
    assert done == {"taken": 9, "shown": 8, "parked": 1}
    assert set(site.family.shown("parent")) == notes.keys() - {"p4"}
    assert site.parked().keys() == {Row("parent", "p4")}


@pytest.mark.parametrize(("code", "reason"), [(0, "value"), (1, "fault")], ids=["refusal", "unforeseen"])
def test_row_that_the_application_refuses_is_parked_and_shown_once_it_does_not(refusing, code, reason):
    site, peer = refusing(code), Peer()
    names = [f"p{number}" for number in range(9)]
    entries = [
        peer.entry("parent", name, {"@alive": True, "note": "bad" if name == "p4" else "good"}, base=0)
        for name in names
    ]
    taken = send(site, peer, *entries, target={("evil", 1, "all"): 9})
    assert (taken.entries, taken.parked, taken.last) == (9, 1, True)
    assert set(site.family.shown("parent")) == set(names) - {"p4"}
    assert site.fetch("SELECT row_key, reason FROM {p}parked") == [("p4", reason)]
    assert site.store.read_vector()["evil", 1, "all"] == 9
    assert retry(site.store) == 1
    send(
        site,
        peer,
        peer.entry("parent", "p4", {"boss": None}),
        peer.entry("parent", "later", {"@alive": True}),
    )
    assert "later" in site.family.shown("parent")
    site.run(
        "DROP TRIGGER refuse ON parent" if site.store.engine == "postgresql" else "DROP TRIGGER refuse_i"
    )
    assert retry(site.store) == 0
    assert site.family.shown("parent")["p4"] == "bad"


def test_change_that_cannot_be_published_is_noted_and_left_to_reconcile(families):
    here, there = families
    here.family.add_parent("before")
    here.family.add_parent("broken")
    column = here.store.key_column
    here.store.execute(
        f"UPDATE {here.prefix}captured SET {column} = '[damaged' WHERE {column} LIKE '%broken%'"
    )
    here.family.add_parent("after")
    exchange(here, there)
    assert set(there.family.shown("parent")) == {"before", "after"}
    ((table, reason),) = here.fetch("SELECT table_name, reason FROM {p}missed")
    assert table == "parent" and "[damaged was not published: fault: " in reason
    reconcile(here.store)
    assert here.fetch("SELECT 1 FROM {p}missed") == []
    exchange(here, there)
    assert_in_step(here, there)


def refuse(site, table, condition):
    """Let one of our own tables take no row of which this is true, for a reason that nobody foresaw."""
    if site.dialect == "postgresql":
        site.run(
            "CREATE FUNCTION strange() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF {condition} THEN RAISE EXCEPTION 'strange' USING ERRCODE = 'ZZ001'; END IF; "
            "RETURN NEW; END $$;"
            f"CREATE TRIGGER strange BEFORE INSERT ON {site.prefix}{table} FOR EACH ROW "
            "EXECUTE FUNCTION strange()"
        )
    else:
        site.run(
            f"CREATE TRIGGER strange BEFORE INSERT ON {site.prefix}{table} FOR EACH ROW "
            f"IF {condition} THEN SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 31001, MESSAGE_TEXT = 'strange'; "
            "END IF"
        )


def allow(site, table):
    """Undo that."""
    if site.dialect == "postgresql":
        site.run(f"DROP TRIGGER strange ON {site.prefix}{table}; DROP FUNCTION strange")
    else:
        site.run("DROP TRIGGER strange")


def test_reconcile_notes_the_row_that_raises_and_compares_the_others(families):
    here, there = families
    names = [f"p{number}" for number in range(5)]
    for name in names:
        here.family.add_parent(name)
    exchange(here, there)
    here.family("UPDATE parent SET note = 'unseen'")
    here.store.execute(f"DELETE FROM {here.prefix}captured")
    refuse(here, "changelog", "NEW.row_key = 'p2'")
    found = {one.table: one for one in reconcile(here.store)}
    allow(here, "changelog")
    assert (found["parent"].changed, found["parent"].set_aside) == (4, 1)
    ((table, reason),) = here.fetch("SELECT table_name, reason FROM {p}missed")
    assert table == "parent" and "p2" in reason and "was not compared: fault: " in reason
    exchange(here, there)
    assert there.family.shown("parent") == {name: "unseen" for name in names} | {"p2": None}
    assert {one.changed for one in reconcile(here.store) if one.table == "parent"} == {1}
    assert here.fetch("SELECT 1 FROM {p}missed") == []
    exchange(here, there)
    assert_in_step(here, there)


def test_installation_notes_the_row_that_raises_and_takes_the_others_in(families):
    here, there = families
    for number in range(5):
        here.family.add_parent(f"p{number}")
    # As before the installation: nothing was captured.
    here.store.execute(f"DELETE FROM {here.prefix}captured")
    here.store.execute(
        f"UPDATE {here.prefix}synced_table SET backfilled = 0, backfill_key = NULL "
        "WHERE table_name = 'parent'"
    )
    bad = f"NEW.{here.store.key_column} LIKE '%p2%'"
    refuse(here, "captured", bad)
    install(parse_url(here.url))
    exchange(here, there)
    allow(here, "captured")
    assert set(there.family.shown("parent")) == {"p0", "p1", "p3", "p4"}
    assert {table for (table,) in here.fetch("SELECT table_name FROM {p}missed")} == {"parent"}
    assert install(parse_url(here.url)).found == 1
    assert here.fetch("SELECT 1 FROM {p}missed") == []
    exchange(here, there)
    assert_in_step(here, there)


def test_import_refuses_the_record_that_raises_and_takes_the_others(families, tmp_path):
    here, there = families
    for number in range(5):
        here.family.add_parent(f"p{number}")
    here.publish()
    export_rows(here.store, tmp_path / "all.jsonl", "json", Wanted())
    refuse(there, "changelog", "NEW.row_key = 'p2'")
    loaded = import_rows(there.store, tmp_path / "all.jsonl")
    allow(there, "changelog")
    assert (loaded.written, loaded.refusals) == (4, 1)
    assert "strange" in loaded.refused[0][1]
    assert set(there.family.shown("parent")) == {"p0", "p1", "p3", "p4"}
    assert import_rows(there.store, tmp_path / "all.jsonl").written == 1
    assert set(there.family.shown("parent")) == set(here.family.shown("parent"))


@pytest.mark.parametrize("stamp", [0, -1, LATEST_STAMP + 1])
def test_no_code_of_ours_writes_a_stamp_that_peers_refuse(store, stamp):  # noqa: F811

    with pytest.raises(DataError, match="no peer would take"):
        store.append_entries([replace(entry(), stamp=stamp)], applied=True)


@contextmanager
def narrowed(site):
    """Give a store whose server reads and writes at most 1 MB at once."""
    ((usual,),) = site.fetch("SELECT @@GLOBAL.max_allowed_packet")
    site.run("SET GLOBAL max_allowed_packet = 1048576")
    try:
        with closing(open_store(site.url)) as store:
            yield store
    finally:
        site.run(f"SET GLOBAL max_allowed_packet = {usual}")


def test_change_that_the_server_cannot_keep_is_named_with_what_to_do_and_comes_then(new_tables):
    here = new_tables("postgresql", "CREATE TABLE file (name varchar(20) PRIMARY KEY, data text)")
    there = new_tables("mariadb", "CREATE TABLE file (name varchar(20) PRIMARY KEY, data longtext)")
    here.run("INSERT INTO file VALUES ('long', repeat('x', 1100000)), ('short', 'x')")
    with narrowed(there) as small, pytest.raises(ConfigError, match=r"cannot keep a change.*64M"):
        pull(here.store, small)
    pull(here.store, there.store)
    assert there.fetch("SELECT name, length(data) FROM file") == [("long", 1100000), ("short", 1)]


FILE = "CREATE TABLE file (name varchar(20) PRIMARY KEY, data {})"


def new_files(new_tables, postgresql, mariadb):
    """Return two sites, one of each engine, whose files are of these types."""
    return new_tables("postgresql", FILE.format(postgresql)), new_tables("mariadb", FILE.format(mariadb))


def test_bytes_that_the_log_can_hold_can_be_shown(new_tables):
    """As digits they took twice what they are, unmeasured: the server closed the connection, for ever."""
    here, there = new_files(new_tables, "bytea", "longblob")
    here.run("INSERT INTO file VALUES ('old', 'x')")
    pull(here.store, there.store)
    here.run("UPDATE file SET data = decode(repeat('a7', 700000), 'hex')")
    here.run("INSERT INTO file VALUES ('new', decode(repeat('a7', 700000), 'hex')), ('short', 'x')")
    with narrowed(there) as small:
        pull(here.store, small)
    shown = there.fetch("SELECT name, md5(data) FROM file ORDER BY name")
    assert shown == here.fetch("SELECT name, md5(data) FROM file ORDER BY name")


def test_conflict_of_two_values_that_one_statement_does_not_hold_is_kept(new_tables):
    here, there = new_files(new_tables, "text", "longtext")
    here.run("INSERT INTO file VALUES ('long', 'x')")
    pull(here.store, there.store)
    here.run("UPDATE file SET data = repeat('h', 600000)")
    there.run("UPDATE file SET data = repeat('t', 600000)")
    with narrowed(there) as small:
        pull(here.store, small)
    ((kept, lost),) = there.fetch("SELECT kept_value, lost_value FROM {p}conflict")
    assert {kept, lost} == {f'"{one * 600000}"' for one in "ht"}


def test_statement_is_measured_as_it_is_sent_and_the_connection_outlives_it(new_tables):
    site = new_tables("mariadb", FILE.format("longblob"))
    with narrowed(site) as small:
        for value in (b"\xa7" * 600000, '"' * 600000):
            with pytest.raises(DataError, match=r"more than the server reads.*max_allowed_packet") as refused:
                small.query("SELECT length(%s)", (value,))
            assert refused.value.reason == "large"
        assert small.query("SELECT length(%s)", (b"x",)) == [(1,)]


def test_value_that_is_too_long_for_the_server_is_never_published_as_null(new_tables):
    """Such a function comes to NULL, with a warning: base64 of a file is a third longer than the file."""
    site = new_tables("mariadb", "CREATE TABLE file (name varchar(20) PRIMARY KEY, data longblob)")
    site.run("INSERT INTO file VALUES ('long', repeat('x', 900000)), ('short', 'x')")
    with narrowed(site) as small:
        assert publish(small) == 2
    assert site.fetch("SELECT row_key FROM {p}changelog") == [("short",)]
    ((reason,),) = site.fetch("SELECT reason FROM {p}missed")
    assert "long" in reason and "large: " in reason and "max_allowed_packet" in reason
    reconcile(site.store)
    assert {key for (key,) in site.fetch("SELECT row_key FROM {p}changelog")} == {"short", "long"}
