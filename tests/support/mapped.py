"""Two small applications that mean the same people: one as Eden does, one in tables of its own."""

from pathlib import Path
from typing import NamedTuple

from tests.support.acts import Acts
from tests.support.sites import AnySite

PROFILE = str(Path(__file__).with_name("mapped_eden.toml"))
MAPPING = str(Path(__file__).with_name("mapped.toml"))
EDEN = """
CREATE TABLE pr_entity (
    pe_id {serial} PRIMARY KEY, uuid varchar(64), instance_type varchar(64) NOT NULL, deleted char(1)
){engine};
CREATE TABLE pr_person (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, pe_id integer,
    first_name varchar(64), last_name varchar(64), comments varchar(64), deleted char(1),
    FOREIGN KEY (pe_id) REFERENCES pr_entity (pe_id) ON DELETE SET NULL
){engine};
CREATE TABLE pr_note (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, pe_id integer,
    state varchar(64), stamped varchar(64), note_text varchar(64), deleted char(1),
    FOREIGN KEY (pe_id) REFERENCES pr_entity (pe_id) ON DELETE CASCADE
){engine};
CREATE TABLE pr_contact (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, pe_id integer NOT NULL,
    method varchar(64), value varchar(64), deleted char(1),
    FOREIGN KEY (pe_id) REFERENCES pr_entity (pe_id) ON DELETE CASCADE
){engine}
"""
OWN = """
CREATE TABLE people (
    code varchar(64) PRIMARY KEY, given varchar(64), family varchar(64), remark varchar(64), camp varchar(64)
){engine};
CREATE TABLE state (
    code varchar(64) PRIMARY KEY, state varchar(64), seen varchar(64),
    FOREIGN KEY (code) REFERENCES people (code) ON DELETE CASCADE
){engine};
CREATE TABLE phone (
    code varchar(64) NOT NULL, kind varchar(64) NOT NULL, number varchar(64), PRIMARY KEY (code, kind)
){engine};
CREATE TABLE story (
    code varchar(64) PRIMARY KEY, text varchar(64), about varchar(64),
    FOREIGN KEY (about) REFERENCES people (code) ON DELETE SET NULL
){engine}
"""


class Choice(NamedTuple):
    """What an act is about."""

    key: str
    other: str
    kind: str
    """sms or fax"""
    text: str


