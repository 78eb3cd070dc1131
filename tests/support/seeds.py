"""An application whose sites are seeded with the same lookup rows under other uuids: with and without a
unique index, with rows below them, links whose keys are made of them, a deleted flag, a table at home."""

from pathlib import Path
from typing import Any

from tests.support.family import spell
from tests.support.sites import AnySite

PROFILE = str(Path(__file__).with_suffix(".toml"))

TABLES = """
CREATE TABLE skill (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, name varchar(40) UNIQUE, note varchar(40)
){engine};
CREATE TABLE grade (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, name varchar(40), note varchar(40),
    skill_id integer NOT NULL, UNIQUE (skill_id, name),
    FOREIGN KEY (skill_id) REFERENCES skill (id) ON DELETE CASCADE
){engine};
CREATE TABLE sector (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, name varchar(40), note varchar(40),
    deleted char(1)
){engine};
CREATE TABLE person (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, name varchar(40) UNIQUE, note varchar(40),
    skill_id integer,
    FOREIGN KEY (skill_id) REFERENCES skill (id) ON DELETE SET NULL
){engine};
CREATE TABLE work (
    person_id integer NOT NULL, sector_id integer NOT NULL, note varchar(40),
    PRIMARY KEY (person_id, sector_id),
    FOREIGN KEY (person_id) REFERENCES person (id) ON DELETE CASCADE,
    FOREIGN KEY (sector_id) REFERENCES sector (id) ON DELETE CASCADE
){engine};
CREATE TABLE badge (
    id {serial} PRIMARY KEY, person_id integer,
    FOREIGN KEY (person_id) REFERENCES person (id) ON DELETE CASCADE
){engine}
"""


def script(kind: str) -> str:
    """Return what creates the tables on "postgresql", "mariadb" or "memory"."""
    return spell(TABLES, kind)


class Seeds:
    """What the application writes and shows at a site."""

    def __init__(self, site: AnySite) -> None:
        self.site = site
        self.run = site.family

    def add(self, table: str, uuid: str, name: str | None = None, **columns: Any) -> None:
        """Insert a row; columns that end in _id are given by the uuid of the row that they name."""
        names, places, values = ["uuid", "name"], ["%s", "%s"], [uuid, name]
        if table == "sector":
            columns.setdefault("deleted", "F")
        for column, value in columns.items():
            names.append(column)
            places.append(_find(column))
            values.append(value)
        self.run(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(places)})", *values)

    def link(self, person: str, sector: str, note: str | None = None) -> None:
        """Insert a link."""
        self.run(
            "INSERT INTO work (person_id, sector_id, note) "
            f"VALUES ({_find('person_id')}, {_find('sector_id')}, %s)",
            *(person, sector, note),
        )

    def set(self, table: str, uuid: str, **columns: Any) -> int:
        """Update a row."""
        sets = ", ".join(f"{column} = {_find(column)}" for column in columns)
        return self.run(f"UPDATE {table} SET {sets} WHERE uuid = %s", *columns.values(), uuid)

    def delete(self, table: str, uuid: str) -> int:
        """Delete a row for good."""
        return self.run(f"DELETE FROM {table} WHERE uuid = %s", uuid)

    def rows(self, table: str, column: str = "note") -> dict[str, Any]:
        """Return {uuid: a column} of a table."""
        return dict(self.run.rows(f"SELECT uuid, {column} FROM {table}"))

    def links(self) -> dict[tuple[str, str], str | None]:
        """Return {(person, sector): note}."""
        found = self.run.rows(
            "SELECT p.uuid, s.uuid, w.note FROM work w "
            "JOIN person p ON p.id = w.person_id JOIN sector s ON s.id = w.sector_id"
        )
        return {(person, sector): note for person, sector, note in found}


def _find(column: str) -> str:
    table, is_reference, _ = column.rpartition("_id")
    return f"(SELECT id FROM {table} WHERE uuid = %s)" if is_reference else "%s"
