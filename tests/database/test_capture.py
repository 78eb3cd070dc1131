"""What is captured of each kind of statement, that the application notices nothing, and history."""

import json
import os
from datetime import UTC

import psycopg
import pymysql
import pytest

from changecapture.core.change import Row
from tests.support.databases import connect_mysql, connect_postgresql
from tests.support.eden import Eden
from tests.support.sites import assert_in_step, exchange

APPLICATION = f"cc_app_{os.getpid()}"
ODD = 'it\'s "q" \\ \n \x01 ü'


@pytest.fixture
def peer(new_site):
    """A site that gets what the site under test captures."""
    return new_site("postgresql")


@pytest.fixture
def contact(site):
    """A published contact, nothing waiting."""
    person = site.eden.add_person("Anna")
    made = site.eden.add_contact(person, "first")
    site.publish()
    return made


def operations(site):
    return [operation for operation, _, _ in site.captured()]


def test_insert_captures_the_key_only(site):
    id_ = site.eden.insert("pr_contact", uuid="urn:1", value="v", deleted="F")
    assert site.captured() == [("I", f'[{id_},"urn:1"]', None)]


def test_insert_without_a_uuid_captures_the_default_that_it_got(site):
    id_ = site.eden.insert("pr_contact", value="v", deleted="F")
    ((operation, key, _),) = site.captured()
    assert operation == "I"
    assert json.loads(key)[0] == id_
    assert json.loads(key)[1].startswith("urn:uuid:")


def test_multi_row_insert_captures_each_row(site, peer):
    site.eden.execute(
        "INSERT INTO pr_contact (uuid, value, deleted) VALUES ('urn:1', 'a', 'F'), ('urn:2', 'b', 'F')"
    )
    assert operations(site) == ["I", "I"]
    exchange(site, peer)
    assert peer.eden.fetch("SELECT value FROM pr_contact ORDER BY uuid") == [("a",), ("b",)]


def test_insert_select_captures_each_row(site, peer, contact):
    site.eden.execute(
        "INSERT INTO pr_contact (uuid, value, deleted) "
        "SELECT concat('urn:copy', uuid), value, deleted FROM pr_contact"
    )
    assert operations(site) == ["I"]
    exchange(site, peer)
    assert assert_in_step(site, peer).rows["pr_contact"] == 2


def test_update_captures_the_columns_that_changed_with_their_new_values(site, contact):
    site.eden.update("pr_contact", contact.id, value=ODD, priority=1, contact_method="EMAIL")
    ((operation, _, changed),) = site.captured()
    assert operation == "U"
    assert json.loads(changed) == {"value": ODD, "contact_method": "EMAIL"}


def test_update_to_null_is_captured(site, contact):
    site.eden.update("pr_contact", contact.id, priority=None)
    assert [json.loads(changed) for _, _, changed in site.captured()] == [{"priority": None}]
    site.eden.update("pr_contact", contact.id, priority=3)
    assert json.loads(site.captured()[-1][2]) == {"priority": 3}


def test_update_that_changes_nothing_is_not_captured(site, contact):
    assert site.eden.execute("UPDATE pr_contact SET value = value, modified_on = modified_on") in (0, 1)
    site.eden.update("pr_contact", contact.id, value="first", priority=1, comments=None)
    assert site.captured() == []


def test_update_of_a_column_that_stays_at_home_is_not_captured(site, contact):
    site.eden.update("pr_contact", contact.id, mci=7, realm_entity=3, deleted_fk="{}", owned_by_group=1)
    assert site.captured() == []


@pytest.mark.parametrize(("old", "new"), [("anna", "Anna"), ("a", "a "), ("e", "é"), ("", " ")])
def test_change_that_a_collation_does_not_see_is_captured(site, contact, old, new):
    site.eden.update("pr_contact", contact.id, value=old)
    site.publish()
    site.eden.update("pr_contact", contact.id, value=new)
    assert [json.loads(changed) for _, _, changed in site.captured()] == [{"value": new}]