class EdenActs(Acts):
    """The acts of the one that has the common tables."""

    def write_person(self, it: Choice) -> None:
        """Edit a person, or make it, with its entity."""
        if self.run("UPDATE pr_person SET first_name = %s WHERE uuid = %s", it.text, it.key):
            return
        if not self.run.rows("SELECT 1 FROM pr_entity WHERE uuid = %s", it.key):
            self.run(
                "INSERT INTO pr_entity (uuid, instance_type, deleted) VALUES (%s, 'pr_person', 'F')", it.key
            )
        ((id_,),) = self.run.rows("SELECT pe_id FROM pr_entity WHERE uuid = %s", it.key)
        self.run(
            "INSERT INTO pr_person (uuid, pe_id, first_name, deleted) VALUES (%s, %s, %s, 'F')",
            *(it.key, id_, it.text),
        )

    def write_family(self, it: Choice) -> None:
        self.run("UPDATE pr_person SET last_name = %s WHERE uuid = %s", it.text, it.key)

    def write_remark(self, it: Choice) -> None:
        self.run("UPDATE pr_person SET comments = %s WHERE uuid = %s", it.text, it.key)

    def empty_remark(self, it: Choice) -> None:
        self.run("UPDATE pr_person SET comments = NULL WHERE uuid = %s", it.key)

    def archive_person(self, it: Choice) -> None:
        for table in ("pr_person", "pr_entity"):
            self.run(f"UPDATE {table} SET deleted = 'T' WHERE uuid = %s", it.key)

    def revive_person(self, it: Choice) -> None:
        for table in ("pr_person", "pr_entity"):
            self.run(f"UPDATE {table} SET deleted = 'F' WHERE uuid = %s", it.key)

    def delete_person(self, it: Choice) -> None:
        self.run("DELETE FROM pr_person WHERE uuid = %s", it.key)
        self.run("DELETE FROM pr_entity WHERE uuid = %s", it.key)

    def add_contact(self, it: Choice) -> None:
        for (id_,) in self._entities(it.key):
            self.run(
                "INSERT INTO pr_contact (uuid, pe_id, method, value, deleted) VALUES (%s, %s, %s, %s, 'F')",
                *(f"contact {it.text}", id_, it.kind, it.text),
            )

    def write_contact(self, it: Choice) -> None:
        self._contact(it, "value = %s", it.text)

    def turn_contact(self, it: Choice) -> None:
        self._contact(it, "method = %s", it.kind)

    def move_contact(self, it: Choice) -> None:
        for (id_,) in self._entities(it.other):
            self._contact(it, "pe_id = %s", id_)

    def archive_contact(self, it: Choice) -> None:
        self._contact(it, "deleted = %s", "T")

    def add_note(self, it: Choice) -> None:
        for (id_,) in self._entities(it.key):
            self.run(
                "INSERT INTO pr_note (uuid, pe_id, state, stamped, deleted) VALUES (%s, %s, %s, %s, 'F')",
                *(f"note {it.text}", id_, it.text, "2026-11-20T10:00:00"),
            )

    def write_note(self, it: Choice) -> None:
        self._note(it, "state = %s", it.text)

    def archive_note(self, it: Choice) -> None:
        self._note(it, "deleted = %s", "T")

    def tell(self, it: Choice) -> None:
        """A note that is a story."""
        for (id_,) in self._entities(it.key):
            if not self.run(
                "UPDATE pr_note SET note_text = %s, pe_id = %s WHERE uuid = %s", it.text, id_, f"s{it.key}"
            ):
                self.run(
                    "INSERT INTO pr_note (uuid, pe_id, note_text, deleted) VALUES (%s, %s, %s, 'F')",
                    *(f"s{it.key}", id_, it.text),
                )

    def _entities(self, key: str) -> list[tuple[int]]:
        return self.run.rows("SELECT pe_id FROM pr_entity WHERE uuid = %s AND deleted = 'F'", key)

    def _contact(self, it: Choice, sets: str, value: object) -> None:
        of = "SELECT min(c.id) FROM pr_contact c JOIN pr_entity e ON e.pe_id = c.pe_id WHERE e.uuid = %s"
        for (id_,) in self.run.rows(f"{of} AND c.deleted = 'F'", it.key):
            self.run(f"UPDATE pr_contact SET {sets} WHERE id = %s", value, id_)

    def _note(self, it: Choice, sets: str, value: object) -> None:
        of = "SELECT min(n.id) FROM pr_note n JOIN pr_entity e ON e.pe_id = n.pe_id WHERE e.uuid = %s"
        for (id_,) in self.run.rows(f"{of} AND n.deleted = 'F'", it.key):
            self.run(f"UPDATE pr_note SET {sets} WHERE id = %s", value, id_)


