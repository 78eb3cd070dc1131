"""``changecapture conflicts`` and ``parked``: what needs a person is shown, and what he
decides wins everywhere."""

import json
import re

import pytest

from tests.support.commands import run_command
from tests.support.sites import assert_in_step, exchange


@pytest.fixture
def disputed(families):
    """Two sites that wrote one note; the second wrote later."""
    here, there = families
    here.family.add_parent("p")
    exchange(here, there)
    here.family.note("parent", "p", "here")
    here.publish()
    there.family.note("parent", "p", "there")
    exchange(here, there)
    return here, there


def conflicts_of(site):
    done = run_command("conflicts", "list", site.url, "--json")
    assert (done.status, done.err) == (0, "")
    return json.loads(done.out)


def test_lost_value_is_listed_with_both_values(disputed):
    here, _ = disputed
    (conflict,) = conflicts_of(here)
    assert (conflict["table"], conflict["key"], conflict["column"]) == ("parent", "p", "note")
    assert (conflict["kept_value"], conflict["lost_value"]) == ('"there"', '"here"')
    done = run_command("conflicts", "show", str(conflict["id"]), here.url)
    assert done.status == 0
    assert here.origin in done.out
    assert '"here"' in run_command("conflicts", "list", here.url).out


@pytest.mark.parametrize(
    ("choice", "note"), [(["--take"], "here"), (["--value", '"both"'], "both"), (["--keep"], "there")]
)
def test_resolution_wins_at_every_site_and_is_no_conflict(disputed, choice, note):
    here, there = disputed
    (conflict,) = conflicts_of(there)
    done = run_command("conflicts", "resolve", str(conflict["id"]), there.url, *choice)
    assert (done.status, done.out, done.err) == (0, "resolved\n", "")
    exchange(here, there)
    assert here.family.shown("parent") == there.family.shown("parent") == {"p": note}
    assert conflicts_of(there) == conflicts_of(here) == []
    assert len(json.loads(run_command("conflicts", "list", here.url, "--all", "--json").out)) == 1
    assert_in_step(here, there)


def lose_to_a_delete(here, there):
    """Edit a row that the other site deletes a moment later; return the conflict about whether it exists."""
    here.family.add_parent("p", "Anna")
    exchange(here, there)
    here.family.note("parent", "p", "lost")
    here.publish()
    there.family.delete("parent", "p")
    exchange(here, there)
    (conflict,) = [c for c in conflicts_of(here) if c["column"] == "@alive"]
    return conflict


def test_row_that_a_delete_took_is_brought_back_by_a_resolution(families):
    here, there = families
    conflict = lose_to_a_delete(here, there)
    assert run_command("conflicts", "resolve", str(conflict["id"]), here.url, "--take").status == 0
    exchange(here, there)
    assert here.family.shown("parent") == there.family.shown("parent") == {"p": "lost"}
    assert_in_step(here, there)


@pytest.mark.parametrize("value", ["1", "null"])
def test_decision_that_a_row_exists_in_a_word_that_peers_refuse_is_refused(families, value):
    """They refuse the batch that it is in, and with it all that this site says afterwards."""
    here, there = families
    conflict = lose_to_a_delete(here, there)
    done = run_command("conflicts", "resolve", str(conflict["id"]), here.url, "--value", value)
    assert (done.status, "write true or false" in done.err) == (2, True)
    done = run_command("conflicts", "resolve", str(conflict["id"]), here.url, "--value", "true")
    assert done.status == 0
    exchange(here, there)
    assert there.family.shown("parent") == {"p": "lost"}


def test_resolution_without_a_choice_or_of_a_resolved_conflict_is_refused(disputed):
    here, _ = disputed
    number = str(conflicts_of(here)[0]["id"])
    for arguments in (
        [number],
        [number, "--keep", "--value", "1"],
        [number, "--value", "text"],
        [number, "--value", "1"],
        [number, "--value", "[" * 9999],
        ["999", "--keep"],
    ):
        done = run_command("conflicts", "resolve", *arguments[:1], here.url, *arguments[1:])
        assert (done.status, done.err.count("\n")) == (2, 1)
    assert run_command("conflicts", "resolve", number, here.url, "--keep").status == 0
    assert run_command("conflicts", "resolve", number, here.url, "--keep").status == 2


def test_parked_row_is_listed_shown_and_tried_again(families):
    here, there = families
    here.family.add_parent("a", "Nurse")
    there.family.add_parent("b", "Nurse")
    exchange(here, there)
    (parked,) = json.loads(run_command("parked", "list", here.url, "--json").out)
    assert (parked["table"], parked["key"], parked["reason"]) == ("parent", "b", "unique")
    assert "unique" in run_command("parked", "list", here.url).out
    assert 'name = "Nurse"' in run_command("parked", "show", "parent", "b", here.url).out
    assert run_command("parked", "show", "parent", "x", here.url).status == 2
    assert run_command("parked", "retry", here.url).status == 1
    here.family("UPDATE parent SET name = 'Head nurse' WHERE uuid = 'a'")
    done = run_command("parked", "retry", here.url)
    assert (done.status, done.out) == (0, "0 rows parked\n")
    assert run_command("parked", "list", here.url).out == "no parked rows\n"


def test_edit_by_someone_who_had_both_values_settles_the_conflict_everywhere(disputed):
    """The application's own edit, at the site that has not the last word."""
    here, there = disputed
    here.family.note("parent", "p", "neither")
    exchange(here, there)
    assert conflicts_of(there) == conflicts_of(here) == []


def test_edit_of_another_column_or_by_someone_who_had_one_value_settles_nothing(disputed, new_site):
    here, there = disputed
    third = new_site("postgresql", "family")
    here.family("UPDATE parent SET name = 'Ana' WHERE uuid = 'p'")
    exchange(here, there)
    (conflict,) = conflicts_of(here)
    assert len(conflicts_of(there)) == 1
    third.family.add_parent("p")
    third.family.note("parent", "p", "third")
    exchange(third, there)
    exchange(here, there)
    assert conflict["id"] in [still["id"] for still in conflicts_of(here)]


def test_what_is_offered_for_a_parked_row_can_be_typed_and_shows_it(families):
    here, there = families
    here.family.add_parent("a", "Nurse")
    there.family.add_parent("b", "Nurse")
    exchange(here, there)
    (parked,) = json.loads(run_command("parked", "list", here.url, "--json").out)
    advice = parked["advice"]
    offered = re.search(r"changecapture (parked join [^;]*);", advice)
    assert offered is not None, advice
    assert f"\n  {advice}\n" in run_command("parked", "list", here.url).out
    assert run_command(*offered[1].split(), here.url).status == 0
    assert run_command("parked", "list", here.url).out == "no parked rows\n"
