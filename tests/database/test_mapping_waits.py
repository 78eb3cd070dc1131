"""What an application does at a site with a mapping while some of what it is to show cannot be shown."""

from changecapture.apply import retry
from changecapture.pair import pull
from tests.support.interrupt import InterruptedStore

from .test_mapping import AMINA, OMAR, Vesuvius, add_person, person, php, py, rest
from .test_mapping_incidents import eden

__all__ = ["eden", "php", "py"]

AGE = "UPDATE pr_person_details SET age = {} WHERE person_id = (SELECT id FROM pr_person WHERE uuid = '{}')"
BELONGS = (
    "SELECT i.shortname FROM person_uuid p LEFT JOIN incident i ON i.incident_id = p.incident_id "
    "WHERE p.p_uuid = %s"
)


def test_an_edit_of_a_row_that_is_parked_travels_and_is_not_written_over(new_site, php, py):
    other = new_site("mariadb", "vesuvius")
    Vesuvius(php.url).report(AMINA, "Amina", "Haddad", years_old=30)
    rest(php, py, other)
    php.run("ALTER TABLE person_details ADD CONSTRAINT old CHECK (years_old < 150)")
    py.run(AGE.format(200, AMINA))
    rest(php, py, other)
    assert [row.table for row in php.parked()] == ["person_details"]
    Vesuvius(php.url).update("person_details", AMINA, last_seen="at the bridge")
    Vesuvius(php.url).update("person_details", AMINA, last_clothing="a red scarf")
    rest(php, py, other)
    py.run(AGE.format(31, AMINA))
    rest(php, py, other)
    shown = "SELECT years_old, last_seen, last_clothing FROM person_details WHERE p_uuid = %s"
    for site in (php, other):
        retry(site.store)
        assert site.fetch(shown, [AMINA]) == [(31, "at the bridge", "a red scarf")]
        assert site.parked() == {}


def test_who_belongs_to_an_incident_that_goes_belongs_to_it_when_it_is_back(new_site, php, eden):
    other = new_site("mariadb", "vesuvius")
    php.run("INSERT INTO incident (incident_id, name, shortname) VALUES (7, 'Quake', 'quake')")
    Vesuvius(php.url).report(AMINA, "Amina", "Haddad")
    php.run("UPDATE person_uuid SET incident_id = 7")
    rest(php, eden, other)
    assert php.fetch(BELONGS, [AMINA]) == other.fetch(BELONGS, [AMINA]) == [("quake",)]
    eden.run("UPDATE event_event SET deleted = 'T' WHERE name = 'Quake'")
    rest(php, eden, other)
    assert php.fetch(BELONGS, [AMINA]) == other.fetch(BELONGS, [AMINA]) == [(None,)]
    # Twice in a pass: then all that is known of the person is compared with what is here.
    for name in ("Amine", "Aminah"):
        Vesuvius(other.url).update("person_uuid", AMINA, given_name=name)
    rest(php, eden, other)
    eden.run("UPDATE event_event SET deleted = 'F' WHERE name = 'Quake'")
    rest(php, eden, other)
    assert php.fetch(BELONGS, [AMINA]) == other.fetch(BELONGS, [AMINA]) == [("quake",)]


def test_incidents_that_stand_above_each_other_lose_the_later_edge(new_site, php, py):
    other = new_site("mariadb", "vesuvius")
    for number, name in ((7, "quake"), (8, "flood")):
        php.run(f"INSERT INTO incident (incident_id, name, shortname) VALUES ({number}, '{name}', '{name}')")
    rest(php, py, other)
    edge = (
        "UPDATE incident a JOIN incident b SET a.parent_id = b.incident_id "
        "WHERE a.shortname = '{}' AND b.shortname = '{}'"
    )
    php.run(edge.format("quake", "flood"))
    other.run(edge.format("flood", "quake"))
    rest(php, py, other)
    tree = (
        "SELECT a.shortname, b.shortname FROM incident a LEFT JOIN incident b "
        "ON b.incident_id = a.parent_id ORDER BY 1"
    )
    assert php.fetch(tree) == other.fetch(tree) == [("flood", None), ("quake", "flood")]
    assert {(column, value) for _, _, column, _, value in other.conflicts()} == {
        ("vesuvius:incident.parent_id", '"quake"')
    }
    php.run("UPDATE incident SET parent_id = NULL WHERE shortname = 'quake'")
    rest(php, py, other)
    for site in (php, other):
        retry(site.store)
        assert site.fetch(tree) == [("flood", "quake"), ("quake", None)]


def test_a_row_that_is_parked_and_that_the_application_deletes_stays_away(php, py):
    add_person(py, OMAR)
    rest(php, py)
    py.run(
        "INSERT INTO pr_physical_description (uuid, pe_id, height_cm, deleted) "
        f"SELECT 'urn:uuid:h', pe_id, 180, 'F' FROM pr_pentity WHERE uuid = '{OMAR}'"
    )
    rest(php, py)
    php.run("ALTER TABLE person_physical ADD CONSTRAINT tall CHECK (height + 0 < 190)")
    py.run("UPDATE pr_physical_description SET height_cm = 200")
    rest(php, py)
    assert [row.table for row in php.parked()] == ["person_physical"]
    php.run(f"DELETE FROM person_physical WHERE p_uuid = '{OMAR}'")
    rest(php, py)
    retry(php.store)
    assert php.parked() == {} and php.fetch("SELECT height FROM person_physical") == []
    assert py.fetch("SELECT height_cm FROM pr_physical_description WHERE deleted = 'F'") == []
    php.run("ALTER TABLE person_physical DROP CONSTRAINT tall")


def test_r6_person_whom_the_application_reports_again_in_mid_apply_is_merged(php, py):
    """R6: the rows are absent when they are looked for, and there when they are inserted."""
    add_person(py, OMAR)
    rest(php, py)
    flag = "".join(
        f"UPDATE {table} SET deleted = %;" for table in ("pr_pentity", "sit_trackable", "pr_person")
    )
    py.run(flag.replace("%", "'T'"))
    rest(php, py)
    py.run(flag.replace("%", "'F'") + "UPDATE pr_person SET last_name = 'theirs'")
    py.publish()

    def report():
        Vesuvius(php.url).report(OMAR, "Omar", "ours")

    pull(py.store, InterruptedStore(php.store, "insert_rows", report))
    rest(php, py)
    assert person(py, OMAR)[1] == "ours" == Vesuvius(php.url).search(OMAR)[1]
    assert ("pr_person", OMAR, "last_name", '"ours"', '"theirs"') in php.conflicts()
    assert php.parked() == {} and php.set_aside() == []
