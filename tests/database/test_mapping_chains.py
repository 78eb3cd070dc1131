"""Chains and meshes of sites with and without mappings: they converge, come to rest, and lose nothing."""

import pytest

from changecapture.apply import apply_entries
from changecapture.config import parse_url
from changecapture.core.change import Entry
from changecapture.install import install
from tests.support.compare import assert_equal_sites
from tests.support.databases import run_script
from tests.support.mesh import play
from tests.support.schemas import build_database
from tests.support.sites import Site, exchange
from tests.support.vesuvius import TABLES, Vesuvius

from .test_mapping import AMINA, OMAR, add_note, add_person, person, rest

MAPPING = """title = "ours"
[[record]]
name = "person"
  [[record.local]]
  table = "people"
  [[record.common]]
  table = "pr_person"
  set = { pe_id = "@key", track_id = "@key" }
  [[record.common]]
  table = "pr_pentity"
  set = { instance_type = "pr_person" }
  [[record.common]]
  table = "sit_trackable"
  set = { instance_type = "pr_person" }
  [[record.column]]
  local = "people.given"
  common = "pr_person.first_name"
  common_none = ""
  [[record.column]]
  local = "people.surname"
  common = "pr_person.last_name"
  [[record.column]]
  local = "people.sex"
  common = "pr_person.gender"
  values = [["m", 3], ["f", 2]]
"""
PEOPLE = (
    "CREATE TABLE people (code varchar(128) PRIMARY KEY, given varchar(20), surname varchar(64), sex char(1))"
)


def test_eden_php_eden_loses_nothing_that_php_does_not_know(new_site):
    west, php, east = new_site("postgresql"), new_site("mariadb", "vesuvius"), new_site("mariadb")
    Vesuvius(php.url).seed()
    add_person(west, OMAR, last="Al-" + "h" * 58, middle_name="Ali", gender=4, date_of_birth="1980-01-02")
    west.run(
        "INSERT INTO pr_person_details (uuid, person_id, religion, marital_status, occupation, deleted) "
        f"SELECT 'urn:uuid:d', id, 'hindu', 6, 'nurse', 'F' FROM pr_person WHERE uuid = '{OMAR}';"
        "INSERT INTO pr_physical_description (uuid, pe_id, height_cm, eye_color, hair_color, deleted) "
        f"SELECT 'urn:uuid:h', pe_id, 181, 99, 99, 'F' FROM pr_pentity WHERE uuid = '{OMAR}'"
    )
    add_note(west, OMAR, "urn:uuid:n1", 9, "seen in camp 4")
    rest(west, php, east)
    assert_equal_sites(west.url, east.url)
    Vesuvius(php.url).update("person_status", OMAR, opt_status="inj")
    Vesuvius(php.url).update("person_uuid", OMAR, given_name="Omar Aly", full_name="Omar Aly")
    east.run(f"UPDATE pr_person SET gender = 3 WHERE uuid = '{OMAR}'")
    west.run("UPDATE pr_physical_description SET hair_color = 6")
    rest(west, php, east)
    assert_equal_sites(west.url, east.url)
    shown = Vesuvius(php.url).search(OMAR)
    assert shown[:2] == ("Omar Aly", ("Al-" + "h" * 58)[:50]) and shown[3:5] == ("inj", "mal")
    assert person(east, OMAR)[1:3] == ("Al-" + "h" * 58, 3)
    assert all(site.parked() == {} for site in (west, php, east))


def test_what_was_there_before_the_mapping_travels_once_it_is_installed(mariadb, new_site, tmp_path):
    py, database = new_site("postgresql"), "cc_mapped_later"
    url = build_database(mariadb, database, "vesuvius", TABLES)
    php = Site(url, "vesuvius")
    try:
        Vesuvius(url).seed()
        Vesuvius(url).report(AMINA, "Amina", "Haddad", opt_gender="fml")
        add_person(py, OMAR)
        exchange(php, py)
        assert person(py, AMINA) is None
        php.close()
        install(parse_url(url), "vesuvius", mapping="vesuvius")
        rest(php, py)
        assert person(py, AMINA)[:3] == ("Amina", "Haddad", 2)
        assert Vesuvius(url).search(OMAR)[:2] == ("Omar", "Saleh")
        assert py.fetch("SELECT count(*) FROM pr_person") == [(2,)]
    finally:
        php.close()
        mariadb.drop_database(database)


@pytest.mark.parametrize("kind", ["postgres", "mariadb"])
def test_a_mapping_of_ones_own_works_on_either_server(request, new_site, tmp_path, kind):
    server, py, database = request.getfixturevalue(kind), new_site("postgresql"), "cc_mapped_own"
    file = tmp_path / "ours.toml"
    file.write_text(MAPPING)
    url = server.create_database(database)
    run_script(url, PEOPLE)
    ours = Site(url, "generic", str(file))
    try:
        run_script(
            url, "INSERT INTO people VALUES ('our-1', 'Rima', 'Nasser', 'f'), ('our-2', 'Sam', NULL, 'x')"
        )
        add_person(py, OMAR, first="O" * 30)
        rest(ours, py)
        assert person(py, "our-1")[:3] == ("Rima", "Nasser", 2) and person(py, "our-2")[:3] == (
            "Sam",
            None,
            None,
        )
        shown = "SELECT given, surname, sex FROM people WHERE code = %s"
        assert ours.fetch(shown, [OMAR]) == [("O" * 20, "Saleh", None)]
        py.run("UPDATE pr_person SET gender = 3, last_name = 'Azar' WHERE uuid = 'our-2'")
        run_script(url, f"UPDATE people SET surname = 'Salih' WHERE code = '{OMAR}'")
        run_script(url, "DELETE FROM people WHERE code = 'our-1'")
        rest(ours, py)
        assert ours.fetch(shown, ["our-2"]) == [("Sam", "Azar", "m")]
        assert person(py, OMAR)[:2] == ("O" * 30, "Salih") and person(py, "our-1")[4] == "T"
        assert ours.parked() == {} and py.parked() == {}
    finally:
        ours.close()
        server.drop_database(database)


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.long) for n in range(2, 12))])
def test_mixed_sites_converge_whatever_is_done_where(new_site, seed):
    play(new_site, seed)


