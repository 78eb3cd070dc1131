"""Eden and Vesuvius share their people: rows of one application become rows of the other."""

from datetime import date
from itertools import pairwise

import pytest

from changecapture.apply import retry
from changecapture.doctor import make_subject
from changecapture.doctor.site import check_shortened
from changecapture.reconcile import reconcile
from tests.support.sites import Site, exchange
from tests.support.vesuvius import Vesuvius


@pytest.fixture
def php(new_site) -> Site:
    return new_site("mariadb", "vesuvius")


@pytest.fixture(params=["postgresql", pytest.param("mariadb", marks=pytest.mark.long)])
def py(request, new_site) -> Site:
    return new_site(request.param)


def person(site, key):
    rows = site.fetch(
        "SELECT p.first_name, p.last_name, p.gender, p.date_of_birth, p.deleted, e.instance_type, t.deleted "
        "FROM pr_person p JOIN pr_pentity e ON e.pe_id = p.pe_id JOIN sit_trackable t "
        "ON t.track_id = p.track_id WHERE p.uuid = %s",
        [key],
    )
    return rows[0] if rows else None


def statuses(site, key):
    return site.fetch(
        "SELECT n.status FROM pr_note n JOIN pr_pentity e ON e.pe_id = n.pe_id "
        "WHERE e.uuid = %s AND n.deleted = 'F' ORDER BY n.timestmp",
        [key],
    )


def rest(*sites):
    """Bring the sites of a chain in step; fail unless nothing travels any more then."""
    for left, right in [*pairwise(sites), *pairwise(reversed(sites))]:
        exchange(left, right)
    for left, right in pairwise(sites):
        assert exchange(left, right) == 0, "an edit goes back and forth"


def test_person_reported_missing_in_vesuvius_appears_in_eden(php, py):
    Vesuvius(php.url).report("pl.test/person.1", "Amina", "Haddad", opt_gender="fml", birth_date="1990-04-02")
    exchange(php, py)
    shown = person(py, "pl.test/person.1")
    assert shown == ("Amina", "Haddad", 2, date(1990, 4, 2), "F", "pr_person", "F")
    assert statuses(py, "pl.test/person.1") == [(1,)]
    assert php.parked() == {} and py.parked() == {}
    rest(php, py)


def add_person(site, key, first="Omar", last="Saleh", **more):
    """Register a person as Eden does: the person, the super rows, then the links."""
    names = ", ".join(["uuid", "first_name", "last_name", "deleted", *more])
    values = ", ".join(f"'{v}'" for v in [key, first, last, "F", *more.values()])
    site.run(
        f"INSERT INTO pr_person ({names}) VALUES ({values});"
        f"INSERT INTO pr_pentity (uuid, instance_type, deleted) VALUES ('{key}', 'pr_person', 'F');"
        f"INSERT INTO sit_trackable (uuid, instance_type, deleted) VALUES ('{key}', 'pr_person', 'F');"
        f"UPDATE pr_person SET pe_id = (SELECT pe_id FROM pr_pentity WHERE uuid = '{key}'), "
        f"track_id = (SELECT track_id FROM sit_trackable WHERE uuid = '{key}') WHERE uuid = '{key}'"
    )


NOW = {"postgresql": "date_trunc('second', now() AT TIME ZONE 'UTC')", "mysql": "utc_timestamp()"}


def add_note(site, key, uuid, status, text=None):
    now, written = NOW[site.store.engine], "NULL" if text is None else f"'{text}'"
    site.run(
        "INSERT INTO pr_note (uuid, pe_id, status, note_text, timestmp, deleted) "
        f"SELECT '{uuid}', pe_id, {status}, {written}, {now}, 'F' FROM pr_pentity WHERE uuid = '{key}'"
    )


OMAR = "urn:uuid:00000000-0000-4000-8000-000000000001"
AMINA = "pl.test/person.1"


def test_person_of_eden_is_found_by_vesuvius_search(php, py):
    add_person(py, OMAR, gender=3, date_of_birth="1980-01-02", middle_name="Ali")
    exchange(php, py)
    shown = Vesuvius(php.url).search(OMAR)
    assert shown == ("Omar Ali", "Saleh", "Omar Ali Saleh", "unk", "mal", date(1980, 1, 2))
    rest(php, py)