class OwnActs(Acts):
    """The acts of the one that has tables of its own."""

    def report(self, it: Choice) -> None:
        """Edit a person, or make it, statement by statement."""
        if not self.run("UPDATE people SET given = %s WHERE code = %s", it.text, it.key):
            self.run("INSERT INTO people (code, given) VALUES (%s, %s)", it.key, it.text)
            self.run("INSERT INTO state (code, state) VALUES (%s, %s)", it.key, f"s{it.text}")

    def write_family(self, it: Choice) -> None:
        self.run("UPDATE people SET family = %s WHERE code = %s", it.text, it.key)

    def write_remark(self, it: Choice) -> None:
        self.run("UPDATE people SET remark = %s WHERE code = %s", it.text, it.key)

    def empty_remark(self, it: Choice) -> None:
        self.run("UPDATE people SET remark = NULL WHERE code = %s", it.key)

    def write_camp(self, it: Choice) -> None:
        self.run("UPDATE people SET camp = %s WHERE code = %s", it.text, it.key)

    def write_state(self, it: Choice) -> None:
        self.run("UPDATE state SET state = %s WHERE code = %s", it.text, it.key)

    def see(self, it: Choice) -> None:
        self.run("UPDATE state SET seen = %s WHERE code = %s", it.text, it.key)

    def delete_person(self, it: Choice) -> None:
        for table in ("phone", "state", "people"):
            self.run(f"DELETE FROM {table} WHERE code = %s", it.key)

    def delete_person_and_report_it(self, it: Choice) -> None:
        self.delete_person(it)
        self.report(it)

    def recode(self, it: Choice) -> None:
        """Another key, of all its rows."""
        if self.run.rows("SELECT 1 FROM people WHERE code = %s", it.key) and not self.run.rows(
            "SELECT 1 FROM people WHERE code = %s", it.other
        ):
            self.run(
                "INSERT INTO people SELECT %s, given, family, remark, camp FROM people WHERE code = %s",
                *(it.other, it.key),
            )
            for table in ("phone", "state"):
                self.run(f"UPDATE {table} SET code = %s WHERE code = %s", it.other, it.key)
            self.run("UPDATE story SET about = %s WHERE about = %s", it.other, it.key)
            self.run("DELETE FROM people WHERE code = %s", it.key)

    def call(self, it: Choice) -> None:
        """A number: edited where there is one."""
        if not self.run(
            "UPDATE phone SET number = %s WHERE code = %s AND kind = %s", it.text, it.key, it.kind
        ):
            self._insert_phone(it)

    def call_anew(self, it: Choice) -> None:
        """Deleted and inserted, as pages do."""
        self.hang_up(it)
        self._insert_phone(it)

    def _insert_phone(self, it: Choice) -> None:
        if self.run.rows("SELECT 1 FROM people WHERE code = %s", it.key):
            self.run("INSERT INTO phone (code, kind, number) VALUES (%s, %s, %s)", it.key, it.kind, it.text)

    def hang_up(self, it: Choice) -> None:
        self.run("DELETE FROM phone WHERE code = %s AND kind = %s", it.key, it.kind)

    def tell(self, it: Choice) -> None:
        if not self.run(
            "UPDATE story SET text = %s, about = %s WHERE code = %s", it.text, it.key, f"s{it.key}"
        ):
            self.run(
                "INSERT INTO story (code, text, about) VALUES (%s, %s, %s)", f"s{it.key}", it.text, it.key
            )

    def retell(self, it: Choice) -> None:
        """Of another person."""
        if self.run.rows("SELECT 1 FROM people WHERE code = %s", it.other):
            self.run("UPDATE story SET about = %s WHERE code = %s", it.other, f"s{it.key}")

    def burn(self, it: Choice) -> None:
        self.run("DELETE FROM story WHERE code = %s", f"s{it.key}")


EDEN_ACTS, OWN_ACTS = (
    tuple(name for name in vars(kind) if not name.startswith("_")) for kind in (EdenActs, OwnActs)
)
SHOWN = {
    True: (
        "SELECT 'state', code, state, seen FROM state",
        "SELECT 'people', code, given, family, remark, camp FROM people",
        "SELECT 'phone', code || kind, number FROM phone WHERE code IN (SELECT code FROM people)",
        "SELECT 'story', code, text FROM story WHERE about IS NOT NULL",
    ),
    False: (
        "SELECT 'person', uuid, first_name, last_name, comments FROM pr_person WHERE deleted = 'F'",
        "SELECT 'note', uuid, state, note_text FROM pr_note WHERE deleted = 'F'",
        "SELECT 'contact', uuid, value FROM pr_contact WHERE deleted = 'F'",
    ),
}


def read_shown(site: AnySite) -> dict[tuple[str, str, int], str]:
    """Return {(kind, key, number of the column): text} of what an application shows of people that are."""
    queries = SHOWN[site.store.mapping is not None]
    return {
        (kind, key, number): text
        for query in queries
        for kind, key, *texts in site.family.rows(query)
        for number, text in enumerate(texts)
        if text is not None
    }
