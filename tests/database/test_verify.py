"""``changecapture verify``: differing rows are found, explained and shipped."""

import json

from tests.support.commands import run_command
from tests.support.compare import assert_equal_sites
from tests.support.sites import exchange


def verify(left, right, *options, status):
    done = run_command("verify", left.url, right.url, "--json", *options)
    assert (done.status, done.err) == (status, ""), done
    return json.loads(done.out)


def unseen(site, statement):
    """Write without capture, as a restored table or a disabled trigger would."""
    mark = (
        "SET changecapture.applying = 'on'"
        if site.dialect == "postgresql"
        else "SET @changecapture_applying = 1"
    )
    site.run(f"{mark}; {statement};")


def test_sites_in_step_are_equal_whatever_their_engines(pair):
    here, there = pair
    person = here.eden.add_person("Nadia", "Karimi")
    here.eden.add_contact(person, "1")
    here.eden.add_location("Camp", lat=33.51234567, lon=36.3)
    here.eden.soft_delete(here.eden.add_person("Gone", "Soon"))
    exchange(here, there)
    found = verify(here, there, status=0)
    assert found["differences"] == [] and found["rows"] > 4


def test_row_that_was_not_exchanged_is_found_and_shipped_by_repair_alone(families):
    here, there = families
    for number in range(30):
        here.family.add_parent(f"p{number}")
    exchange(here, there)
    here.family.note("parent", "p7", "new")
    there.family.add_parent("only there")
    found = verify(here, there, status=1)
    assert {d["key"]: d["columns"] for d in found["differences"]} == {
        "p7": {"note": ["new", None]},
        "only there": {},
    }
    assert not found["in_step"] and found["bytes"] < 4096
    repaired = verify(here, there, "--repair", status=0)
    assert (repaired["repaired"], repaired["differences"]) == (2, [])
    assert_equal_sites(here.url, there.url)
    exchange(here, there)
    assert_equal_sites(here.url, there.url)
    assert here.conflicts() == there.conflicts() == set()


def test_row_that_was_written_unseen_is_found_explained_and_left_alone(families):
    here, there = families
    here.family.add_parent("p", "one")
    exchange(here, there)
    unseen(there, "UPDATE parent SET note = 'unseen'")
    for options in ((), ("--repair",)):
        (difference,) = verify(here, there, *options, status=1)["differences"]
        assert difference["columns"] == {"note": [None, "unseen"]}
        assert difference["left"] == "shown" and "reconcile" in difference["right"]
    assert there.family.shown("parent") == {"p": "unseen"}


def test_row_that_is_parked_at_one_site_is_told_as_that(families):
    here, there = families
    here.family.add_parent("mine", "one name")
    there.family.add_parent("yours", "one name")
    exchange(here, there)
    found = verify(here, there, status=1)
    reasons = {d["key"]: (d["left"], d["right"]) for d in found["differences"]}
    assert reasons["mine"][0] == "shown" and reasons["mine"][1].startswith("parked: unique")
    assert reasons["yours"][1] == "shown" and reasons["yours"][0].startswith("parked: unique")
