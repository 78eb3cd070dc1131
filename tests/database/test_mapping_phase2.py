"""Phase 2 and Vesuvius share their people through an Eden."""

import pytest

from tests.support.databases import run_script
from tests.support.vesuvius import Vesuvius

from .test_mapping import OMAR, add_person, person, rest

NADIA = "ab12-p-1"


EDENS = pytest.mark.parametrize("kind", ["postgresql", pytest.param("mariadb", marks=pytest.mark.long)])


def report(site, key, full, family, status):
    for statement in (
        f"INSERT INTO person_uuid (p_uuid, full_name, family_name) VALUES ('{key}', '{full}', '{family}')",
        f"INSERT INTO person_status (p_uuid, opt_status, isvictim) VALUES ('{key}', '{status}', 1)",
        f"INSERT INTO person_details (p_uuid, opt_gender, occupation) VALUES ('{key}', 'fml', 'nurse')",
    ):
        run_script(site.url, f"SET sql_mode = ''; {statement}")


@EDENS
def test_person_of_phase_2_reaches_vesuvius_through_eden_and_comes_back(new_site, kind):
    old, py, php = new_site("mariadb", "sahana2"), new_site(kind), new_site("mariadb", "vesuvius")
    report(old, NADIA, "Nadia Karimi", "Karimi", "mis")
    rest(old, py, php)
    vesuvius = Vesuvius(php.url)
    assert vesuvius.search(NADIA)[:5] == ("Nadia", "Karimi", "Nadia Karimi", "mis", "fml")
    vesuvius.update("person_status", NADIA, opt_status="fnd")
    vesuvius.update("person_uuid", NADIA, family_name="Azar", full_name="Nadia Azar")
    rest(php, py, old)
    assert person(py, NADIA)[:2] == ("Nadia", "Azar")
    assert old.fetch("SELECT full_name, family_name FROM person_uuid") == [("Nadia Azar", "Azar")]
    assert old.fetch("SELECT opt_status, isvictim FROM person_status") == [("ali", 1)]
    assert all(site.parked() == {} for site in (old, py, php))
    rest(old, py, php)


@EDENS
def test_camps_groups_and_organisations_travel_both_ways(new_site, kind):
    old, py = new_site("mariadb", "sahana2"), new_site(kind)
    old.run(
        "INSERT INTO camp_general (c_uuid, name, capacity) VALUES ('ab12-c-1', 'North School', 200);"
        "INSERT INTO camp_reg (c_uuid, admin_name) VALUES ('ab12-c-1', 'Rima');"
        "INSERT INTO org_main (o_uuid, name) VALUES ('ab12-o-1', 'Red Crescent');"
        "INSERT INTO pgroup (g_uuid, opt_group_type) VALUES ('ab12-g-1', 'fam');"
        "INSERT INTO group_details (g_uuid, description) VALUES ('ab12-g-1', 'the Karimis')"
    )
    rest(old, py)
    shelters = (
        "SELECT s.name, t.name, s.contact_name FROM cr_shelter s JOIN org_site t ON t.site_id = s.site_id"
    )
    assert py.fetch(shelters) == [("North School", "North School", "Rima")]
    assert py.fetch("SELECT group_type, description FROM pr_group") == [(1, "the Karimis")]
    assert py.fetch("SELECT name FROM org_organisation") == [("Red Crescent",)]
    py.run("UPDATE cr_shelter SET name = 'North School 2'; UPDATE org_organisation SET name = 'Crescent'")
    rest(old, py)
    assert old.fetch("SELECT name, capacity FROM camp_general") == [("North School 2", 200)]
    assert old.fetch("SELECT name FROM org_main") == [("Crescent",)]
    assert old.parked() == {} and py.parked() == {}


