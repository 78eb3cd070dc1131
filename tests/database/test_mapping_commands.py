"""The commands at a site with a mapping: its people are in the log as rows of Eden's."""

import json
from contextlib import suppress

import pytest

from changecapture.errors import PeerError
from tests.support.commands import run_command
from tests.support.forger import Peer, send
from tests.support.sites import exchange
from tests.support.vesuvius import Vesuvius

from .test_mapping import AMINA, OMAR, add_note, add_person, person, php, py, rest, statuses

__all__ = ["php", "py"]

UNSEEN = "SET sql_mode = '', @changecapture_applying = 1;"
UNSEEN_BY_EDEN = {"postgresql": "SET changecapture.applying = 'on';", "mysql": UNSEEN}


def reconcile(site):
    shown = run_command("reconcile", site.url)
    assert shown.status == 0, shown.err
    return shown.out


def test_reconcile_finds_no_person_that_was_seen(php, py):
    Vesuvius(php.url).report(AMINA, "Amina", "Haddad", opt_gender="fml")
    add_person(py, OMAR, last="Al-" + "h" * 58)
    add_note(py, OMAR, "urn:uuid:n1", 2, "is well")
    rest(php, py)
    assert "nothing was written unseen" in reconcile(php)
    rest(php, py)


def test_reconcile_finds_what_no_trigger_saw_of_people(php, py):
    vesuvius = Vesuvius(php.url)
    vesuvius.report(AMINA, "Amina", "Haddad")
    vesuvius.report("pl.test/person.2", "Basim", "Nasser")
    rest(php, py)
    php.run(
        f"{UNSEEN} UPDATE person_status SET opt_status = 'fnd' WHERE p_uuid = '{AMINA}';"
        "DELETE FROM person_uuid WHERE p_uuid = 'pl.test/person.2';"
        "INSERT INTO person_uuid (p_uuid, given_name) VALUES ('pl.test/person.3', 'Rima')"
    )
    told = reconcile(php)
    assert told.splitlines()[-1].split() == ["person_uuid", "1", "1", "1"], told
    rest(php, py)
    assert statuses(py, AMINA)[-1] == (2,)
    assert person(py, "pl.test/person.2")[4] == "T" and person(py, "pl.test/person.3")[0] == "Rima"


def test_a_conflict_can_be_decided_at_a_site_with_a_mapping(php, py):
    vesuvius = Vesuvius(php.url)
    vesuvius.report(AMINA, "Amina", "Haddad")
    exchange(php, py)
    vesuvius.update("person_uuid", AMINA, family_name="Haddadi")
    py.run(f"UPDATE pr_person SET last_name = 'Azar' WHERE uuid = '{AMINA}'")
    rest(php, py)
    ((number,),) = php.fetch("SELECT id FROM {p}conflict WHERE column_name = 'last_name'")
    shown = run_command("conflicts", "resolve", str(number), php.url, "--take")
    assert shown.status == 0, shown.err
    assert vesuvius.search(AMINA)[1] == "Haddadi"
    rest(php, py)
    assert person(py, AMINA)[1] == "Haddadi"
    for site in (php, py):
        assert site.fetch("SELECT count(*) FROM {p}conflict WHERE resolved_at IS NULL") == [(0,)]


def test_history_finds_a_row_under_the_names_that_it_travels_by(php, py):
    Vesuvius(php.url).report(AMINA, "Amina", "Haddad")
    rest(php, py)
    py.run(f"UPDATE pr_person SET last_name = 'Azar' WHERE uuid = '{AMINA}'")
    rest(php, py)
    told = run_command("history", php.url, "person_uuid", AMINA)
    assert told.status == 0, told.err
    assert f"pr_person {AMINA}: shown by the mapping; person_uuid travels as pr_person" in told.out
    assert 'last_name="Azar"' in told.out
    told = run_command("history", php.url, "person_status", AMINA)
    assert "person_status travels as pr_note" in told.out and "status=1" in told.out
    assert run_command("history", php.url, "person_uuid", "pl.test/nobody").status == 2


def test_status_says_what_travels_by_a_mapping_and_who_is_shown_as_one(new_site, php, py):
    other = new_site("mariadb", "vesuvius")
    Vesuvius(php.url).report(AMINA, "Amina", "Haddad")
    Vesuvius(other.url).report(AMINA, "Basim", "Nasser")
    rest(php, py, other)
    for site in (php, py, other):
        told = run_command("status", site.url).out
        assert f"1 name given by two sites to what differs, shown as one: {AMINA}" in told, told
        assert ("vesuvius: 9 tables as rows of Eden's" in told) is (site is not py), told
        assert told.count("mapping:") == (site is not py)