def test_a_person_that_comes_at_once_is_shown_as_one_that_comes_piece_by_piece(new_site):
    """New records cross in bulk; known ones, and all that is not plain, go one by one."""
    at_once, piecemeal, py = (
        new_site("mariadb", "vesuvius"),
        new_site("mariadb", "vesuvius"),
        new_site("postgresql"),
    )
    add_person(py, OMAR, last="S" * 60, gender=3, middle_name="Ali")
    for number, status in enumerate((1, 9, 2)):
        add_note(py, OMAR, f"urn:uuid:n{number}", status, "is well" if number else None)
    py.run(
        "INSERT INTO pr_contact (uuid, pe_id, contact_method, value, deleted) "
        f"SELECT v.uuid, pe_id, v.method, v.value, 'F' FROM pr_pentity e, (VALUES "
        "('urn:uuid:c2', 'SMS', '222'), ('urn:uuid:c1', 'SMS', '111'), ('urn:uuid:c3', 'EMAIL', 'o@x.org')) "
        f"AS v (uuid, method, value) WHERE e.uuid = '{OMAR}'"
    )
    for site in (at_once, piecemeal):
        Vesuvius(site.url).seed()
        site.publish()
    py.publish()
    entries = [entry for _, entry in py.store.read_entries(0, py.store.last_position(), 1000)]
    apply_entries(at_once.store, entries, {}, {})
    for entry in entries:
        apply_entries(piecemeal.store, [entry], {}, {})
    check_same_people(at_once, piecemeal)
    shortened = "SELECT table_name, row_key, column_name, whole FROM {p}shortened ORDER BY 1, 2, 3"
    assert at_once.fetch(shortened) == piecemeal.fetch(shortened) != []
    assert at_once.parked() == piecemeal.parked() == {}


def test_edits_that_come_one_by_one_are_shown_as_edits_that_come_at_once(new_site):
    """Edits by who had seen all cross in bulk; several of one row, and all that is not plain, do not."""
    php, at_once, piecemeal = (new_site("mariadb", "vesuvius") for _ in range(3))
    py, vesuvius = new_site("postgresql"), Vesuvius(php.url)
    said: list[Entry] = []
    vesuvius.report(AMINA, "Amina", "Haddad")
    add_person(py, OMAR, gender=3, middle_name="Ali")
    rest(php, py)
    for site in (at_once, piecemeal):
        rest(site, py)
    for edit in (
        lambda: vesuvius.update("person_status", AMINA, opt_status="inj", last_updated="2026-11-01"),
        lambda: vesuvius.update("person_uuid", AMINA, family_name="Azar", full_name="Amina Azar"),
        lambda: vesuvius.update("person_details", AMINA, opt_gender="cpx", last_seen="the bridge"),
        lambda: py.run(f"UPDATE pr_person SET last_name = '{'S' * 60}' WHERE uuid = '{OMAR}'"),
        lambda: py.run(f"UPDATE pr_person SET gender = 2, comments = 'well' WHERE uuid = '{OMAR}'"),
        lambda: py.run("UPDATE pr_note SET status = 2; UPDATE pr_person SET first_name = 'Omar' || 'Y'"),
        lambda: vesuvius.update("person_uuid", OMAR, family_name="Saleh", full_name="OmarY Ali Saleh"),
    ):
        position = py.store.last_position()
        edit()
        rest(php, py)
        entries = [e for _, e in py.store.read_entries(position, py.store.last_position(), 1000)]
        apply_entries(piecemeal.store, entries, {}, {})
        said += entries
    apply_entries(at_once.store, said, {}, {})
    check_same_people(at_once, piecemeal)
    check_same_people(php, piecemeal)


def check_same_people(one, other):
    """Fail unless two Vesuvius sites show the same people, and know the same of them."""
    tables = ["person_uuid", "person_status", "person_details", "contact", "person_notes"]
    for name in [*tables, "{p}mapped_row", "{p}row_version"]:
        order = "1, 2, 3" if name == "contact" else "1, 2"
        columns = {
            "person_status": "p_uuid, opt_status",
            "person_details": "p_uuid, birth_date, opt_gender, years_old, other_comments",
            "person_notes": "note, note_about_p_uuid, note_written_by_p_uuid, suggested_status",
            "{p}row_version": "table_name, row_key, stamp, alive, seen",
        }
        where = "table_name <> 'event_event'" if name in columns and "table_name" in columns[name] else "TRUE"
        query = f"SELECT {columns.get(name, '*')} FROM {name} WHERE {where} ORDER BY {order}"
        assert one.fetch(query) == other.fetch(query), name
