"""What applications do to the small application's tables with more than one edit of one row: cascades, keys
that are swapped, refused, given again, upserts, statements that touch many rows.

An act is named, and takes what it is about from a ``Choice``. What a database refuses raises: ``REFUSED``.
"""

from typing import Any, NamedTuple

from tests.support import family
from tests.support.family import Family

TABLES = f"""{family.TABLES};
CREATE TABLE seat (
    parent_id int NOT NULL,
    note varchar(255),
    PRIMARY KEY (parent_id),
    FOREIGN KEY (parent_id) REFERENCES parent (id) ON DELETE CASCADE
){{engine}};
CREATE TABLE cushion (
    seat_id int NOT NULL,
    note varchar(255),
    PRIMARY KEY (seat_id),
    FOREIGN KEY (seat_id) REFERENCES seat (parent_id) ON DELETE CASCADE
){{engine}}
"""
"""The family's, and rows that are named by rows that are named by rows."""


class Choice(NamedTuple):
    """What an act is about."""

    parent: str
    other: str
    child: str
    column: str
    text: str | None


class Statements:
    """The acts, in the words of a kind of database: "postgresql", "mysql" or "memory"."""

    def __init__(self, run: Family, kind: str) -> None:
        self.run = run
        self.kind = kind

    def act(self, name: str, choice: Choice) -> None:
        """Do one thing."""
        getattr(self, name)(choice)

    def _ids(self, table: str, *uuids: str) -> list[int]:
        found = dict(self.run.rows(f"SELECT uuid, id FROM {table}"))
        return [found[uuid] for uuid in uuids if uuid in found]

    # One row.
    def add_child(self, it: Choice) -> None:
        """A child, with a toy and a link, where there is a parent for it."""
        if self._ids("parent", it.parent) and not self._ids("child", it.child):
            self.run.add_child(it.child, it.parent, may=it.other)
            self.run.add_toy(f"toy of {it.child}", it.child)
            self.run.add_link(it.parent, it.child, it.text)

    def note_parent(self, it: Choice) -> None:
        """Write a note."""
        self.run("UPDATE parent SET note = %s WHERE uuid = %s", it.text, it.parent)

    def note_child(self, it: Choice) -> None:
        """Write a note."""
        self.run("UPDATE child SET note = %s WHERE uuid = %s", it.text, it.child)

    def set_boss(self, it: Choice) -> None:
        """Refer to a row of the same table."""
        for id_ in self._ids("parent", it.other):
            self.run("UPDATE parent SET boss = %s WHERE uuid = %s", id_, it.parent)

    # What foreign keys do beside what is written.
    def delete_parent(self, it: Choice) -> None:
        """Children go with it, or lose it; one that keeps it is in its way."""
        self.run.delete("parent", it.parent)

    def delete_child(self, it: Choice) -> None:
        """Its toys and links go with it."""
        self.run.delete("child", it.child)

    def move_child(self, it: Choice) -> None:
        """Give a child another parent."""
        for id_ in self._ids("parent", it.other):
            self.run(f"UPDATE child SET {it.column} = %s WHERE uuid = %s", id_, it.child)

    def delete_parent_and_move_child(self, it: Choice) -> None:
        """A parent goes, and a child of it gets another."""
        self.delete_parent(it)
        self.move_child(it)

    def write_seat(self, it: Choice) -> None:
        """Have a row named by a parent, and one named by that."""
        for id_ in self._ids("parent", it.parent):
            if not self.run("UPDATE seat SET note = %s WHERE parent_id = %s", it.text, id_):
                self.run("INSERT INTO seat (parent_id, note) VALUES (%s, %s)", id_, it.text)
                self.run("INSERT INTO cushion (seat_id, note) VALUES (%s, %s)", id_, it.text)

    def delete_cushion(self, it: Choice) -> None:
        """The last of what a parent names goes."""
        for id_ in self._ids("parent", it.parent):
            self.run("DELETE FROM cushion WHERE seat_id = %s", id_)

    def delete_seat(self, it: Choice) -> None:
        """What is named by it goes with it."""
        for id_ in self._ids("parent", it.parent):
            self.run("DELETE FROM seat WHERE parent_id = %s", id_)

    # Keys: refused, swapped, given again.
    def rename_parent(self, it: Choice) -> None:
        """Refused where another has that key."""
        self.run("UPDATE parent SET uuid = %s, note = %s WHERE uuid = %s", it.other, it.text, it.parent)

    def rename_parent_if_it_may_be(self, it: Choice) -> None:
        """UPDATE IGNORE: the row stays as it is where another has that key."""
        words = {"mysql": "UPDATE IGNORE", "memory": "UPDATE OR IGNORE"}.get(self.kind, "UPDATE")
        self.run(f"{words} parent SET uuid = %s, note = %s WHERE uuid = %s", it.other, it.text, it.parent)

    def move_child_if_it_may_be(self, it: Choice) -> None:
        """UPDATE IGNORE: a parent that is not there is refused."""
        words = "UPDATE IGNORE" if self.kind == "mysql" else "UPDATE"
        ids = self._ids("parent", it.other) or [999_999]
        self.run(f"{words} child SET {it.column} = %s, note = %s WHERE uuid = %s", ids[0], it.text, it.child)

    def insert_parent(self, it: Choice) -> None:
        """Refused where it is there; then the application writes it once more, as an update."""
        self.run("INSERT INTO parent (uuid, note) VALUES (%s, %s)", it.parent, it.text)

    def rename_and_insert_parent(self, it: Choice) -> None:
        """A row gets another key, and a new one gets its former."""
        self.rename_parent(it)
        self.insert_parent(it)

    def swap_parents(self, it: Choice) -> None:
        """Two rows change their keys."""
        self.run("UPDATE parent SET uuid = 'between' WHERE uuid = %s", it.parent)
        self.run("UPDATE parent SET uuid = %s WHERE uuid = %s", it.parent, it.other)
        self.run("UPDATE parent SET uuid = %s WHERE uuid = 'between'", it.other)

    def swap_numbers_of_toys(self, _: Choice) -> None:
        """Two rows change the numbers that they have here."""
        found = self.run.rows("SELECT id FROM toy ORDER BY id")
        if len(found) > 1:
            (one,), (two,) = found[:2]
            for new, old in ((-1, one), (one, two), (two, -1)):
                self.run("UPDATE toy SET id = %s WHERE id = %s", new, old)

    def renumber_toys(self, _: Choice) -> None:
        """All rows get other numbers in one statement."""
        self.run("UPDATE toy SET id = -id")

    def give_number_again(self, it: Choice) -> None:
        """A row goes, and another gets its number."""
        for uuid, id_, owner in self.run.rows("SELECT uuid, id, owner FROM toy ORDER BY id")[:1]:
            self.run.delete("toy", uuid)
            self.run(
                "INSERT INTO toy (id, uuid, owner) VALUES (%s, %s, %s)", id_, f"toy of {it.child}", owner
            )

    def delete_parent_and_insert_it(self, it: Choice) -> None:
        """A key is given again at once."""
        self.delete_parent(it)
        self.insert_parent(it)

    def delete_child_and_insert_it(self, it: Choice) -> None:
        """The same with rows below it."""
        if self._ids("parent", it.parent):
            self.delete_child(it)
            self.run.add_child(it.child, it.parent)
            self.run.add_toy(f"toy of {it.child}", it.child)

    def delete_links_and_insert_one(self, it: Choice) -> None:
        """A key that is made of references is given again."""
        if self._ids("parent", it.parent) and self._ids("child", it.child):
            self.run("DELETE FROM link")
            self.run.add_link(it.parent, it.child, it.text)

    def move_links(self, it: Choice) -> None:
        """A reference that is part of a key is changed, in all rows at once."""
        for id_ in self._ids("parent", it.parent):
            self.run("UPDATE link SET parent_id = %s, note = %s", id_, it.text)

    def shift_words(self, it: Choice) -> None:
        """Keys and values of many rows are changed in one statement."""
        to = "CASE text WHEN 'w2' THEN 'w3' WHEN 'w1' THEN 'w2' ELSE 'w1' END"
        first = " ORDER BY text DESC" if self.kind == "mysql" else ""
        self.run(f"UPDATE word SET text = {to}, note = %s{first}", it.text)

    # One statement that inserts or updates, as it finds things.
    def upsert_parent(self, it: Choice) -> None:
        """ON CONFLICT, ON DUPLICATE KEY UPDATE."""
        self._upsert("parent", "uuid", it.parent, it.text, "note", it.text)

    def upsert_key(self, it: Choice) -> None:
        """The row that is found gets another key, which may be refused."""
        self._upsert("parent", "uuid", it.parent, it.text, "uuid", it.other)

    def upsert_word(self, it: Choice) -> None:
        """The same of a row without a number."""
        self._upsert("word", "text", f"w{it.parent[1:]}", it.text, "note", it.text)

    def _upsert(self, table: str, key: str, name: str, note: str | None, column: str, value: Any) -> None:
        otherwise = (
            "ON DUPLICATE KEY UPDATE" if self.kind == "mysql" else f"ON CONFLICT ({key}) DO UPDATE SET"
        )
        self.run(
            f"INSERT INTO {table} ({key}, note) VALUES (%s, %s) {otherwise} {column} = %s", name, note, value
        )

    def replace_parent(self, it: Choice) -> None:
        """REPLACE deletes what it finds, and inserts."""
        if self.kind == "mysql":
            self.run("REPLACE INTO parent (uuid, note) VALUES (%s, %s)", it.parent, it.text)
        else:
            self.delete_parent_and_insert_it(it)

    def replace_word(self, it: Choice) -> None:
        """The same of a row that nothing refers to; PostgreSQL has MERGE."""
        name = f"w{it.parent[1:]}"
        if self.kind == "mysql":
            self.run("REPLACE INTO word (text, note) VALUES (%s, %s)", name, it.text)
        elif self.kind == "memory":
            self.upsert_word(it)
        else:
            self.run(
                "MERGE INTO word USING (SELECT %s::text AS name, %s::text AS said) AS new ON text = name "
                "WHEN MATCHED AND note = said THEN DELETE WHEN MATCHED THEN UPDATE SET note = said "
                "WHEN NOT MATCHED THEN INSERT (text, note) VALUES (name, said)",
                name,
                it.text,
            )

    # All rows of a table.
    def clear_toys(self, _: Choice) -> None:
        """TRUNCATE, where that is captured."""
        self.run("TRUNCATE toy" if self.kind == "postgresql" else "DELETE FROM toy")

    def clear_children(self, _: Choice) -> None:
        """What refers to them goes with them."""
        self.run("TRUNCATE child CASCADE" if self.kind == "postgresql" else "DELETE FROM child")

    def note_children(self, it: Choice) -> None:
        """Write all rows in one statement."""
        self.run(f"UPDATE child SET note = %s, {it.column} = must", it.text)


ACTS = tuple(name for name in vars(Statements) if not name.startswith("_") and name != "act")