@EDENS
def test_places_of_phase_2_and_the_camps_there_travel_both_ways(new_site, kind):
    old, py, other = new_site("mariadb", "sahana2"), new_site(kind), new_site("mariadb", "sahana2")
    for site, name in ((old, "Colombo"), (other, "Galle")):
        site.run(f"INSERT INTO location (loc_uuid, name) VALUES ('7', '{name}')")
    old.run(
        "INSERT INTO location (loc_uuid, parent_id, name, iso_code, description) VALUES "
        "('ab12-l-1', NULL, 'North', 'N', 'the hills'), ('ab12-l-2', 'ab12-l-1', 'Hill Village', NULL, NULL);"
        "INSERT INTO camp_general (c_uuid, name, location_id) VALUES ('ab12-c-1', 'School', 'ab12-l-2');"
        "INSERT INTO camp_reg (c_uuid) VALUES ('ab12-c-1')"
    )
    rest(old, py, other)
    places = (
        "SELECT l.name, p.name, l.comments FROM gis_location l LEFT JOIN gis_location p ON p.id = l.parent "
        "WHERE l.uuid LIKE 'ab12%%' ORDER BY 1"
    )
    assert py.fetch(places, []) == [("Hill Village", "North", None), ("North", None, "the hills")]
    camps = (
        "SELECT l.name, t.location_id = s.location_id FROM cr_shelter s JOIN org_site t "
        "ON t.site_id = s.site_id JOIN gis_location l ON l.id = s.location_id"
    )
    assert py.fetch(camps) == [("Hill Village", True)]
    py.run(
        "UPDATE gis_location SET name = 'Upper Village' WHERE name = 'Hill Village';"
        "INSERT INTO gis_location (uuid, name, gis_feature_type, deleted) "
        "VALUES ('urn:uuid:l', 'Home', 1, 'F')"
    )
    rest(old, py, other)
    for site in (old, other):
        own = "Colombo" if site is old else "Galle"
        assert site.fetch("SELECT name, parent_id, iso_code FROM location ORDER BY loc_uuid") == [
            (own, None, None),
            ("North", None, "N"),
            ("Upper Village", "ab12-l-1", None),
        ]
        assert site.fetch("SELECT location_id FROM camp_general") == [("ab12-l-2",)]
        assert site.parked() == {}
    # A place that phase 2 does not know leaves what stands there empty, and stays in Eden.
    py.run("UPDATE cr_shelter SET location_id = (SELECT id FROM gis_location WHERE uuid = 'urn:uuid:l')")
    rest(old, py, other)
    old.run("UPDATE camp_general SET name = '', capacity = 5; UPDATE camp_general SET name = 'Big School'")
    rest(old, py, other)
    assert other.fetch("SELECT name, location_id, capacity FROM camp_general") == [("Big School", None, 5)]
    assert [name for name, _ in py.fetch(camps)] == ["Home"]


@pytest.fixture
def old(new_site):
    return new_site("mariadb", "sahana2")


@pytest.fixture(params=["postgresql", "mariadb"])
def eden(request, new_site):
    return new_site(request.param)


def run(site, *statements):
    for statement in statements:
        run_script(site.url, f"SET sql_mode = ''; {statement}")


CONTACTS = (
    "SELECT e.uuid, c.contact_method, c.value FROM pr_contact c JOIN pr_pentity e ON e.pe_id = c.pe_id "
    "WHERE c.deleted = 'F' ORDER BY 2, 3"
)


