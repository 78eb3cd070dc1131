"""Columns that belong together are won by one edit; a whole row as well, where the profile asks for it."""

import pytest

from changecapture.publish.home import LARGEST_ROW
from tests.database.conftest import DIRECTIONS
from tests.support.commands import run_command
from tests.support.sites import assert_in_step, exchange

PLACE = (
    "CREATE TABLE place (id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, "
    "name varchar(40), lat integer, lon integer){engine}"
)


@pytest.fixture
def places(request, new_tables, tmp_path):
    """Two sites with one place at 1, 1; the test says which columns belong together."""
    profile = tmp_path / "places.toml"
    columns = ", ".join(f'"{name}"' for name in request.param)
    profile.write_text(
        'extends = "generic"\n[[group]]\ntable = "place"\n'
        f'columns = [{columns}]\nwhy = "a place is one thing"\n'
    )
    made = []
    for kind in DIRECTIONS[1]:
        serial, engine = (
            ("serial", "") if kind == "postgresql" else ("integer AUTO_INCREMENT", " ENGINE=InnoDB")
        )
        made.append(new_tables(kind, PLACE.format(serial=serial, engine=engine), str(profile)))
    made[0].family("INSERT INTO place (uuid, name, lat, lon) VALUES ('p', 'Camp', 1, 1)")
    exchange(*made)
    return made


def edit(site, sets):
    site.family(f"UPDATE place SET {sets} WHERE uuid = 'p'")
    site.publish()


def shown(site):
    return site.family.rows("SELECT name, lat, lon FROM place")


@pytest.mark.parametrize("places", [("LAT", "lon")], indirect=True)
def test_group_is_won_by_one_edit_as_a_whole_and_other_columns_on_their_own(places):
    here, there = places
    edit(here, "lat = 2, name = 'Here'")
    edit(there, "lon = 3")
    exchange(here, there)
    assert shown(here) == shown(there) == [("Here", 1, 3)]
    assert ("place", "p", "lat", "1", "2") in here.conflicts() & there.conflicts()
    assert_in_step(here, there)


@pytest.mark.parametrize("places", [("lat", "lon")], indirect=True)
def test_decision_about_one_column_of_a_group_decides_about_the_group(places):
    here, there = places
    edit(here, "lat = 2, lon = 2")
    edit(there, "lat = 3, lon = 3")
    exchange(here, there)
    decide(here, "--take")
    exchange(here, there)
    assert shown(here) == shown(there) == [("Camp", 2, 2)]
    edit(here, "lat = 5, lon = 5")
    edit(there, "lat = 6, lon = 6")
    exchange(here, there)
    decide(here, "--value", "4")
    exchange(here, there)
    assert shown(here) == shown(there) == [("Camp", 4, 6)]
    assert here.fetch("SELECT count(*) FROM {p}conflict WHERE resolved_at IS NULL") == [(0,)]


def decide(site, *choice):
    """Decide the open conflict of lat."""
    where = "column_name = 'lat' AND resolved_at IS NULL"
    ((number,),) = site.fetch(f"SELECT id FROM {{p}}conflict WHERE {where}")
    assert run_command("conflicts", "resolve", str(number), site.url, *choice).status == 0


@pytest.mark.parametrize("places", [("*",)], indirect=True)
def test_row_that_is_merged_whole_is_that_of_the_latest_edit(places):
    here, there = places
    edit(here, "name = 'Here'")
    edit(there, "lon = 3")
    exchange(here, there)
    assert shown(here) == shown(there) == [("Camp", 1, 3)]
    assert ("place", "p", "name", '"Camp"', '"Here"') in there.conflicts()
    assert "all its columns belong together" in run_command("plan", here.url, "--notes").out


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_row_that_its_group_makes_too_large_to_travel_stays_at_home(kind, new_tables, tmp_path):
    profile = tmp_path / "notes.toml"
    profile.write_text(
        'extends = "generic"\n[[group]]\ntable = "note"\ncolumns = ["a", "b"]\nwhy = "one text"\n'
    )
    text = "text" if kind == "postgresql" else "longtext"
    here = new_tables(
        kind, f"CREATE TABLE note (code varchar(20) PRIMARY KEY, a {text}, b {text})", str(profile)
    )
    half = LARGEST_ROW // 2 + 1
    here.family(f"INSERT INTO note VALUES ('n', repeat('a', {half}), 'b')")
    here.publish()
    here.family(f"UPDATE note SET b = repeat('b', {half})")
    here.publish()
    assert here.fetch("SELECT row_key, reason FROM {p}parked") == [("n", "large")]
    assert here.fetch("SELECT count(*) FROM {p}changelog") == [(1,)]
