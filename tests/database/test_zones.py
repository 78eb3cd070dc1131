"""Applications that write the time of their site: their datetimes travel as UTC."""

from datetime import datetime

import pytest

from changecapture.config import parse_url
from changecapture.errors import ConfigError
from changecapture.install import check
from tests.support.sites import exchange, send

SCRIPTS = {
    "mariadb": "CREATE TABLE note (code varchar(20) PRIMARY KEY, seen datetime, born date) ENGINE=InnoDB",
    "postgresql": "CREATE TABLE note (code varchar(20) PRIMARY KEY, seen timestamp, born date)",
}
SECOND_HALF_PAST_TWO = datetime(2024, 10, 27, 1, 30)


@pytest.fixture
def new_clock(new_tables, tmp_path):
    """Make a site whose application writes by the clocks of a zone."""

    def make(kind, zone, more="", scripts=SCRIPTS):
        profile = tmp_path / f"{zone.replace('/', '-')}.toml"
        profile.write_text(f'extends = "generic"\ntime_zone = "{zone}"\n{more}')
        return new_tables(kind, scripts[kind], str(profile))

    return make


def seen(site, code):
    found = site.family.rows("SELECT seen FROM note WHERE code = %s", code)
    return found[0][0] if found else None


def test_times_are_shown_by_the_clocks_of_each_site(new_clock):
    colombo, berlin = new_clock("mariadb", "Asia/Colombo"), new_clock("mariadb", "Europe/Berlin")
    eden = new_clock("postgresql", "UTC")
    colombo.family("INSERT INTO note VALUES ('a', '2024-07-01 12:00:00', '2000-01-01')")
    exchange(colombo, berlin)
    exchange(berlin, eden)
    assert berlin.fetch("SELECT detail FROM {p}parked") == []
    assert seen(berlin, "a") == datetime(2024, 7, 1, 8, 30)
    assert seen(eden, "a") == datetime(2024, 7, 1, 6, 30)
    assert eden.family.rows("SELECT born FROM note") == colombo.family.rows("SELECT born FROM note")
    eden.family("UPDATE note SET seen = seen + interval '1 hour'")
    exchange(berlin, eden)
    exchange(colombo, berlin)
    assert seen(colombo, "a") == datetime(2024, 7, 1, 13, 0)
    for site in (colombo, berlin, eden):
        assert site.publish() == 0


def test_time_that_the_clocks_skipped_comes_back_as_it_was(new_clock):
    berlin, eden = new_clock("mariadb", "Europe/Berlin"), new_clock("postgresql", "UTC")
    vienna_alike = new_clock("mariadb", "Europe/Berlin")
    berlin.family("INSERT INTO note (code, seen) VALUES ('never', '2024-03-31 02:30:00')")
    send(berlin, eden)
    send(eden, vienna_alike)
    assert seen(vienna_alike, "never") == datetime(2024, 3, 31, 2, 30)
    assert list(eden.parked().values()) == ["value"]
    assert "skipped" in eden.fetch("SELECT detail FROM {p}parked")[0][0]


def test_hour_that_the_clocks_showed_twice_is_not_moved(new_clock):
    berlin, eden = new_clock("mariadb", "Europe/Berlin"), new_clock("postgresql", "UTC")
    eden.family("INSERT INTO note (code, seen) VALUES ('second', %s)", SECOND_HALF_PAST_TWO)
    berlin.family("INSERT INTO note (code, seen) VALUES ('first', '2024-10-27 02:30:00')")
    exchange(berlin, eden)
    assert seen(eden, "first") == datetime(2024, 10, 27, 0, 30)
    assert [row.key for row in berlin.parked()] == ["second"]


def test_quiet_column_shows_the_hour_that_came_twice(new_clock):
    more = '[[column]]\ncolumns = ["note.seen"]\nquiet = true\nwhy = "a timestamp"\n'
    berlin, eden = new_clock("mariadb", "Europe/Berlin", more), new_clock("postgresql", "UTC")
    eden.family("INSERT INTO note (code, seen) VALUES ('second', %s)", SECOND_HALF_PAST_TWO)
    exchange(berlin, eden)
    assert seen(berlin, "second") == datetime(2024, 10, 27, 2, 30)
    assert berlin.fetch("SELECT detail FROM {p}parked") == []


def test_column_may_have_a_zone_of_its_own(new_clock):
    more = '[[column]]\ncolumns = ["note.seen"]\ntime_zone = "UTC"\nwhy = "PFIF says so"\n'
    berlin, eden = new_clock("mariadb", "Europe/Berlin", more), new_clock("postgresql", "UTC")
    berlin.family("INSERT INTO note (code, seen) VALUES ('a', '2024-07-01 12:00:00')")
    exchange(berlin, eden)
    assert seen(eden, "a") == datetime(2024, 7, 1, 12, 0)


def test_time_in_a_key_is_named_in_utc(new_clock):
    keyed = {
        "mariadb": "CREATE TABLE note (code varchar(20), seen datetime, n int, PRIMARY KEY (code, seen))",
        "postgresql": "CREATE TABLE note (code varchar(20), seen timestamp, n int, PRIMARY KEY (code, seen))",
    }
    colombo = new_clock("mariadb", "Asia/Colombo", scripts=keyed)
    eden = new_clock("postgresql", "UTC", scripts=keyed)
    colombo.family("INSERT INTO note VALUES ('a', '2024-07-01 12:00:00', 1)")
    exchange(colombo, eden)
    assert seen(eden, "a") == datetime(2024, 7, 1, 6, 30)
    eden.family("UPDATE note SET n = 2")
    exchange(colombo, eden)
    assert colombo.family.rows("SELECT seen, n FROM note") == [(datetime(2024, 7, 1, 12, 0), 2)]
    colombo.family("DELETE FROM note")
    exchange(colombo, eden)
    assert eden.family.rows("SELECT n FROM note") == []


def test_older_row_from_before_does_not_beat_the_newer_whose_clock_shows_less(new_tables, tmp_path):
    """08:10 in Berlin is later than 11:30 in Colombo, whatever the clocks show."""
    sites = []
    for zone, modified in (("Asia/Colombo", "2024-07-01 11:30:00"), ("Europe/Berlin", "2024-07-01 08:10:00")):
        profile = tmp_path / f"{zone.replace('/', '-')}.toml"
        profile.write_text(f'extends = "generic"\nmodified = "changed_on"\ntime_zone = "{zone}"\n')
        script = (
            "CREATE TABLE note (code varchar(20) PRIMARY KEY, text varchar(20), changed_on datetime); "
            f"INSERT INTO note VALUES ('a', '{zone}', '{modified}')"
        )
        sites.append(new_tables("mariadb", script, str(profile)))
    exchange(*sites)
    for site in sites:
        assert site.family.rows("SELECT text FROM note") == [("Europe/Berlin",)]


def test_zone_that_there_is_none_of_is_refused_before_anything_is_changed(new_database, mariadb, tmp_path):
    profile = tmp_path / "wrong.toml"
    profile.write_text('extends = "generic"\ntime_zone = "Europe/Atlantis"\n')
    with pytest.raises(ConfigError, match="Atlantis"):
        check(parse_url(new_database(mariadb)), str(profile))