def test_status_travels_both_ways(php, py):
    vesuvius = Vesuvius(php.url)
    vesuvius.report(AMINA, "Amina", "Haddad")
    exchange(php, py)
    add_note(py, AMINA, "urn:uuid:note-1", 2)
    exchange(php, py)
    assert vesuvius.search(AMINA)[3] == "fnd"
    vesuvius.update("person_status", AMINA, opt_status="dec")
    exchange(php, py)
    assert statuses(py, AMINA)[-1] == (3,)
    py.run("UPDATE pr_note SET status = 1 WHERE uuid = 'urn:uuid:note-1'")
    exchange(php, py)
    assert vesuvius.search(AMINA)[3] == "mis"
    rest(php, py)


def test_edits_of_different_columns_both_stay(php, py):
    vesuvius = Vesuvius(php.url)
    vesuvius.report(AMINA, "Amina", "Haddad")
    exchange(php, py)
    vesuvius.update("person_status", AMINA, opt_status="inj")
    vesuvius.update("person_uuid", AMINA, given_name="Amine")
    py.run(f"UPDATE pr_person SET last_name = 'Azar' WHERE uuid = '{AMINA}'")
    exchange(php, py)
    assert vesuvius.search(AMINA)[:4] == ("Amine", "Azar", "Amine Azar", "inj")
    assert person(py, AMINA)[:2] == ("Amine", "Azar") and statuses(py, AMINA)[-1] == (2,)
    assert php.conflicts() == set() and py.conflicts() == set()
    rest(php, py)


def test_edits_of_one_column_are_a_conflict_at_both(php, py):
    vesuvius = Vesuvius(php.url)
    vesuvius.report(AMINA, "Amina", "Haddad")
    exchange(php, py)
    vesuvius.update("person_uuid", AMINA, family_name="Haddadi")
    py.run(f"UPDATE pr_person SET last_name = 'Azar' WHERE uuid = '{AMINA}'")
    exchange(php, py)
    exchange(php, py)
    assert vesuvius.search(AMINA)[1] == person(py, AMINA)[1] == "Azar"
    expected = ("pr_person", AMINA, "last_name", '"Azar"', '"Haddadi"')
    assert expected in php.conflicts() and expected in py.conflicts()
    rest(php, py)


def test_delete_in_vesuvius_deletes_in_eden_and_back(php, py):
    vesuvius = Vesuvius(php.url)
    vesuvius.report(AMINA, "Amina", "Haddad")
    add_person(py, OMAR)
    exchange(php, py)
    vesuvius.delete(AMINA)
    py.run(f"UPDATE pr_person SET deleted = 'T' WHERE uuid = '{OMAR}'")
    exchange(php, py)
    assert person(py, AMINA)[4] == "T" and vesuvius.search(OMAR) is None
    rest(php, py)
    assert php.parked() == {} and py.parked() == {}


def test_later_edit_revives_the_whole_person(php, py):
    vesuvius = Vesuvius(php.url)
    vesuvius.report(AMINA, "Amina", "Haddad", opt_gender="fml", last_seen="at the bridge")
    exchange(php, py)
    vesuvius.delete(AMINA)
    php.publish()
    py.run(f"UPDATE pr_person SET first_name = 'Aminah' WHERE uuid = '{AMINA}'")
    exchange(php, py)
    assert vesuvius.search(AMINA)[:3] == ("Aminah", "Haddad", "Aminah Haddad")
    assert person(py, AMINA)[4] == "F"
    seen = php.fetch("SELECT last_seen FROM person_details WHERE p_uuid = %s", [AMINA])
    assert seen == [("at the bridge",)]
    rest(php, py)


def test_person_inserted_again_after_a_delete_lives_in_both(php, py):
    vesuvius = Vesuvius(php.url)
    vesuvius.report(AMINA, "Amina", "Haddad")
    exchange(php, py)
    vesuvius.delete(AMINA)
    exchange(php, py)
    vesuvius.report(AMINA, "Amina", "Azar")
    exchange(php, py)
    assert person(py, AMINA)[:2] == ("Amina", "Azar") and person(py, AMINA)[4] == "F"
    rest(php, py)


def test_what_is_cut_short_is_told_and_never_travels_back(php, py):
    long = "Al-" + "h" * 58
    add_person(py, OMAR, last=long)
    exchange(php, py)
    assert Vesuvius(php.url).search(OMAR)[1] == long[:50]
    assert php.fetch("SELECT table_name, column_name, whole FROM {p}shortened") == [
        ("person_uuid", "family_name", long)
    ]
    (cut,) = check_shortened(make_subject(php.store))
    assert cut.what == "texts are shown cut: person_uuid.family_name (1)"
    Vesuvius(php.url).update("person_details", OMAR, opt_gender="mal")
    exchange(php, py)
    assert person(py, OMAR)[1:3] == (long, 3)
    rest(php, py)


