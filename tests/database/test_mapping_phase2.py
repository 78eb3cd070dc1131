"""Phase 2 and Vesuvius share their people through an Eden."""

from tests.support.databases import run_script
from tests.support.vesuvius import Vesuvius

from .test_mapping import person, rest

NADIA = "ab12-p-1"


def report(site, key, full, family, status):
    for statement in (
        f"INSERT INTO person_uuid (p_uuid, full_name, family_name) VALUES ('{key}', '{full}', '{family}')",
        f"INSERT INTO person_status (p_uuid, opt_status, isvictim) VALUES ('{key}', '{status}', 1)",
        f"INSERT INTO person_details (p_uuid, opt_gender, occupation) VALUES ('{key}', 'fml', 'nurse')",
    ):
        run_script(site.url, f"SET sql_mode = ''; {statement}")


def test_person_of_phase_2_reaches_vesuvius_through_eden_and_comes_back(new_site):
    old, py, php = new_site("mariadb", "sahana2"), new_site("postgresql"), new_site("mariadb", "vesuvius")
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


def test_camps_groups_and_organisations_travel_both_ways(new_site):
    old, py = new_site("mariadb", "sahana2"), new_site("postgresql")
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