def test_export_of_people_at_a_site_with_a_mapping_is_refused(php, tmp_path):
    Vesuvius(php.url).report(AMINA, "Amina", "Haddad")
    php.publish()
    shown = run_command("export", php.url, str(tmp_path / "people"), "--format", "json")
    assert shown.status != 0 and "travels as rows of Eden's" in shown.err


def test_verify_of_two_sites_with_a_mapping_compares_what_they_share(new_site, php):
    other = new_site("mariadb", "vesuvius")
    Vesuvius(php.url).report(AMINA, "Amina", "Haddad")
    rest(php, other)
    other.run(f"{UNSEEN} UPDATE person_status SET last_updated_db = '2020-01-01 10:00:00'")
    shown = run_command("verify", php.url, other.url)
    assert shown.status == 0, shown.out + shown.err
    other.run(f"{UNSEEN} UPDATE person_uuid SET family_name = 'Unseen'")
    assert run_command("verify", php.url, other.url).status == 1


def test_verify_compares_people_of_a_site_with_a_mapping_and_of_an_eden(php, py):
    vesuvius = Vesuvius(php.url)
    vesuvius.report(AMINA, "Amina", "Haddad", opt_gender="fml", birth_date="1990-04-02")
    add_person(py, OMAR, last="Al-" + "h" * 58)
    add_note(py, OMAR, "urn:uuid:n1", 2, "is well")
    rest(php, py)
    shown = run_command("verify", php.url, py.url)
    assert shown.status == 0, shown.out + shown.err
    assert "equal: 8 rows compared" in shown.out and len(shown.out.splitlines()) < 6, shown.out
    php.run(f"{UNSEEN} UPDATE person_uuid SET family_name = 'Unseen' WHERE p_uuid = '{AMINA}'")
    py.run(f"{UNSEEN_BY_EDEN[py.store.engine]} DELETE FROM pr_note WHERE uuid = 'urn:uuid:n1'")
    shown = run_command("verify", php.url, py.url, "--json")
    assert shown.status == 1
    told = {(d["table"], d["key"]): d for d in json.loads(shown.out)["differences"]}
    assert told.keys() == {("pr_person", AMINA), ("pr_note", "urn:uuid:n1")}
    assert told["pr_person", AMINA]["columns"]["last_name"] == ["Unseen", "Haddad"]
    assert "changecapture reconcile" in told["pr_person", AMINA]["left"]
    assert "changecapture reconcile" in told["pr_note", "urn:uuid:n1"]["right"]


ODD = ([1, 2], {}, {"a": 1}, True, 1e308, -1, 10**30, "", "x" * 5000, "a\0b", "NULL", "9999-12-31T23:59:59")
ODD += ("infinity", "1980-13-45", None, [["a"], "b"], [[None], {"z": 1}], "--5", "\u00b2", AMINA, "1", "3")


@pytest.mark.parametrize("application", ["vesuvius", "sahana2"])
def test_no_common_row_of_a_peer_stops_a_site_with_a_mapping(new_site, application):
    site, peer = new_site("mariadb", application), Peer("odd" + application)
    lens = site.store.mapping
    columns: dict[str, list[str]] = {}
    for record in lens.records:
        for place in (p for pair in record.pairs for p in (*pair.common, *pair.copies)):
            columns.setdefault(record.tables[place.part], []).append(place.column)
        for part in record.common:
            columns.setdefault(part.table, []).extend([*part.parent, *dict(part.set), *dict(part.match)])
        columns[record.root.table] += [carried.name for carried in record.carried]
        for pair in record.pairs:
            columns[record.tables[pair.common[0].part]].append(pair.exact)
    for number, value in enumerate(ODD):
        for table, names in sorted(columns.items()):
            key = [AMINA, "k" * 300, 'a"b', "3"][number % 4]
            odd = {name: ODD[(number + n) % len(ODD)] for n, name in enumerate(names)}
            with suppress(PeerError):
                send(site, peer, peer.entry(table, key, {**odd, names[0]: value, "@alive": number % 5 != 4}))
    site.publish()
