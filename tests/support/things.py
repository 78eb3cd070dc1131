"""An application whose rows are more than rows: persons and units that are one thing with their entity,
places that stand in a tree and lie where one edit put them, contacts that cannot be without an entity.
Archived by a flag, as a rule; now and then deleted for good."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from tests.support.acts import Acts
from tests.support.family import Family

TABLES = """
CREATE TABLE entity (
    pe_id {serial} PRIMARY KEY,
    uuid varchar(64),
    instance_type varchar(64) NOT NULL,
    note varchar(255),
    deleted char(1)
){engine};
CREATE TABLE person (
    id {serial} PRIMARY KEY,
    uuid varchar(64) NOT NULL UNIQUE,
    pe_id integer,
    note varchar(255),
    deleted char(1),
    FOREIGN KEY (pe_id) REFERENCES entity (pe_id) ON DELETE SET NULL
){engine};
CREATE TABLE unit (
    id {serial} PRIMARY KEY,
    uuid varchar(64) NOT NULL UNIQUE,
    pe_id integer NOT NULL,
    note varchar(255),
    deleted char(1),
    FOREIGN KEY (pe_id) REFERENCES entity (pe_id) ON DELETE CASCADE
){engine};
CREATE TABLE contact (
    id {serial} PRIMARY KEY,
    uuid varchar(64) NOT NULL UNIQUE,
    pe_id integer NOT NULL,
    note varchar(255),
    FOREIGN KEY (pe_id) REFERENCES entity (pe_id) ON DELETE CASCADE
){engine};
CREATE TABLE place (
    id {serial} PRIMARY KEY,
    uuid varchar(64) NOT NULL UNIQUE,
    note varchar(255),
    lat integer,
    lon integer,
    parent integer,
    deleted char(1),
    FOREIGN KEY (parent) REFERENCES place (id) ON DELETE SET NULL
){engine}
"""
PROFILE = """
extends = "generic"
title = "Things, trees and groups"

[identity]
columns = ["uuid"]
unique = false

[deleted]
column = "deleted"
deleted = "T"
live = "F"

[[one_thing]]
table = "entity"
key = "pe_id"
type = "instance_type"
instances = ["person", "unit"]

[[group]]
table = "place"
columns = ["lat", "lon"]
why = "a place: the latitude of one edit with the longitude of another is nowhere"

