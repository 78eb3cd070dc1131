"""The plans of the PHP applications, from their catalogues alone."""

import pytest

from changecapture.core.rank import rank
from changecapture.core.table import SyncedTable
from changecapture.plan import definitions, plan
from changecapture.profiles import load_profile, recognise
from tests.support.catalogues import load_catalogue
from tests.support.golden import assert_golden

NAMES = ("vesuvius", "sahana2")


def synced(name: str) -> dict[str, SyncedTable]:
    decisions = plan(load_catalogue(f"{name}-mysql"), load_profile(name))
    return {table.name: table for table in definitions(decisions)}


@pytest.mark.parametrize("name", NAMES)
def test_the_application_is_recognised(name: str) -> None:
    assert recognise(load_catalogue(f"{name}-mysql")).name == name


@pytest.mark.parametrize("name", NAMES)
def test_decisions_are_the_golden_ones(name: str) -> None:
    decisions = plan(load_catalogue(f"{name}-mysql"), load_profile(name))
    lines = [f"{'in ' if d.synced else 'out'} {d.module}.{d.table}: {d.reason}\n" for d in decisions]
    assert_golden(f"{name}-plan.txt", "".join(lines))


@pytest.mark.parametrize("name", NAMES)
def test_every_table_is_known_to_a_rule(name: str) -> None:
    profile = load_profile(name)
    assert [t for t in load_catalogue(f"{name}-mysql").tables if profile.table_rule(t) is None] == []


@pytest.mark.parametrize("name", NAMES)
def test_definitions_survive_json_and_can_be_ordered(name: str) -> None:
    tables = synced(name)
    assert rank(tables.values()).keys() == tables.keys()
    for table in tables.values():
        assert SyncedTable.from_json(table.to_json()) == table


def test_what_vesuvius_knows_of_a_person_is_named_by_the_person() -> None:
    tables = synced("vesuvius")
    for name in ("person_details", "person_status", "person_physical", "person_deceased"):
        identity = tables[name].identity
        assert (identity.kind, identity.columns[0].name) == ("natural", "p_uuid")
        assert identity.columns[0].reference and identity.columns[0].reference.by_key


def test_incidents_and_hospitals_travel_by_their_short_names() -> None:
    tables = synced("vesuvius")
    assert tables["incident"].identity.columns[0].name == "shortname"
    assert tables["hospital"].identity.missing == ("", "shortname")
    person = {column.name: column.reference for column in tables["person_uuid"].columns}
    for name in ("incident_id", "hospital_uuid"):
        reference = person[name]
        assert reference and not reference.by_key