def test_what_only_vesuvius_knows_passes_through_eden(new_site, php, py):
    other = new_site("mariadb", "vesuvius")
    one, two = Vesuvius(php.url), Vesuvius(other.url)
    one.report(AMINA, "Amina", "Haddad", "inj", last_clothing="red scarf", opt_race="R1")
    exchange(php, py)
    exchange(py, other)
    found = other.fetch("SELECT last_clothing, opt_race FROM person_details WHERE p_uuid = %s", [AMINA])
    assert found == [("red scarf", "R1")] and two.search(AMINA)[3] == "inj"
    two.update("person_status", AMINA, opt_status="ali")
    rest(other, py, php)
    assert one.search(AMINA)[3] == "ali"
    rest(php, py, other)


def test_seeded_people_stay_at_home(php, py):
    for number in "1234":
        Vesuvius(php.url).report(number, "Root", "User")
    exchange(php, py)
    assert py.fetch("SELECT count(*) FROM pr_person") == [(0,)]


def test_a_new_part_of_a_person_that_says_nothing_is_no_row(php, py):
    Vesuvius(php.url).report(AMINA, "Amina", "Haddad", "unk")
    exchange(php, py)
    assert py.fetch("SELECT count(*) FROM pr_note") == [(0,)]
    Vesuvius(php.url).update("person_status", AMINA, opt_status="mis")
    exchange(php, py)
    Vesuvius(php.url).update("person_status", AMINA, opt_status="unk")
    exchange(php, py)
    assert statuses(py, AMINA) == [(9,)]
    rest(php, py)


def test_contacts_travel_both_ways(php, py):
    vesuvius = Vesuvius(php.url)
    vesuvius.report(AMINA, "Amina", "Haddad")
    vesuvius.run(f"INSERT INTO contact VALUES ('{AMINA}', 'pmob', '+963 1')")
    exchange(php, py)
    assert py.fetch("SELECT contact_method, value FROM pr_contact") == [("SMS", "+963 1")]
    py.run(
        "UPDATE pr_contact SET value = '+963 2'; "
        "INSERT INTO pr_contact (uuid, pe_id, contact_method, value, deleted) "
        f"SELECT 'urn:uuid:c', pe_id, 'EMAIL', 'a@b.c', 'F' FROM pr_pentity WHERE uuid = '{AMINA}'"
    )
    exchange(php, py)
    found = php.fetch("SELECT opt_contact_type, contact_value FROM contact ORDER BY 1")
    assert found == [("email", "a@b.c"), ("pmob", "+963 2")]
    vesuvius.run(f"DELETE FROM contact WHERE p_uuid = '{AMINA}' AND opt_contact_type = 'email'")
    exchange(php, py)
    assert py.fetch("SELECT uuid FROM pr_contact WHERE deleted = 'T'") == [("urn:uuid:c",)]
    rest(php, py)


def contact_of(site):
    return dict(site.fetch("SELECT opt_contact_type, contact_value FROM contact"))


def test_a_contact_without_a_value_is_none_elsewhere_and_takes_one_from_there(new_site, php, py):
    other = new_site("mariadb", "vesuvius")
    Vesuvius(php.url).report(AMINA, "Amina", "Haddad")
    php.run(f"INSERT INTO contact VALUES ('{AMINA}', 'email', 'a@b.c'), ('{AMINA}', 'pmob', '')")
    rest(php, py, other)
    assert contact_of(other) == {"email": "a@b.c"}
    php.run("UPDATE contact SET contact_value = '' WHERE opt_contact_type = 'email'")
    rest(php, py, other)
    assert (contact_of(php), contact_of(other)) == ({"email": "", "pmob": ""}, {})
    assert py.fetch("SELECT deleted FROM pr_contact") == [("T",)]
    other.run(f"INSERT INTO contact VALUES ('{AMINA}', 'email', 'd@e.f'), ('{AMINA}', 'pmob', '1')")
    rest(php, py, other)
    assert contact_of(php) == contact_of(other) == {"email": "d@e.f", "pmob": "1"}
    other.run("UPDATE contact SET contact_value = '2' WHERE opt_contact_type = 'pmob'")
    php.run("UPDATE contact SET contact_value = ''")
    rest(php, py, other)
    full = {kind: value for kind, value in contact_of(php).items() if value}
    assert full == contact_of(other) and "email" not in full
    assert all(site.parked() == {} for site in (php, py, other))