def test_multi_row_update_captures_each_row(site, contact):
    other = site.eden.add("pr_contact", value="second")
    site.publish()
    assert site.eden.execute("UPDATE pr_contact SET comments = 'c'") == 2
    assert operations(site) == ["U", "U"]
    assert other


def test_delete_captures_the_full_old_row(site, contact):
    site.eden.update("pr_contact", contact.id, comments=ODD)
    site.publish()
    site.eden.hard_delete(contact)
    ((image,),) = site.fetch("SELECT image FROM {p}captured")
    row = json.loads(image)
    assert (row["id"], row["uuid"]) == (contact.id, contact.uuid)
    assert (row["value"], row["comments"]) == ("first", ODD)


def test_change_of_the_key_captures_both_keys(site, contact):
    site.eden.update("pr_contact", contact.id, uuid="urn:new")
    key = "key" if site.dialect == "postgresql" else "`key`"
    assert site.fetch(f"SELECT operation, {key}, old_key FROM {{p}}captured") == [
        ("U", f'[{contact.id},"urn:new"]', f'[{contact.id},"{contact.uuid}"]')
    ]


def test_change_of_the_local_number_is_no_change_of_the_row(site, peer, contact):
    exchange(site, peer)
    site.eden.execute("UPDATE pr_contact SET id = %s WHERE id = %s", [contact.id + 1000, contact.id])
    assert operations(site) == ["U"]
    exchange(site, peer)
    assert peer.eden.value(contact, "value") == "first"
    assert_in_step(site, peer)


def test_truncate_is_captured_on_postgresql(new_site, peer):
    site = new_site("postgresql")
    person = site.eden.add_person("Anna")
    for number in range(3):
        site.eden.add_contact(person, str(number))
    exchange(site, peer)
    site.eden.execute("TRUNCATE pr_contact")
    assert operations(site) == ["D", "D", "D"]
    exchange(site, peer)
    assert peer.eden.fetch("SELECT count(*) FROM pr_contact WHERE deleted = 'F'") == [(0,)]
    assert_in_step(site, peer)


def test_rollback_takes_back_what_was_captured(site, contact):
    with pytest.raises(LookupError), site.eden.request():
        site.eden.change(contact, value="never")
        raise LookupError
    assert site.captured() == []


def test_rollback_to_a_savepoint_takes_back_what_was_captured_after_it(site, contact):
    with site.eden.request():
        site.eden.update("pr_contact", contact.id, value="kept")
        site.eden.execute("SAVEPOINT here")
        site.eden.update("pr_contact", contact.id, value="never")
        site.eden.execute("ROLLBACK TO SAVEPOINT here")
    assert [json.loads(changed) for _, _, changed in site.captured()] == [{"value": "kept"}]


def test_failed_statement_captures_nothing(site, contact):
    with pytest.raises((psycopg.Error, pymysql.Error)):
        site.eden.execute(
            "INSERT INTO pr_contact (uuid, value) VALUES ('urn:1', 'a'), (%s, 'b')", [contact.uuid]
        )
    assert site.captured() == []


def test_applier_s_session_captures_nothing(site, contact):
    with site.store.applying():
        site.store.execute("UPDATE pr_contact SET value = 'applied'")
        site.store.execute("DELETE FROM pr_contact")
    assert site.captured() == []


def test_applier_s_connection_captures_again_after_it_applied(site, contact):
    with pytest.raises(LookupError), site.store.applying():
        raise LookupError
    site.store.execute("UPDATE pr_contact SET value = 'by hand'")
    assert operations(site) == ["U"]


def test_other_sessions_are_captured_while_the_applier_writes(site, contact):
    with site.store.applying():
        site.eden.update("pr_contact", contact.id, value="application")
    assert operations(site) == ["U"]