def test_contacts_of_phase_2_travel_both_ways_several_of_a_kind(old, eden):
    report(old, NADIA, "Nadia Karimi", "Karimi", "mis")
    run(
        old,
        f"INSERT INTO contact VALUES ('{NADIA}', 'pmob', '+94 1'), ('{NADIA}', 'pmob', '+94 2'), "
        f"('{NADIA}', 'curr', '+94 3'), ('{NADIA}', '', '')",
    )
    rest(old, eden)
    assert set(eden.fetch(CONTACTS)) == {
        (NADIA, "SMS", "+94 1"),
        (NADIA, "SMS", "+94 2"),
        (NADIA, "curr", "+94 3"),
    }
    eden.run(
        "UPDATE pr_contact SET value = '+94 9' WHERE value = '+94 2';"
        "INSERT INTO pr_contact (uuid, pe_id, contact_method, value, deleted) "
        f"SELECT 'urn:uuid:c', pe_id, 'EMAIL', 'a@b.c', 'F' FROM pr_pentity WHERE uuid = '{NADIA}'"
    )
    rest(old, eden)
    found = "SELECT opt_contact_type, contact_value FROM contact WHERE opt_contact_type <> '' ORDER BY 1, 2"
    assert old.fetch(found) == [("curr", "+94 3"), ("email", "a@b.c"), ("pmob", "+94 1"), ("pmob", "+94 9")]
    # Phase 2 edits by deleting and inserting anew.
    run(
        old,
        f"DELETE FROM contact WHERE pgoc_uuid = '{NADIA}' AND opt_contact_type = 'email'",
        f"INSERT INTO contact VALUES ('{NADIA}', 'email', 'd@e.f')",
    )
    rest(old, eden)
    assert (NADIA, "EMAIL", "d@e.f") in eden.fetch(CONTACTS) and len(eden.fetch(CONTACTS)) == 4
    assert old.parked() == {} and eden.parked() == {}


def test_identity_documents_travel_both_ways(old, eden):
    report(old, NADIA, "Nadia Karimi", "Karimi", "mis")
    run(
        old,
        f"INSERT INTO identity_to_person VALUES ('{NADIA}', 'N123', 'pas'), ('{NADIA}', NULL, NULL), "
        f"('{NADIA}', 'V1', 'nic')",
    )
    rest(old, eden)
    documents = (
        "SELECT p.uuid, i.type, i.value FROM pr_identity i JOIN pr_person p ON p.id = i.person_id "
        "WHERE i.deleted = 'F' ORDER BY 2"
    )
    assert eden.fetch(documents) == [(NADIA, 1, "N123"), (NADIA, 2, "V1")]
    eden.run(
        "UPDATE pr_identity SET deleted = 'T' WHERE type = 2;"
        "INSERT INTO pr_identity (uuid, person_id, type, value, deleted) "
        f"SELECT 'urn:uuid:i', id, 3, 'B7', 'F' FROM pr_person WHERE uuid = '{NADIA}'"
    )
    rest(old, eden)
    mine = "SELECT serial, opt_id_type FROM identity_to_person WHERE serial IS NOT NULL ORDER BY 1"
    assert old.fetch(mine) == [("B7", "dln"), ("N123", "pas")]
    assert old.parked() == {} and eden.parked() == {}


def test_members_of_groups_and_residents_of_camps_travel_both_ways(old, eden):
    report(old, NADIA, "Nadia Karimi", "Karimi", "mis")
    add_person(eden, OMAR)
    run(
        old,
        "INSERT INTO pgroup VALUES ('ab12-g-1', 'fam')",
        "INSERT INTO group_details (g_uuid) VALUES ('ab12-g-1')",
        f"INSERT INTO person_to_pgroup VALUES ('{NADIA}', 'ab12-g-1')",
        "INSERT INTO camp_general (c_uuid, name) VALUES ('ab12-c-1', 'North School')",
        "INSERT INTO camp_reg (c_uuid) VALUES ('ab12-c-1')",
        f"INSERT INTO resource_to_shelter VALUES ('{NADIA}', 'ab12-c-1')",
    )
    rest(old, eden)
    members = (
        "SELECT p.uuid, g.uuid FROM pr_group_membership m JOIN pr_person p ON p.id = m.person_id "
        "JOIN pr_group g ON g.id = m.group_id WHERE m.deleted = 'F'"
    )
    residents = (
        "SELECT p.uuid, s.name FROM cr_shelter_registration r JOIN pr_person p ON p.id = r.person_id "
        "JOIN org_site s ON s.site_id = r.site_id WHERE r.deleted = 'F' AND r.registration_status = 2"
    )
    assert eden.fetch(members) == [(NADIA, "ab12-g-1")]
    assert eden.fetch(residents) == [(NADIA, "North School")]
    eden.run(
        "INSERT INTO pr_group_membership (uuid, person_id, group_id, deleted) "
        f"SELECT 'urn:uuid:m', p.id, g.id, 'F' FROM pr_person p, pr_group g WHERE p.uuid = '{OMAR}';"
        "INSERT INTO cr_shelter_registration (uuid, person_id, site_id, registration_status, deleted) "
        f"SELECT 'urn:uuid:r', p.id, s.site_id, 2, 'F' FROM pr_person p, org_site s WHERE p.uuid = '{OMAR}'"
    )
    rest(old, eden)
    assert old.fetch("SELECT p_uuid FROM person_to_pgroup ORDER BY 1") == [(NADIA,), (OMAR,)]
    assert old.fetch("SELECT x_uuid FROM resource_to_shelter ORDER BY 1") == [(NADIA,), (OMAR,)]
    eden.run("UPDATE cr_shelter_registration SET registration_status = 3 WHERE uuid = 'urn:uuid:r'")
    run(old, f"DELETE FROM person_to_pgroup WHERE p_uuid = '{OMAR}'")
    rest(old, eden)
    assert old.fetch("SELECT x_uuid FROM resource_to_shelter") == [(NADIA,)]
    assert eden.fetch(members) == [(NADIA, "ab12-g-1")]
    assert old.parked() == {} and eden.parked() == {}


