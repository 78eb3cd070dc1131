"""``changecapture export`` and ``import``: the exchange by hand, in each form of file."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from lxml import etree

from changecapture.record.xml import SCHEMA
from tests.support.commands import run_command
from tests.support.compare import assert_equal_sites
from tests.support.sites import exchange

FORMS = ("json", "xml", "csv")


def write(site, path, form, *options):
    done = run_command("export", site.url, str(path), "--format", form, *options)
    assert (done.status, done.err) == (0, ""), done
    return path


def take(site, path, status=0):
    done = run_command("import", site.url, str(path), "--json")
    assert (done.status, done.err) == (status, ""), done
    return json.loads(done.out)


def path_of(tmp_path, form):
    return tmp_path / ("sheets.zip" if form == "csv" else f"rows.{form}")


def count_entries(site):
    return site.fetch("SELECT count(*) FROM {p}changelog")


@pytest.mark.parametrize("form", FORMS)
def test_export_into_an_empty_site_makes_it_equal_and_twice_changes_nothing(pair, tmp_path, form):
    here, there = pair
    person = here.eden.add_person("Nadia", "Karimi")
    here.eden.add_contact(person, "+963 11 555 0101")
    here.eden.change(person, comments="a\r\n<b>&\t\\c \u0007 d")
    here.eden.add_person("", "\\empty")
    path = write(here, path_of(tmp_path, form), form)
    first = take(there, path)
    assert first["written"] == first["records"] > 4
    assert_equal_sites(here.url, there.url)
    before = count_entries(there)
    again = take(there, path)
    assert (again["written"], again["same"]) == (0, first["records"])
    assert count_entries(there) == before
    assert here.conflicts() == there.conflicts() == set()


@pytest.mark.parametrize("form", FORMS)
def test_sites_that_exchange_after_an_import_stay_equal_without_conflicts(families, tmp_path, form):
    here, there = families
    here.family.add_parent("p")
    here.family.note("parent", "p", "by hand")
    take(there, write(here, path_of(tmp_path, form), form))
    exchange(here, there)
    assert_equal_sites(here.url, there.url)
    assert here.conflicts() == there.conflicts() == set()


def test_xml_is_valid_against_the_schema_for_two_validators(site, tmp_path):
    person = site.eden.add_person("Nadia", "Karimi")
    site.eden.change(person, comments="\u0001 & <x> \ud7ff \U0001f600")
    site.eden.hard_delete(site.eden.add_contact(person, "1"))
    path = write(site, tmp_path / "rows.xml", "xml", "--deleted")
    tree = etree.parse(str(path))
    etree.XMLSchema(etree.parse(str(SCHEMA))).assertValid(tree)
    # In a program of its own: Twisted's interfaces and this library's classes do not bear each other.
    second = Path(sys.executable).with_name("xmlschema-validate")
    done = subprocess.run([second, "--schema", SCHEMA, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    records = tree.findall(".//record")
    assert records and all(r.get("uuid") and r.get("instance") == site.origin for r in records)


def test_later_value_wins_column_by_column_and_the_loser_is_kept(families, tmp_path):
    here, there = families
    here.family.add_parent("p")
    exchange(here, there)
    there.family.note("parent", "p", "there")
    there.publish()
    here.family.note("parent", "p", "here, later")
    take(there, write(here, tmp_path / "rows.xml", "xml"))
    assert there.family.shown("parent") == {"p": "here, later"}
    assert {c[2:] for c in there.conflicts()} == {("note", '"here, later"', '"there"')}


def test_earlier_value_loses_and_is_kept(families, tmp_path):
    here, there = families
    here.family.add_parent("p")
    exchange(here, there)
    here.family.note("parent", "p", "earlier")
    path = write(here, tmp_path / "rows.json", "json")
    there.family.note("parent", "p", "later")
    for _ in range(2):
        take(there, path)
        assert there.family.shown("parent") == {"p": "later"}
        assert {c[2:] for c in there.conflicts()} == {("note", '"later"', '"earlier"')}


def test_own_export_of_before_changes_nothing(home, tmp_path):
    home.family.add_parent("p")
    path = write(home, tmp_path / "rows.json", "json")
    home.family.note("parent", "p", "later")
    home.publish()
    assert take(home, path)["written"] == 0
    assert home.family.shown("parent") == {"p": "later"}
    assert home.conflicts() == set()


def edit(path, old, new):
    """Change a text in a file of any form."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in parts.items():
                archive.writestr(name, data.replace(old.encode(), new.encode()))
    else:
        path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize("form", FORMS)
def test_value_edited_in_the_file_wins_over_what_it_was_made_from(home, tmp_path, form):
    home.family.add_parent("p")
    home.family.note("parent", "p", "wrong")
    path = write(home, path_of(tmp_path, form), form)
    edit(path, "wrong", "right")
    assert take(home, path)["written"] == 1
    assert home.family.shown("parent") == {"p": "right"}
    assert take(home, path)["written"] == 0
    assert home.conflicts() == set()


