"""People, archived by a flag or deleted, and items named by a code, deleted for good."""

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.property.machine.base import SitesMachine, columns, places, texts
from tests.support.memory import MemorySite

people = st.sampled_from(["p1", "p2", "p3"])
codes = st.sampled_from(["i1", "i2"])
PEOPLE = """
CREATE TABLE person (
    id {serial} PRIMARY KEY,
    uuid varchar(64) NOT NULL UNIQUE,
    a varchar(20),
    b varchar(20),
    boss integer,
    deleted char(1),
    FOREIGN KEY (boss) REFERENCES person (id) ON DELETE SET NULL
){engine};
CREATE TABLE item (
    code varchar(20) PRIMARY KEY,
    a varchar(20),
    b varchar(20)
){engine}
"""
PROFILE = """
extends = "generic"
title = "A flag and a natural key"

[deleted]
column = "deleted"
deleted = "T"
live = "F"
"""


class PeopleMachine(SitesMachine):
    """People, archived by a flag or deleted, and items named by a code, deleted for good."""

    @initialize(everywhere=st.booleans())
    def begin(self, everywhere):
        for key in ("p1", "p2"):
            self.write_person(0, key, "a", "x")
        self.refer_person(0, "p1", "p2")
        self.write_item(0, "i1", "a", "x")
        self.spread(everywhere)

    @rule(place=places)
    def upgrade_schema(self, place):
        """The application of a site gets a column more; others may have sent it values long ago."""
        site = self.sites[place]
        if isinstance(site, MemorySite) and place not in self.upgraded:
            self.upgraded.add(place)
            with self.ledger.watching(site):
                site.upgrade("ALTER TABLE person ADD COLUMN c varchar(20)")

    @rule(place=places, key=people, column=columns | st.just("c"), text=texts)
    def write_person(self, place, key, column, text):
        run = self.sites[place].family
        if column == "c" and place not in self.upgraded:
            return
        if not run(f"UPDATE person SET {column} = %s WHERE uuid = %s", text, key):
            if not run.rows("SELECT 1 FROM person WHERE uuid = %s", key):
                run(f"INSERT INTO person (uuid, {column}, deleted) VALUES (%s, %s, 'F')", key, text)

    @rule(place=places, key=people, boss=people)
    def refer_person(self, place, key, boss):
        """Eden does not offer archived rows."""
        run = self.sites[place].family
        found = run.rows("SELECT id FROM person WHERE uuid = %s AND deleted = 'F'", boss)
        if found:
            run("UPDATE person SET boss = %s WHERE uuid = %s", found[0][0], key)

    @rule(place=places, key=people)
    def archive_person(self, place, key):
        run = self.sites[place].family
        run("UPDATE person SET deleted = 'T', boss = NULL WHERE uuid = %s AND deleted = 'F'", key)

    @rule(place=places, key=people, text=texts)
    def revive_person(self, place, key, text):
        run = self.sites[place].family
        run("UPDATE person SET deleted = 'F', a = %s WHERE uuid = %s AND deleted = 'T'", text, key)

    @rule(place=places, key=people)
    def delete_person(self, place, key):
        """References are emptied first: MariaDB's own cascade is not captured yet (part 2)."""
        run = self.sites[place].family
        for (id_,) in run.rows("SELECT id FROM person WHERE uuid = %s", key):
            run("UPDATE person SET boss = NULL WHERE boss = %s", id_)
            run("DELETE FROM person WHERE id = %s", id_)

    @rule(place=places, key=codes, column=columns, text=texts)
    def write_item(self, place, key, column, text):
        run = self.sites[place].family
        if not run(f"UPDATE item SET {column} = %s WHERE code = %s", text, key):
            if not run.rows("SELECT 1 FROM item WHERE code = %s", key):
                run(f"INSERT INTO item (code, {column}) VALUES (%s, %s)", key, text)

    @rule(place=places, key=codes)
    def delete_item(self, place, key):
        self.sites[place].family("DELETE FROM item WHERE code = %s", key)

    @rule(place=places, key=codes, new=codes)
    def rename_item(self, place, key, new):
        run = self.sites[place].family
        if not run.rows("SELECT 1 FROM item WHERE code = %s", new):
            run("UPDATE item SET code = %s WHERE code = %s", new, key)