def test_a_contact_that_is_edited_in_eden_again_and_again_stays_one(old, eden):
    report(old, NADIA, "Nadia Karimi", "Karimi", "mis")
    rest(old, eden)
    eden.run(
        "INSERT INTO pr_contact (uuid, pe_id, contact_method, value, deleted) "
        f"SELECT 'urn:uuid:c', pe_id, 'SMS', '111', 'F' FROM pr_pentity WHERE uuid = '{NADIA}'"
    )
    rest(old, eden)
    for method, value in (("SMS", "222"), ("EMAIL", "222"), ("EMAIL", "a@b.c"), ("SMS", "111")):
        eden.run(f"UPDATE pr_contact SET contact_method = '{method}', value = '{value}'")
        rest(old, eden)
        assert eden.fetch(CONTACTS) == [(NADIA, method, value)]
        kind = {"SMS": "pmob", "EMAIL": "email"}[method]
        assert old.fetch("SELECT opt_contact_type, contact_value FROM contact") == [(kind, value)]


def test_a_contact_that_stands_twice_in_eden_is_deleted_whole(old, eden):
    report(old, NADIA, "Nadia Karimi", "Karimi", "mis")
    rest(old, eden)
    for number in (1, 2):
        eden.run(
            "INSERT INTO pr_contact (uuid, pe_id, contact_method, value, deleted) "
            f"SELECT 'urn:uuid:{number}', pe_id, 'SMS', '111', 'F' FROM pr_pentity WHERE uuid = '{NADIA}'"
        )
    rest(old, eden)
    run(old, "DELETE FROM contact")
    rest(old, eden)
    assert eden.fetch(CONTACTS) == [] and old.fetch("SELECT count(*) FROM contact") == [(0,)]


def test_a_contact_that_is_given_anew_after_it_was_edited_elsewhere_is_a_second_one(old, eden):
    report(old, NADIA, "Nadia Karimi", "Karimi", "mis")
    run(old, f"INSERT INTO contact VALUES ('{NADIA}', 'pmob', '111')")
    rest(old, eden)
    eden.run("UPDATE pr_contact SET value = '222'")
    rest(old, eden)
    run(old, f"INSERT INTO contact VALUES ('{NADIA}', 'pmob', '111')")
    rest(old, eden)
    assert eden.fetch(CONTACTS) == [(NADIA, "SMS", "111"), (NADIA, "SMS", "222")]
    assert old.fetch("SELECT contact_value FROM contact ORDER BY 1") == [("111",), ("222",)]
    run(old, "DELETE FROM contact WHERE contact_value = '111'")
    rest(old, eden)
    assert eden.fetch(CONTACTS) == [(NADIA, "SMS", "222")]
