"""What foreign keys do in the real schemas: Vesuvius deletes by cascade, Eden hangs all on super rows."""

import pytest

from tests.support.compare import assert_equal_sites
from tests.support.eden import NOW
from tests.support.family import Family
from tests.support.sites import Site, assert_in_step, exchange

PEOPLE = ("contact", "person_details", "person_status", "person_physical", "person_deceased")
"""What has one row for each person here."""
REPORTED = """
CREATE PROCEDURE delete_reported_person (IN id VARCHAR(128), IN delete_notes BOOLEAN)
BEGIN
    DELETE p.* FROM person_uuid p, person_to_report pr WHERE pr.rep_uuid = id AND pr.p_uuid = p.p_uuid
        AND pr.p_uuid != id;
    IF delete_notes THEN
        DELETE FROM person_notes WHERE note_written_by_p_uuid = id;
    END IF;
END
"""
"""As Vesuvius has it: it deletes persons by a join with what refers to them."""


@pytest.fixture
def vesuvius(mariadb, new_database):
    """A Vesuvius with two incidents of two persons each, and a peer that has them."""
    sites = [Site(new_database(mariadb, "vesuvius"), "vesuvius") for _ in range(2)]
    home = sites[0]
    application = home.family
    application("INSERT INTO sys_user_groups (group_id, group_name) VALUES (7, 'private')")
    application("INSERT INTO hospital (hospital_uuid, name, short_name) VALUES (1, 'H', 'h')")
    for number, group in ((1, "NULL"), (2, "7")):
        application(
            "INSERT INTO incident (incident_id, name, shortname, private_group) "
            f"VALUES ({number}, 'Quake', 'q{number}', {group})"
        )
        for person in (f"p/{number}.1", f"p/{number}.2"):
            add_person(application, person, number)
    application("INSERT INTO person_to_report VALUES ('p/1.2', 'p/1.1'), ('p/2.1', 'p/1.1')")
    application(
        "INSERT INTO person_notes (note_about_p_uuid, note_written_by_p_uuid, note) "
        "VALUES ('p/1.1', 'p/2.2', 'seen'), ('p/2.1', 'p/1.1', 'well')"
    )
    exchange(*sites)
    yield sites
    for site in sites:
        assert site.fetch("SELECT * FROM {p}missed") == []
        assert_in_step(*sites)
        site.close()


def add_person(application: Family, name: str, incident: int) -> None:
    application(
        "INSERT INTO person_uuid (p_uuid, full_name, incident_id, hospital_uuid) "
        f"VALUES ('{name}', 'N', {incident}, 1)"
    )
    for table in PEOPLE[1:]:
        application(f"INSERT INTO {table} (p_uuid) VALUES ('{name}')")
    application(f"INSERT INTO contact VALUES ('{name}', 'pmob', '123')")


def people(site, table="person_uuid"):
    return sorted(key for (key,) in site.fetch(f"SELECT p_uuid FROM {table}"))


def test_persons_go_with_their_incident_and_all_that_is_known_of_them(vesuvius):
    home, peer = vesuvius
    home.family("DELETE FROM incident WHERE incident_id = 1")
    exchange(home, peer)
    for table in ("person_uuid", *PEOPLE):
        assert people(peer, table) == ["p/2.1", "p/2.2"], table
    assert people(peer, "person_to_report") == ["p/2.1"]
    assert peer.fetch("SELECT count(*) FROM person_notes") == [(0,)]


def test_incident_goes_with_a_group_that_is_not_synced(vesuvius):
    home, peer = vesuvius
    home.family("DELETE FROM sys_user_groups WHERE group_id = 7")
    exchange(home, peer)
    assert people(peer) == ["p/1.1", "p/1.2"]
    assert peer.fetch("SELECT shortname FROM incident") == [("q1",)]


def test_new_name_of_a_person_goes_on_to_all_that_is_known_of_it(vesuvius):
    home, peer = vesuvius
    home.family("UPDATE person_uuid SET p_uuid = 'new/1' WHERE p_uuid = 'p/1.1'")
    exchange(home, peer)
    for table in ("person_uuid", *PEOPLE):
        assert people(peer, table) == ["new/1", "p/1.2", "p/2.1", "p/2.2"], table
    assert peer.fetch("SELECT note_about_p_uuid FROM person_notes WHERE note = 'seen'") == [("new/1",)]