[[tree]]
column = "place.parent"
"""


class Choice(NamedTuple):
    """What an act is about."""

    kind: str
    """person or unit"""
    thing: str
    place: str
    other: str
    column: str
    """lat or lon"""
    number: int


class Things(Acts):
    """The acts of the application."""

    def _key(self, it: Choice) -> str:
        return f"{it.kind} {it.thing}"

    def _find(self, table: str, column: str, key: str) -> Any:
        """Return the number of a row that the application offers, None when it has none."""
        live = "" if table == "contact" else "AND deleted = 'F'"
        found = self.run.rows(f"SELECT {column} FROM {table} WHERE uuid = %s {live}", key)
        return found[0][0] if found else None

    # Persons and units
    def write_thing(self, it: Choice) -> None:
        """Edit it, or make it: its entity first, where there is none."""
        key, text = self._key(it), str(it.number)
        if not self.run(f"UPDATE {it.kind} SET note = %s WHERE uuid = %s", text, key):
            if not self.run.rows(f"SELECT 1 FROM {it.kind} WHERE uuid = %s", key):
                self.write_entity(it)
                ((entity,),) = self.run.rows("SELECT pe_id FROM entity WHERE uuid = %s", key)
                made = f"INSERT INTO {it.kind} (uuid, pe_id, note, deleted) VALUES (%s, %s, %s, 'F')"
                self.run(made, key, entity, text)

    def write_entity(self, it: Choice) -> None:
        """Edit what it has in common with others, archived or not; or make that, for what comes later."""
        key, text = self._key(it), str(it.number)
        if not self.run("UPDATE entity SET note = %s WHERE uuid = %s", text, key):
            if not self.run.rows("SELECT 1 FROM entity WHERE uuid = %s", key):
                made = "INSERT INTO entity (uuid, instance_type, note, deleted) VALUES (%s, %s, %s, 'F')"
                self.run(made, key, it.kind, text)

    def archive_thing(self, it: Choice) -> None:
        """Both of its rows, as Eden does."""
        self.archive_instance(it)
        self.archive_entity(it)

    def archive_instance(self, it: Choice) -> None:
        """One of them."""
        self.run(f"UPDATE {it.kind} SET deleted = 'T' WHERE uuid = %s", self._key(it))

    def archive_entity(self, it: Choice) -> None:
        """The other."""
        self.run("UPDATE entity SET deleted = 'T' WHERE uuid = %s", self._key(it))

    def revive_thing(self, it: Choice) -> None:
        """Both of its rows."""
        for table in (it.kind, "entity"):
            self.run(f"UPDATE {table} SET deleted = 'F' WHERE uuid = %s", self._key(it))

    def delete_thing(self, it: Choice) -> None:
        """For good; the database takes along what hangs on it."""
        self.run(f"DELETE FROM {it.kind} WHERE uuid = %s", self._key(it))
        self.run("DELETE FROM entity WHERE uuid = %s", self._key(it))

    def delete_instance(self, it: Choice) -> None:
        """What it was stays, for good or for another."""
        self.run(f"DELETE FROM {it.kind} WHERE uuid = %s", self._key(it))

    def delete_entity(self, it: Choice) -> None:
        """A person stays without it, a unit goes with it."""
        self.run("DELETE FROM entity WHERE uuid = %s", self._key(it))

    def write_contact(self, it: Choice) -> None:
        """What hangs on an entity."""
        key, text = f"contact of {self._key(it)}", str(it.number)
        if not self.run("UPDATE contact SET note = %s WHERE uuid = %s", text, key):
            entity = self._find("entity", "pe_id", self._key(it))
            if entity is not None and not self.run.rows("SELECT 1 FROM contact WHERE uuid = %s", key):
                self.run("INSERT INTO contact (uuid, pe_id, note) VALUES (%s, %s, %s)", key, entity, text)

    # Places
    def write_place(self, it: Choice) -> None:
        """Put it somewhere, or make it below another."""
        if not self.run.rows("SELECT 1 FROM place WHERE uuid = %s", it.place):
            parent = self._find("place", "id", it.other)
            made = "INSERT INTO place (uuid, lat, lon, parent, deleted) VALUES (%s, %s, %s, %s, 'F')"
            self.run(made, it.place, it.number, it.number, parent)
        else:
            sets = "UPDATE place SET lat = %s, lon = %s WHERE uuid = %s"
            self.run(sets, it.number, it.number, it.place)

    def shift_place(self, it: Choice) -> None:
        """One of the two numbers; what the other is was seen."""
        self.run(f"UPDATE place SET {it.column} = %s WHERE uuid = %s", it.number, it.place)

    def note_place(self, it: Choice) -> None:
        """Something beside them."""
        self.run("UPDATE place SET note = %s WHERE uuid = %s", str(it.number), it.place)

    def move_place(self, it: Choice) -> None:
        """Below another that is not below it; what is archived is not offered."""
        edges = dict(read_edges(self.run))
        if it.place not in climb(edges, it.other) and self._find("place", "id", it.place) is not None:
            parent = self._find("place", "id", it.other)
            self.run("UPDATE place SET parent = %s WHERE uuid = %s", parent, it.place)

    def archive_place(self, it: Choice) -> None:
        """What archiving empties is no change."""
        self.run("UPDATE place SET deleted = 'T', parent = NULL WHERE uuid = %s", it.place)

    def revive_place(self, it: Choice) -> None:
        """Bring it back."""
        self.run("UPDATE place SET deleted = 'F' WHERE uuid = %s", it.place)

    def delete_place(self, it: Choice) -> None:
        """For good."""
        self.run("DELETE FROM place WHERE uuid = %s", it.place)


ACTS = tuple(name for name in vars(Things) if not name.startswith("_") and name != "act")


def read_edges(run: Family) -> list[tuple[str, str]]:
    """Return (place, the place above it) of all that have one."""
    return run.rows("SELECT p.uuid, q.uuid FROM place p JOIN place q ON q.id = p.parent")


def climb(edges: dict[str, str], key: str) -> Iterable[str]:
    """Return a place and all above it, up to the first that comes twice."""
    path: dict[str, None] = {}
    while key not in path:
        path[key] = None
        if key not in edges:
            break
        key = edges[key]
    return path


def read_where(run: Family) -> set[tuple[str, int, int]]:
    """Return (place, latitude, longitude) of all places."""
    return set(run.rows("SELECT uuid, lat, lon FROM place"))
