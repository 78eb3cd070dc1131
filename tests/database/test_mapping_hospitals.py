"""Hospitals of Vesuvius are facilities in Eden; what else Eden calls a facility is none in Vesuvius."""

from contextlib import closing

import pytest

from tests.support.sites import Site

from .test_mapping import rest

FACILITY = (
    "SELECT f.name, s.name, f.phone1, f.website, s.instance_type, e.instance_type FROM org_facility f "
    "JOIN org_site s ON s.site_id = f.site_id JOIN pr_pentity e ON e.pe_id = f.pe_id "
    "JOIN doc_entity d ON d.doc_id = f.doc_id WHERE f.deleted = 'F' AND f.uuid = 'north'"
)
HOSPITAL = "SELECT name, phone, street1, latitude, hospital_uuid FROM hospital WHERE short_name = 'north'"


@pytest.fixture
def eden(new_database, server):
    with closing(Site(new_database(server, "eden", ("org_facility", "doc_entity", "pr_person")))) as site:
        yield site


def test_a_hospital_is_a_facility_in_eden_and_what_eden_has_no_column_for_stays(new_site, eden):
    php, other = new_site("mariadb", "vesuvius"), new_site("mariadb", "vesuvius")
    php.run(
        "INSERT INTO hospital (hospital_uuid, name, short_name, street1, latitude, phone, www) VALUES "
        "(3, 'North', 'north', '1 Hill Road', 6.93, '011 2', 'https://north.example')"
    )
    other.run("INSERT INTO hospital (hospital_uuid, name, short_name) VALUES (3, 'South', 'south')")
    rest(php, eden, other)
    site = "https://north.example"
    assert eden.fetch(FACILITY) == [("North", "North", "011 2", site, "org_facility", "org_facility")]
    ((*shown, number),) = other.fetch(HOSPITAL)
    assert shown == ["North", "011 2", "1 Hill Road", 6.93] and number != 3
    eden.run("UPDATE org_facility SET phone1 = '011 3' WHERE uuid = 'north'")
    other.run("UPDATE hospital SET name = 'North General' WHERE short_name = 'north'")
    rest(php, eden, other)
    for one in (php, other):
        assert one.fetch(HOSPITAL)[0][:4] == ("North General", "011 3", "1 Hill Road", 6.93)
    assert eden.fetch(FACILITY)[0][:3] == ("North General", "North General", "011 3")
    php.run("DELETE FROM hospital WHERE short_name = 'north'")
    rest(php, eden, other)
    assert eden.fetch(FACILITY) == other.fetch(HOSPITAL) == []
    assert all(each.parked() == {} for each in (php, eden, other))


def test_a_facility_that_eden_made_is_no_hospital(new_site, eden):
    php = new_site("mariadb", "vesuvius")
    eden.run("INSERT INTO org_facility (uuid, name, deleted) VALUES ('urn:uuid:school', 'A school', 'F')")
    rest(php, eden)
    assert php.fetch("SELECT count(*) FROM hospital") == [(0,)]
    assert php.parked() == eden.parked() == {}