def connect_as_application(site):
    """Return a connection of an account that has rights on the application's tables only."""
    if site.dialect == "postgresql":
        site.run(
            f"DROP ROLE IF EXISTS {APPLICATION}; CREATE ROLE {APPLICATION} LOGIN PASSWORD 'app';"
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {APPLICATION};"
            f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {APPLICATION}"
        )
        url = site.url.replace(site.url.split("//")[1].split("@")[0], f"{APPLICATION}:app")
        return connect_postgresql(url)
    database = site.url.rpartition("/")[2]
    grants = "".join(
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{database}`.`{table}` TO '{APPLICATION}'@'%';"
        for table in ("pr_contact", "pr_pentity")
    )
    account = f"'{APPLICATION}'@'%'"
    site.run(f"DROP USER IF EXISTS {account}; CREATE USER {account} IDENTIFIED BY 'app'; {grants}")
    return connect_mysql(site.url.replace(site.url.split("//")[1].split("@")[0], f"{APPLICATION}:app"))


def test_account_without_any_right_on_our_tables_writes_as_before(site):
    connection = connect_as_application(site)
    try:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO pr_contact (uuid, value, deleted) VALUES ('urn:1', 'a', 'F')")
            cursor.execute("UPDATE pr_contact SET value = 'b' WHERE uuid = 'urn:1'")
            assert cursor.rowcount == 1
            cursor.execute("DELETE FROM pr_contact WHERE uuid = 'urn:1'")
            assert cursor.rowcount == 1
            with pytest.raises((psycopg.Error, pymysql.Error)):
                cursor.execute(f"SELECT count(*) FROM {site.prefix}captured")
    finally:
        connection.close()
        if site.dialect == "postgresql":
            site.run(f"DROP OWNED BY {APPLICATION}; DROP ROLE {APPLICATION}")
        else:
            site.run(f"DROP USER '{APPLICATION}'@'%'")
    assert operations(site) == ["I", "U", "D"]


def test_settings_of_the_application_s_session_change_nothing_that_is_captured(site):
    """Whatever a session sets beforehand: the statement does not fail, values are captured in full."""
    if site.dialect == "postgresql":
        site.eden.execute("SET search_path = pg_catalog, public")
        site.eden.execute("SET standard_conforming_strings = off")
        site.eden.execute("SET DateStyle = 'German'")
        site.eden.execute("SET IntervalStyle = 'sql_standard'")
        site.eden.execute("SET extra_float_digits = -15")
        site.eden.execute("SET TimeZone = 'Asia/Colombo'")
        site.eden.execute("SET bytea_output = 'escape'")
    else:
        site.eden.execute("SET sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'")
        site.eden.execute("SET NAMES latin1")
        site.eden.execute("SET time_zone = '+05:30'")
        site.eden.execute("SET div_precision_increment = 0")
    with site.eden.request():
        id_ = site.eden.insert("gis_location", uuid="urn:1", name="a", lat=0.1, deleted="F")
        site.eden.update(
            "gis_location",
            id_,
            lat=6.032894712345678,
            start_date="2024-02-29",
            created_on="2024-02-29 10:00:00",
        )
    assert json.loads(site.captured()[1][2]) == {
        "lat": 6.032894712345678,
        "start_date": "2024-02-29",
        "created_on": "2024-02-29T10:00:00",
    }


def test_row_counts_and_new_ids_are_the_application_s_own(site, contact):
    """Our own inserts must not show as LAST_INSERT_ID, RETURNING or affected rows."""
    for _ in range(3):
        site.eden.add("pr_contact", value="burn ids of ours")
    with site.eden.connection.cursor() as cursor:
        if site.dialect == "postgresql":
            cursor.execute(
                "INSERT INTO pr_contact (uuid, value) VALUES ('urn:7', 'a'), ('urn:8', 'b') RETURNING id"
            )
            ids = [id_ for (id_,) in cursor.fetchall()]
            assert cursor.rowcount == 2
        else:
            assert cursor.execute("INSERT INTO pr_contact (uuid, value) VALUES ('urn:7', 'a')") == 1
            ids = [cursor.lastrowid]
            cursor.execute("SELECT LAST_INSERT_ID()")
            assert cursor.fetchone() == (ids[0],)
    assert site.eden.fetch("SELECT id FROM pr_contact WHERE uuid = 'urn:7'") == [(ids[0],)]
    assert site.eden.update("pr_contact", contact.id, value="new") == 1
    assert site.eden.update("pr_contact", -1, value="new") == 0
    assert site.eden.hard_delete(contact) == 1
    assert site.eden.hard_delete(contact) == 0


@pytest.mark.xfail(strict=True, reason="every nextval of a session moves its lastval: ours too")
def test_lastval_of_a_session_is_its_own(new_site):
    """PHP's PDO asks lastval() when lastInsertId() is called without the name of a sequence."""
    site = new_site("postgresql")
    for _ in range(3):
        site.eden.add("pr_contact", value="burn ids of ours")
    site.eden.execute("INSERT INTO pr_contact (uuid, value) VALUES ('urn:7', 'a')")
    assert site.eden.fetch("SELECT lastval()") == site.eden.fetch("SELECT max(id) FROM pr_contact")


def add_application_trigger(site):
    if site.dialect == "postgresql":
        site.run(
            "CREATE FUNCTION app_touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF NEW.comments IS DISTINCT FROM 'touched ' || NEW.value THEN "
            "UPDATE pr_contact SET comments = 'touched ' || NEW.value WHERE id = NEW.id; "
            "END IF; RETURN NULL; END $$;"
            "CREATE TRIGGER app_touch AFTER INSERT OR UPDATE ON pr_contact "
            "FOR EACH ROW EXECUTE FUNCTION app_touch()"
        )
    else:
        site.run(
            "CREATE TRIGGER app_touch BEFORE UPDATE ON pr_contact FOR EACH ROW "
            "SET NEW.comments = CONCAT('touched ', NEW.value)"
        )


def drop_application_trigger(site):
    if site.dialect == "postgresql":
        site.run("DROP TRIGGER app_touch ON pr_contact; DROP FUNCTION app_touch")
    else:
        site.run("DROP TRIGGER app_touch")


def test_what_the_application_s_own_trigger_writes_arrives(site, peer):
    """An AFTER trigger updates the same row again (MySQL: a BEFORE trigger changes it)."""
    add_application_trigger(site)
    try:
        made = site.eden.add("pr_contact", value="a", comments=None)
        exchange(site, peer)
        assert_in_step(site, peer)
        site.eden.update("pr_contact", made.id, value="b")
        exchange(site, peer)
        assert peer.eden.value(made, "comments") == "touched b"
        assert_in_step(site, peer)
    finally:
        drop_application_trigger(site)


@pytest.mark.parametrize("name", ["!first", "zz_last"])
def test_row_that_a_trigger_updates_again_arrives_as_it_is_whoever_fires_first(new_tables, name):
    """PostgreSQL fires triggers by name: before ours, a trigger's own update is captured first."""
    script = "CREATE TABLE note (code varchar(20) PRIMARY KEY, text text, n integer)"
    here, there = new_tables("postgresql", script), new_tables("mariadb", script)
    here.run(
        "CREATE FUNCTION app_shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "UPDATE note SET text = upper(text) WHERE code = NEW.code AND text <> upper(text); RETURN NULL; "
        f'END $$; CREATE TRIGGER "{name}" AFTER INSERT OR UPDATE ON note '
        "FOR EACH ROW EXECUTE FUNCTION app_shout()"
    )
    here.family("INSERT INTO note VALUES ('a', 'hello', 1)")
    exchange(here, there)
    here.family("UPDATE note SET text = 'bye', n = 2")
    exchange(here, there)
    assert there.family.rows("SELECT text, n FROM note") == [("BYE", 2)]
    assert_in_step(here, there)


def history(site, table="pr_contact"):
    """Return {uuid: (value, deleted, origin)} of a history view; changed_at must be now, or nearly."""
    rows = site.fetch(f"SELECT uuid, value, deleted, origin, changed_at FROM {{p}}{table}_history")
    now = site.store.read_clock() / 1e6
    for *_, changed_at in rows:
        if changed_at.tzinfo is None:
            changed_at = changed_at.replace(tzinfo=UTC)
        assert abs(changed_at.timestamp() - now) < 60
    found = {uuid: (value, bool(deleted), origin) for uuid, value, deleted, origin, _ in rows}
    assert len(found) == len(rows)
    return found


def test_history_is_true_at_once_without_any_publish(site):
    person = site.eden.add_person("Anna")
    kept, gone, archived = (site.eden.add_contact(person, value) for value in ("kept", "gone", "archived"))
    assert history(site) == {c.uuid: (v, False, site.origin) for c, v in
                             ((kept, "kept"), (gone, "gone"), (archived, "archived"))}  # fmt: skip
    site.eden.hard_delete(gone)
    site.eden.soft_delete(archived, ["pe_id"])
    expected = {
        kept.uuid: ("kept", False, site.origin),
        gone.uuid: ("gone", True, site.origin),
        archived.uuid: ("archived", True, site.origin),
    }
    assert history(site) == expected
    site.publish()
    assert history(site) == expected


def test_history_names_the_origin_of_what_came_from_elsewhere(site, peer):
    made = peer.eden.add("pr_contact", value="from peer")
    deleted = peer.eden.add("pr_contact", value="deleted by peer")
    exchange(site, peer)
    peer.eden.hard_delete(peer.eden.find(deleted))
    exchange(site, peer)
    assert history(site)[made.uuid] == ("from peer", False, peer.origin)
    assert history(site)[deleted.uuid][1:] == (True, peer.origin)
    site.eden.update("pr_contact", site.eden.find(made).id, value="edited here")
    assert history(site)[made.uuid] == ("edited here", False, site.origin)


@pytest.mark.parametrize("published", [False, True])
def test_history_shows_a_row_that_was_deleted_and_inserted_again_once(site, contact, published):
    site.eden.hard_delete(contact)
    if published:
        site.publish()
    assert history(site)[contact.uuid] == ("first", True, site.origin)
    site.eden.add("pr_contact", uuid=contact.uuid, value="again")
    assert history(site)[contact.uuid] == ("again", False, site.origin)
    site.publish()
    assert history(site)[contact.uuid] == ("again", False, site.origin)


def test_history_keeps_the_values_of_a_deleted_row(site, contact):
    site.eden.update("pr_contact", contact.id, comments=ODD, priority=None)
    site.eden.hard_delete(contact)
    for _ in range(2):
        query = "SELECT id, comments, priority, contact_method FROM {p}pr_contact_history WHERE uuid = %s"
        ((id_, *values),) = site.fetch(query, [contact.uuid])
        assert (int(id_), values) == (contact.id, [ODD, None, "SMS"])
        site.publish()


def test_history_of_every_synced_table_can_be_read(site, contact):
    for table in site.store.tables.values():
        site.fetch(f"SELECT * FROM {{p}}{table.name}_history")


def test_application_can_still_drop_and_retype_a_column(new_site):
    """On PostgreSQL a view on the table itself would forbid it."""
    site = new_site("postgresql")
    site.run("ALTER TABLE pr_note ADD COLUMN extra text; ALTER TABLE pr_note DROP COLUMN extra")
    site.run("BEGIN; ALTER TABLE pr_note ALTER COLUMN note_contact TYPE varchar(600); ROLLBACK")
    site.run("BEGIN; ALTER TABLE pr_note DROP COLUMN note_contact; ROLLBACK")


def test_rows_that_were_archived_do_not_leave_two_histories(site, peer, contact):
    exchange(site, peer)
    found = peer.eden.find(contact)
    peer.eden.soft_delete(found, ["pe_id"])
    exchange(site, peer)
    rows = site.fetch("SELECT deleted FROM {p}pr_contact_history WHERE uuid = %s", [contact.uuid])
    assert [bool(deleted) for (deleted,) in rows] == [True]
    assert Row("pr_contact", contact.uuid) not in site.parked()


def test_two_applications_write_at_once_and_all_is_captured(site):
    other = Eden(site.url)
    try:
        with site.eden.request(), other.request():
            site.eden.insert("pr_contact", uuid="urn:1", value="a")
            other.insert("pr_contact", uuid="urn:2", value="b")
    finally:
        other.close()
    assert operations(site) == ["I", "I"]
    ids = site.fetch("SELECT count(DISTINCT transaction_id) FROM {p}captured")
    assert ids == [(2,)]
