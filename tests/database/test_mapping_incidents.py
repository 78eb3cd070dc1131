"""Incidents of Vesuvius are events in an Eden that has the module event; another Eden passes them on."""

from contextlib import closing
from datetime import datetime

import pytest

from tests.support.databases import run_script
from tests.support.sites import Site

from .test_mapping import rest

EVENTS = """
CREATE TABLE event_event (
    id {serial} PRIMARY KEY, uuid varchar(128) NOT NULL UNIQUE, name varchar(64), exercise char(1),
    start_date {datetime}, end_date {datetime}, closed char(1), comments text, deleted char(1)
)
"""
"""As Eden makes it, without what refers to other tables of the module."""
TYPES = {
    "postgresql": {"serial": "serial", "datetime": "timestamp"},
    "mysql": {"serial": "integer AUTO_INCREMENT", "datetime": "datetime"},
}
EVENT = "SELECT name, start_date, closed, exercise, comments FROM event_event WHERE deleted = 'F'"
INCIDENT = (
    "SELECT name, CAST(date AS char), closed, description, type, latitude FROM incident "
    "WHERE shortname = 'quake'"
)


@pytest.fixture
def eden(new_database, server):
    url = new_database(server, "eden", ("pr_person",))
    run_script(url, EVENTS.format(**TYPES["postgresql" if url.startswith("postgresql") else "mysql"]))
    with closing(Site(url)) as site:
        yield site


def test_an_incident_is_an_event_in_eden_and_what_eden_has_no_column_for_stays(new_site, eden):
    php, between, other = (
        new_site("mariadb", "vesuvius"),
        new_site("postgresql"),
        new_site("mariadb", "vesuvius"),
    )
    php.run(
        "INSERT INTO incident (incident_id, name, shortname, date, type, latitude, description) VALUES "
        "(7, 'Quake', 'quake', '2026-11-20', 'EARTHQUAKE', 6.93, 'in the hills')"
    )
    other.run("INSERT INTO incident (incident_id, name, shortname) VALUES (7, 'Fire', 'fire')")
    rest(php, between, eden, other)
    began = datetime(2026, 11, 20)
    assert ("Quake", began, "F", "F", "in the hills") in eden.fetch(EVENT) and len(eden.fetch(EVENT)) == 2
    assert other.fetch(INCIDENT) == [("Quake", "2026-11-20", 0, "in the hills", "EARTHQUAKE", 6.93)]
    eden.run(
        "UPDATE event_event SET closed = 'T', start_date = '2026-11-20 09:30:00' WHERE name = 'Quake';"
        "INSERT INTO event_event (uuid, name, deleted) VALUES ('urn:uuid:e', 'A drill', 'F')"
    )
    other.run("UPDATE incident SET name = 'Great Quake' WHERE shortname = 'quake'")
    rest(php, between, eden, other)
    for one in (php, other):
        assert one.fetch(INCIDENT) == [("Great Quake", "2026-11-20", 1, "in the hills", "EARTHQUAKE", 6.93)]
        assert one.fetch("SELECT shortname FROM incident ORDER BY 1") == [("fire",), ("quake",)]
    great = ("Great Quake", datetime(2026, 11, 20, 9, 30), "T", "F", "in the hills")
    assert great in eden.fetch(EVENT)
    assert all(each.parked() == {} for each in (php, eden, other))
