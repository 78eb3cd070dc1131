"""Chains and meshes of sites with and without mappings: they converge, come to rest, and lose nothing."""

import random
from itertools import pairwise

import pytest

from changecapture.apply import apply_entries
from changecapture.config import parse_url
from changecapture.install import install
from changecapture.reconcile import reconcile
from tests.support.compare import assert_equal_sites
from tests.support.databases import run_script
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


class Mesh:
    """An Eden on each server, a Vesuvius and a phase 2, and what people do at them by chance."""

    def __init__(self, new_site, seed):
        self.dice = random.Random(seed)
        self.edens = [new_site("postgresql"), new_site("mariadb")]
        self.vesuvius, self.old = new_site("mariadb", "vesuvius"), new_site("mariadb", "sahana2")
        self.sites = [*self.edens, self.vesuvius, self.old]
        self.keys = ["v.test/person.1", "v.test/person.2", "ab12-p-1", "ab12-p-2", OMAR, OMAR[:-1] + "2"]
        self.notes = 0

    def act(self):
        """Do one thing at one site."""
        site, key = self.dice.choice(self.sites), self.dice.choice(self.keys)
        name = self.dice.choice(["Amina", "Basim", "Al " + "h" * 55, "Rima Zahra", ""])
        if site in self.edens:
            self._eden(site, key, name)
        else:
            self._php(site, key, name)

    def _eden(self, site, key, name):
        what = self.dice.choice(["make", "name", "gender", "note", "delete", "revive"])
        here = site.fetch("SELECT deleted FROM pr_person WHERE uuid = %s", [key])
        if what == "make" and not here:
            add_person(site, key, first=name, last=self.dice.choice(["Saleh", ""]))
        elif what == "name":
            site.run(f"UPDATE pr_person SET first_name = '{name}' WHERE uuid = '{key}' AND deleted = 'F'")
        elif what == "gender":
            site.run(
                f"UPDATE pr_person SET gender = {self.dice.randint(1, 4)} "
                f"WHERE uuid = '{key}' AND deleted = 'F'"
            )
        elif what == "note" and here == [("F",)]:
            self.notes += 1
            eden = site.eden
            ((pe_id,),) = site.fetch("SELECT pe_id FROM pr_person WHERE uuid = %s", [key])
            status = self.dice.choice([1, 2, 3, 9])
            eden.add(
                "pr_note", pe_id=pe_id, status=status, timestmp=f"2026-11-2{self.dice.randint(0, 9)} 10:00:00"
            )
        elif what == "delete" and here == [("F",)]:
            for table in ("pr_person", "pr_pentity", "sit_trackable"):
                site.run(f"UPDATE {table} SET deleted = 'T' WHERE uuid = '{key}'")
        elif what == "revive" and here == [("T",)]:
            for table in ("pr_person", "pr_pentity", "sit_trackable"):
                site.run(f"UPDATE {table} SET deleted = 'F' WHERE uuid = '{key}'")

    def _php(self, site, key, name):
        what = self.dice.choice(["report", "name", "status", "gender", "height", "delete"])
        strict = "SET sql_mode = '';"
        here = site.fetch("SELECT 1 FROM person_uuid WHERE p_uuid = %s", [key])
        if what == "report" and not here:
            site.run(
                f"{strict} INSERT INTO person_uuid (p_uuid, full_name, family_name) "
                f"VALUES ('{key}', '{name}', '');"
                f"INSERT INTO person_status (p_uuid, opt_status) VALUES ('{key}', 'mis');"
                f"INSERT INTO person_details (p_uuid) VALUES ('{key}')"
            )
        elif what == "name":
            site.run(
                f"{strict} UPDATE person_uuid SET family_name = '{name}', full_name = '{name}' "
                f"WHERE p_uuid = '{key}'"
            )
        elif what == "status":
            code = self.dice.choice(["ali", "mis", "inj", "dec", "unk", "fnd", "zzz"])
            site.run(f"{strict} UPDATE person_status SET opt_status = '{code}' WHERE p_uuid = '{key}'")
        elif what == "gender":
            code = self.dice.choice(["mal", "fml", "NULL", "odd"])
            site.run(f"{strict} UPDATE person_details SET opt_gender = '{code}' WHERE p_uuid = '{key}'")
        elif what == "height" and here:
            height = self.dice.choice(["180", "5 ft", "--5", ""])
            site.run(
                f"{strict} INSERT INTO person_physical (p_uuid, height) VALUES ('{key}', '{height}') "
                f"ON DUPLICATE KEY UPDATE height = '{height}'"
            )
        elif what == "delete" and here:
            for table in ("physical", "details", "status", "uuid"):
                site.run(f"{strict} DELETE FROM person_{table} WHERE p_uuid = '{key}'")

    def meet(self):
        """Let two sites exchange what they have."""
        exchange(*self.dice.sample(self.sites, 2))

    def settle(self):
        """Let all sites meet until nothing travels; fail when it does not come to rest."""
        for _ in range(6):
            moved = sum(exchange(a, b) for a, b in [*pairwise(self.sites), *pairwise(reversed(self.sites))])
            if not moved:
                return
        pytest.fail("edits go round for ever")

    def check(self):
        """Fail unless all know the same, the Edens show the same, and the others what a lens makes of it."""
        assert_equal_sites(self.edens[0].url, self.edens[1].url)
        known = (
            "SELECT table_name, row_key, stamp, alive, seen FROM {p}row_version WHERE table_name LIKE 'pr%%' "
        )
        versions = [set(site.fetch(known + "ORDER BY 1, 2", [])) for site in self.sites]
        assert versions[0] and all(found == versions[0] for found in versions)
        for site in (self.vesuvius, self.old):
            assert site.parked() == {}
            assert [found for found in reconcile(site.store) if found.total] == []


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.long) for n in range(2, 12))])
def test_mixed_sites_converge_whatever_is_done_where(new_site, seed):
    mesh = Mesh(new_site, seed)
    for _ in range(40):
        mesh.act()
        if mesh.dice.random() < 0.3:
            mesh.meet()
    mesh.settle()
    mesh.check()


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
    tables = ["person_uuid", "person_status", "person_details", "contact", "person_notes"]
    for name in [*tables, "{p}mapped_row", "{p}row_version"]:
        order = "1, 2, 3" if name == "contact" else "1, 2"
        columns = {
            "person_status": "p_uuid, opt_status",
            "person_details": "p_uuid, birth_date, opt_gender, years_old, other_comments",
            "person_notes": "note, note_about_p_uuid, note_written_by_p_uuid, suggested_status",
            "{p}row_version": "table_name, row_key, stamp, alive, seen",
        }
        where = "table_name <> 'incident'" if name in columns and "table_name" in columns[name] else "TRUE"
        query = f"SELECT {columns.get(name, '*')} FROM {name} WHERE {where} ORDER BY {order}"
        assert at_once.fetch(query) == piecemeal.fetch(query), name
    shortened = "SELECT table_name, row_key, column_name, whole FROM {p}shortened ORDER BY 1, 2, 3"
    assert at_once.fetch(shortened) == piecemeal.fetch(shortened) != []
    assert at_once.parked() == piecemeal.parked() == {}