def test_new_number_of_an_incident_keeps_its_persons(vesuvius):
    home, peer = vesuvius
    home.family("UPDATE incident SET incident_id = 9 WHERE incident_id = 1")
    exchange(home, peer)
    assert len(people(peer)) == 4
    assert peer.fetch("SELECT count(*) FROM person_uuid WHERE incident_id IS NULL") == [(0,)]


def test_hospital_that_goes_leaves_its_patients_without_one(vesuvius):
    home, peer = vesuvius
    home.family("DELETE FROM hospital")
    exchange(home, peer)
    assert peer.fetch("SELECT DISTINCT hospital_uuid FROM person_uuid") == [(None,)]


def test_stored_procedure_that_deletes_persons_by_a_join(vesuvius):
    home, peer = vesuvius
    home.family(REPORTED)
    home.family("CALL delete_reported_person('p/1.1', TRUE)")
    exchange(home, peer)
    for table in ("person_uuid", *PEOPLE):
        assert people(peer, table) == ["p/1.1", "p/2.2"], table
    assert people(peer, "person_to_report") == []


def test_update_that_rewrites_all_columns_announces_nothing(vesuvius):
    """class.person.php writes every column, the key too."""
    home, peer = vesuvius
    home.family("UPDATE person_uuid SET p_uuid = p_uuid, full_name = 'N2', incident_id = 1")
    assert {operation for operation, *_ in home.captured()} == {"U"}
    exchange(home, peer)


@pytest.fixture
def edens(new_site):
    """An Eden on each kind of server with a person in a group, each with a peer."""
    pairs = [(new_site(kind), new_site("postgresql")) for kind in ("mariadb", "postgresql")]
    for home, peer in pairs:
        person = home.eden.add_person("Anna", uuid="urn:person")
        home.eden.add("pr_contact", uuid="urn:contact", value="1", pe_id=person.pe_id)
        home.eden.add("pr_address", uuid="urn:address", pe_id=person.pe_id)
        home.eden.add("pr_note", uuid="urn:note", pe_id=person.pe_id, timestmp=NOW)
        role = home.eden.add("pr_group_member_role", uuid="urn:role", name="Head")
        group = home.eden.add("pr_group", uuid="urn:group", name="Family")
        links = {"person_id": person.id, "group_id": group.id, "role_id": role.id}
        home.eden.add("pr_group_membership", uuid="urn:member", **links)
        exchange(home, peer)
    yield pairs
    for home, peer in pairs:
        assert home.fetch("SELECT * FROM {p}missed") == []
        exchange(home, peer)
        assert_in_step(home, peer)
    assert_equal_sites(pairs[0][1].url, pairs[1][1].url)


def shown(site, table):
    """Return the uuids of the rows of a table that the application shows."""
    return {uuid for (uuid,) in site.fetch(f"SELECT uuid FROM {table} WHERE deleted = 'F'")}


def test_person_of_eden_goes_with_its_super_row(edens):
    for home, peer in edens:
        home.eden.execute("DELETE FROM pr_pentity WHERE uuid = 'urn:person'")
        exchange(home, peer)
        for table in ("pr_pentity", "pr_person", "pr_contact", "pr_address", "pr_group_membership"):
            assert shown(peer, table) == set(), (home.dialect, table)
        assert shown(peer, "pr_group") == {"urn:group"}


def test_membership_of_eden_goes_with_the_person(edens):
    for home, peer in edens:
        home.eden.execute("DELETE FROM pr_person WHERE uuid = 'urn:person'")
        exchange(home, peer)
        assert shown(peer, "pr_group_membership") == set()
        assert shown(peer, "pr_contact") == {"urn:contact"}


def test_role_of_eden_that_goes_is_taken_from_the_membership(edens):
    for home, peer in edens:
        home.eden.execute("DELETE FROM pr_group_member_role WHERE uuid = 'urn:role'")
        exchange(home, peer)
        assert peer.fetch("SELECT role_id FROM pr_group_membership") == [(None,)]
        assert shown(peer, "pr_group_membership") == {"urn:member"}


def test_organisation_of_eden_that_is_its_own_root_goes_with_its_branches(edens):
    for home, peer in edens:
        root = home.eden.add("org_organisation", uuid="urn:root", name="Root")
        home.eden.change(root, root_organisation=root.id)
        home.eden.add("org_organisation", uuid="urn:branch", name="Branch", root_organisation=root.id)
        exchange(home, peer)
        assert shown(peer, "org_organisation") == {"urn:root", "urn:branch"}
        home.eden.execute("DELETE FROM org_organisation WHERE uuid = 'urn:root'")
        exchange(home, peer)
        assert shown(peer, "org_organisation") == set()