def test_value_edited_in_the_file_loses_to_what_was_written_since_and_is_kept(home, tmp_path):
    home.family.add_parent("p")
    home.family.note("parent", "p", "wrong")
    path = write(home, tmp_path / "rows.json", "json")
    edit(path, "wrong", "right")
    home.family.note("parent", "p", "since")
    take(home, path)
    assert home.family.shown("parent") == {"p": "since"}
    assert {c[2:] for c in home.conflicts()} == {("note", '"since"', '"right"')}


def test_sheet_written_by_hand_is_taken_as_of_now(home, tmp_path):
    home.family.add_parent("p")
    home.family.note("parent", "p", "old")
    folder = tmp_path / "sheets"
    folder.mkdir()
    (folder / "parent.csv").write_text("@uuid;name;note\np;;new\nq;Q;\n", encoding="utf-8-sig")
    assert take(home, folder)["written"] == 2
    assert home.family.shown("parent") == {"p": "new", "q": None}
    assert take(home, folder)["written"] == 0


def test_deleted_rows_are_deleted_only_where_the_export_has_them(families, tmp_path):
    here, there = families
    here.family.add_parent("p")
    exchange(here, there)
    here.family.delete("parent", "p")
    take(there, write(here, tmp_path / "live.json", "json"))
    assert there.family.shown("parent") == {"p": None}
    take(there, write(here, tmp_path / "all.json", "json", "--deleted"))
    assert there.family.shown("parent") == {}


def test_row_whose_parent_is_not_in_the_file_is_parked_with_its_number_and_shown_later(families, tmp_path):
    here, there = families
    here.family.add_parent("p")
    here.family.add_child("c", "p")
    child = write(here, tmp_path / "child.csv", "csv", "--table", "child")
    found = take(there, child, status=1)
    ((place, why),) = found["parked"]
    assert place == "child.csv record 1" and "parent" in why
    take(there, write(here, tmp_path / "parent.xml", "xml", "--table", "parent"))
    assert_equal_sites(here.url, there.url)


def test_only_what_was_written_in_a_time_is_exported(home, tmp_path):
    home.family.add_parent("old")
    home.publish()
    since = json.loads(write(home, tmp_path / "a.json", "json").read_text().splitlines()[0])["exported"]
    for option, expected in (("--until", {"old"}), ("--since", set())):
        path = write(home, tmp_path / f"x{option}.json", "json", option, since)
        assert {json.loads(line).get("uuid") for line in path.read_text().splitlines()} - {None} == expected


REFUSED = {
    "no table": ('{"table":"nothing","uuid":"x","fields":{}}', "record 1", "not synced"),
    "no uuid": ('{"table":"parent","fields":{}}', "record 1", "uuid"),
    "no JSON": ('{"table":', "record 1", "Expecting"),
    "another form": ('{"table":["parent"],"uuid":"x","fields":{}}', "record 1", "not of the form"),
    "no value": ('{"table":"parent","uuid":"x","fields":{"note":[1]}}', "record 1", "not a value"),
    "no time": ('{"table":"parent","uuid":"x","stamp":"noon","fields":{}}', "record 1", "noon"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_record_is_refused_with_its_number_and_the_rest_is_taken(home, tmp_path, name):
    line, place, why = REFUSED[name]
    path = tmp_path / "rows.json"
    path.write_text(f'{line}\n{{"table":"parent","uuid":"good","fields":{{"note":"n"}}}}\n')
    found = take(home, path, status=1)
    ((where, said),) = found["refused"]
    assert where == f"{place} (line 1)" and why in said
    assert home.family.shown("parent") == {"good": "n"}


def test_file_with_a_document_type_is_refused_before_anything_is_read(home, tmp_path):
    path = tmp_path / "rows.xml"
    path.write_text('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><changecapture version="1"/>')
    done = run_command("import", home.url, str(path))
    assert done.status == 2 and "document type" in done.err


def test_file_that_was_cut_short_says_so_and_what_is_there_is_taken(home, tmp_path):
    home.family.add_parent("p")
    for form in ("xml", "json"):
        path = write(home, tmp_path / f"rows.{form}", form)
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[:-1]))
        assert len(take(home, path, status=1)["refused"]) == 1


def test_export_that_fails_leaves_no_file(home, tmp_path):
    done = run_command("export", home.url, str(tmp_path / "none" / "x.json"), "--format", "json")
    assert done.status == 2 and "cannot write" in done.err
    assert list(tmp_path.iterdir()) == []


def test_unknown_module_is_refused_with_those_that_there_are(home, tmp_path):
    done = run_command("export", home.url, str(tmp_path / "x"), "--format", "json", "--module", "none")
    assert done.status == 2 and "there is no module none" in done.err
