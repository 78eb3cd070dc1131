"""Names that an application counts itself, seeded people, numbers of a site: what is one, and what is not."""

from changecapture.doctor import make_subject
from changecapture.doctor.given import check_given_names
from changecapture.doctor.home import check_home
from tests.support.sites import exchange
from tests.support.vesuvius import Vesuvius

from .test_mapping import AMINA, person, php, py, rest

__all__ = ["php", "py"]


def told(site):
    return [problem.what for problem in check_given_names(make_subject(site.store))]


def test_sites_with_one_base_are_told_before_two_people_have_one_name(new_site, php, py):
    other = new_site("mariadb", "vesuvius")
    Vesuvius(php.url).report("pl.test/person.101", "Amina", "Haddad")
    Vesuvius(other.url).report("pl.test/person.102", "Basim", "Nasser")
    rest(php, py, other)
    for site in (php, py, other):
        assert told(site) == ["several sites give names that begin with 'pl.test/person.'"]


def test_two_people_with_one_name_are_told_and_the_one_that_lost_is_kept(new_site, php):
    other = new_site("mariadb", "vesuvius")
    Vesuvius(php.url).report(AMINA, "Amina", "Haddad")
    Vesuvius(other.url).report(AMINA, "Basim", "Nasser")
    rest(php, other)
    for site in (php, other):
        assert told(site) == [f"1 names were given by two sites to what differs: {AMINA}"]
        lost = {(column, value) for _, _, column, _, value in site.conflicts()}
        assert {("first_name", '"Amina"'), ("last_name", '"Haddad"')} <= lost


def test_sites_with_bases_of_their_own_are_not_told(new_site, php, py):
    other = new_site("mariadb", "vesuvius")
    Vesuvius(php.url).report("a.test/person.101", "Amina", "Haddad")
    Vesuvius(other.url).report("b.test/person.101", "Basim", "Nasser")
    for site, number in ((php, 1), (other, 2)):
        site.run(f"INSERT INTO hospital (name, short_name) VALUES ('North {number}', 'north{number}')")
        site.run(f"INSERT INTO incident (name, shortname) VALUES ('Quake {number}', 'quake')")
    rest(php, py, other)
    Vesuvius(other.url).update("person_uuid", "a.test/person.101", given_name="Amine")
    rest(php, py, other)
    assert person(py, "a.test/person.101")[0] == "Amine"
    assert [told(site) for site in (php, py, other)] == [[], [], []]


def test_people_of_both_sites_that_switch_a_mapping_on_later_are_not_told(new_site):
    one, two = new_site("mariadb", "vesuvius"), new_site("mariadb", "vesuvius")
    for site in (one, two):
        Vesuvius(site.url).report(AMINA, "Amina", "Haddad")
    rest(one, two)
    assert [told(site) for site in (one, two)] == [[], []]


def test_seeded_people_of_two_sites_stay_apart(new_site, php, py):
    other = new_site("mariadb", "vesuvius")
    Vesuvius(php.url).seed()
    Vesuvius(other.url).seed()
    Vesuvius(other.url).update("person_uuid", "1", given_name="Basim")
    rest(php, py, other)
    assert php.fetch("SELECT given_name FROM person_uuid WHERE p_uuid = '1'") == [("Root",)]
    assert other.fetch("SELECT given_name FROM person_uuid WHERE p_uuid = '1'") == [("Basim",)]
    assert py.fetch("SELECT count(*) FROM pr_person") == [(0,)]
    for site in (php, other):
        noted = [problem.what for problem in check_home(make_subject(site.store))]
        assert noted == [
            "person_uuid 1, 2, 3, 4: come with an installation",
            "known by a name, not by a number: hospital.hospital_uuid (by short_name), "
            "incident.incident_id (by shortname)",
            "numbered by this site alone: image",
        ]
    assert list(check_home(make_subject(py.store))) == []


def test_what_stays_at_home_for_lack_of_a_short_name_is_counted(php, py):
    php.run("INSERT INTO incident (name, shortname) VALUES ('Quake', NULL), ('Flood', ''), ('Fire', 'fire')")
    exchange(php, py)
    noted = [problem.what for problem in check_home(make_subject(php.store))]
    assert [what for what in noted if "have no" in what] == ["incident: 2 rows have no shortname"]
    php.run("UPDATE incident SET shortname = lower(name)")
    assert not any("no shortname" in problem.what for problem in check_home(make_subject(php.store)))


def test_incidents_and_hospitals_are_one_by_their_short_names_whatever_their_numbers(new_site, php, py):
    other = new_site("mariadb", "vesuvius")
    php.run(
        "INSERT INTO incident (incident_id, name, shortname) "
        "VALUES (7, 'Quake', 'quake'), (8, 'Flood', 'flood')"
    )
    other.run(
        "INSERT INTO incident (incident_id, name, shortname) "
        "VALUES (7, 'Fire', 'fire'), (9, 'Quake', 'quake')"
    )
    php.run("INSERT INTO hospital (hospital_uuid, name, short_name) VALUES (3, 'North', 'north')")
    other.run("INSERT INTO hospital (hospital_uuid, name, short_name) VALUES (3, 'South', 'south')")
    Vesuvius(php.url).report(AMINA, "Amina", "Haddad")
    php.run(f"UPDATE person_uuid SET incident_id = 7, hospital_uuid = 3 WHERE p_uuid = '{AMINA}'")
    rest(php, py, other)
    shown = other.fetch(
        "SELECT i.shortname, h.short_name FROM person_uuid p "
        "JOIN incident i ON i.incident_id = p.incident_id "
        "JOIN hospital h ON h.hospital_uuid = p.hospital_uuid WHERE p_uuid = %s",
        [AMINA],
    )
    assert shown == [("quake", "north")]
    incidents = "SELECT shortname FROM incident ORDER BY 1"
    assert other.fetch(incidents) == php.fetch(incidents) == [("fire",), ("flood",), ("quake",)]
    exchange(php, other)
    assert php.parked() == {} and other.parked() == {}