def test_notes_travel_both_ways(php, py):
    vesuvius = Vesuvius(php.url)
    vesuvius.run("INSERT INTO person_uuid (p_uuid) VALUES ('3')")
    vesuvius.report(AMINA, "Amina", "Haddad")
    vesuvius.run(
        "INSERT INTO person_notes (note_about_p_uuid, note_written_by_p_uuid, note) "
        f"VALUES ('{AMINA}', '3', 'seen near the river')"
    )
    exchange(php, py)
    assert py.fetch("SELECT note_text FROM pr_note WHERE note_text IS NOT NULL") == [("seen near the river",)]
    add_note(py, AMINA, "urn:uuid:note-2", 9, "is in camp 4")
    exchange(php, py)
    found = php.fetch("SELECT note, note_about_p_uuid FROM person_notes ORDER BY note")
    assert found == [("is in camp 4", AMINA), ("seen near the river", AMINA)]
    rest(php, py)


def test_a_note_or_contact_that_moves_to_another_person_leaves_the_first(php, py):
    vesuvius = Vesuvius(php.url)
    vesuvius.run("INSERT INTO person_uuid (p_uuid) VALUES ('3')")
    vesuvius.report(AMINA, "Amina", "Haddad")
    add_person(py, OMAR)
    rest(php, py)
    add_note(py, AMINA, "urn:uuid:n", 2, "is in camp 4")
    py.run(
        "INSERT INTO pr_contact (uuid, pe_id, contact_method, value, deleted) "
        f"SELECT 'urn:uuid:c', pe_id, 'SMS', '111', 'F' FROM pr_pentity WHERE uuid = '{AMINA}'"
    )
    rest(php, py)
    assert vesuvius.search(AMINA)[3] == "fnd"
    for table in ("pr_note", "pr_contact"):
        py.run(
            f"UPDATE {table} SET pe_id = (SELECT pe_id FROM pr_pentity WHERE uuid = '{OMAR}') "
            "WHERE uuid IN ('urn:uuid:n', 'urn:uuid:c')"
        )
    rest(php, py)
    assert (vesuvius.search(AMINA)[3], vesuvius.search(OMAR)[3]) == ("mis", "fnd")
    assert php.fetch("SELECT p_uuid, contact_value FROM contact") == [(OMAR, "111")]
    assert php.fetch("SELECT note_about_p_uuid FROM person_notes") == [(OMAR,)]


def test_all_pieces_of_a_name_are_written_where_the_application_left_some_empty(php, py):
    """A full name alone is told as a first name; the family name that Eden adds must not take it away."""
    php.run(f"INSERT INTO person_uuid (p_uuid, full_name) VALUES ('{AMINA}', 'Rima Zahra')")
    rest(php, py)
    py.run(f"UPDATE pr_person SET last_name = 'Haddad' WHERE uuid = '{AMINA}'")
    rest(php, py)
    shown = php.fetch("SELECT given_name, family_name, full_name FROM person_uuid WHERE p_uuid = %s", [AMINA])
    assert shown == [("Rima Zahra", "Haddad", "Rima Zahra Haddad")]
    assert [found for found in reconcile(php.store) if found.total] == []


def test_what_hangs_on_a_person_who_is_reported_again_is_shown_again(php, py):
    vesuvius = Vesuvius(php.url)
    vesuvius.report(AMINA, "Amina", "Haddad")
    rest(php, py)
    py.run(
        "INSERT INTO pr_contact (uuid, pe_id, contact_method, value, deleted) "
        f"SELECT 'urn:uuid:c', pe_id, 'SMS', '111', 'F' FROM pr_pentity WHERE uuid = '{AMINA}'"
    )
    rest(php, py)
    for table in ("pr_person", "pr_pentity", "sit_trackable"):
        py.run(f"UPDATE {table} SET deleted = 'T' WHERE uuid = '{AMINA}'")
    rest(php, py)
    assert php.fetch("SELECT count(*) FROM contact") == [(0,)]
    vesuvius.report(AMINA, "Amina", "Haddad")
    rest(php, py)
    retry(php.store)
    assert php.fetch("SELECT p_uuid, contact_value FROM contact") == [(AMINA, "111")]
    assert py.fetch("SELECT deleted FROM pr_contact") == [("F",)]
    assert php.parked() == {} and [found for found in reconcile(php.store) if found.total] == []
