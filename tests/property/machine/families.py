"""Children that cannot be without a parent, toys that cannot be without a child, links of both."""

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.property.machine.base import SitesMachine, places, texts

parents = st.sampled_from(["p1", "p2"])
children = st.sampled_from(["c1", "c2"])


class FamilyMachine(SitesMachine):
    """Children that cannot be without a parent, toys that cannot be without a child, links of both.

    The application deletes as one does who knows the database: what refers first.
    """

    may_stay_parked = frozenset(["reference"])

    @initialize(everywhere=st.booleans())
    def begin(self, everywhere):
        for key in ("p1", "p2"):
            self.sites[0].family.add_parent(key)
        self.sites[0].family.add_child("c1", "p1", may="p2", keep="p2")
        self.write_new_toy(0, "c1")
        self.write_new_link(0, "p2", "c1", "x")
        self.spread(everywhere)

    @rule(place=places, key=parents, text=texts)
    def write_new_parent(self, place, key, text):
        if key not in self.sites[place].family.shown("parent"):
            self.sites[place].family.add_parent(key)
            self.sites[place].family.note("parent", key, text)

    @rule(place=places, key=parents, boss=parents)
    def set_boss(self, place, key, boss):
        self.set_reference(place, "parent", key, "boss", boss)

    @rule(place=places, key=children, parent=parents)
    def write_new_child(self, place, key, parent):
        run = self.sites[place].family
        if parent in run.shown("parent") and key not in run.shown("child"):
            run.add_child(key, parent)

    @rule(place=places, key=children, parent=parents, column=st.sampled_from(["must", "may", "keep"]))
    def set_parent(self, place, key, parent, column):
        self.set_reference(place, "child", key, column, parent)

    @rule(place=places, key=children)
    def write_new_toy(self, place, key):
        run = self.sites[place].family
        if key in run.shown("child") and f"toy of {key}" not in run.shown("toy"):
            run.add_toy(f"toy of {key}", key)

    @rule(place=places, parent=parents, child=children, text=texts)
    def write_new_link(self, place, parent, child, text):
        run = self.sites[place].family
        if parent in run.shown("parent") and child in run.shown("child"):
            if not self.links(place, parent, child):
                run.add_link(parent, child, text)

    @rule(place=places, table=st.sampled_from(["parent", "child"]), key=parents | children, text=texts)
    def write_note(self, place, table, key, text):
        self.sites[place].family.note(table, key, text)

    @rule(place=places, key=children)
    def delete_child(self, place, key):
        run = self.sites[place].family
        for (id_,) in run.rows("SELECT id FROM child WHERE uuid = %s", key):
            run("DELETE FROM toy WHERE owner = %s", id_)
            run("DELETE FROM link WHERE child_id = %s", id_)
            run("DELETE FROM child WHERE id = %s", id_)

    @rule(place=places, key=parents)
    def delete_parent(self, place, key):
        run = self.sites[place].family
        for (id_,) in run.rows("SELECT id FROM parent WHERE uuid = %s", key):
            for (child,) in run.rows("SELECT uuid FROM child WHERE must = %s", id_):
                self.delete_child(place, child)
            run("DELETE FROM link WHERE parent_id = %s", id_)
            run("UPDATE child SET may = NULL WHERE may = %s", id_)
            run("UPDATE child SET keep = NULL WHERE keep = %s", id_)
            run("UPDATE parent SET boss = NULL WHERE boss = %s", id_)
            run("DELETE FROM parent WHERE id = %s", id_)

    @rule(place=places, key=parents, new=parents)
    def rename_parent(self, place, key, new):
        run = self.sites[place].family
        if new not in run.shown("parent"):
            run("UPDATE parent SET uuid = %s WHERE uuid = %s", new, key)

    def set_reference(self, place, table, key, column, parent):
        run = self.sites[place].family
        for (id_,) in run.rows("SELECT id FROM parent WHERE uuid = %s", parent):
            run(f"UPDATE {table} SET {column} = %s WHERE uuid = %s", id_, key)

    def links(self, place, parent, child):
        return self.sites[place].family.rows(
            "SELECT 1 FROM link l JOIN parent p ON p.id = l.parent_id JOIN child c ON c.id = l.child_id "
            "WHERE p.uuid = %s AND c.uuid = %s",
            parent,
            child,
        )
