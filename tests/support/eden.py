"""Writes as Eden writes: the same statements in the same order, one transaction a request.

Facts: explicit column lists; a person is inserted, then its super-entity rows with the same uuid, then
updated with their ids; a delete sets ``deleted`` to 'T', nulls every nullable reference and keeps the
old ones in ``deleted_fk``; on MySQL the session is utf8 (3 bytes), not strict, without backslashes.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.support.databases import connect_mysql, connect_postgresql, dialect_of

SUPER_KEYS = {
    "pr_pentity": "pe_id",
    "sit_trackable": "track_id",
    "org_site": "site_id",
    "doc_entity": "doc_id",
    "stats_parameter": "parameter_id",
}
NOW = "2026-11-23 10:00:00"


@dataclass(frozen=True, slots=True)
class Record:
    """A row that was written, with what refers to it."""

    table: str
    id: int
    uuid: str
    pe_id: int = 0
    track_id: int = 0
    site_id: int = 0


class Eden:
    """An Eden server's connection to its database. Each method is one request: one transaction."""

    def __init__(self, url: str) -> None:
        self.dialect = dialect_of(url)
        self._mark = '"' if self.dialect == "postgresql" else "`"
        self._depth = 0
        if self.dialect == "postgresql":
            self.connection: Any = connect_postgresql(url)
        else:
            self.connection = connect_mysql(url)
            self.execute("SET NAMES utf8")
            self.execute("SET FOREIGN_KEY_CHECKS = 1")
            self.execute("SET sql_mode = 'NO_BACKSLASH_ESCAPES'")

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Everything inside is one transaction, as one request is."""
        self._depth += 1
        if self._depth == 1:
            self.execute("BEGIN")
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                self.execute("ROLLBACK")
            raise
        self._depth -= 1
        if self._depth == 0:
            self.execute("COMMIT")

    def execute(self, statement: str, parameters: Sequence[Any] | None = None) -> int:
        """Run one statement; return how many rows it touched."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return int(cursor.rowcount)

    def fetch(self, query: str, parameters: Sequence[Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.connection.cursor() as cursor:
            cursor.execute(query, parameters)
            return list(cursor.fetchall())

    def quote(self, name: str) -> str:
        """Return a quoted name; MySQL has them in lower case where PostgreSQL has mixed case."""
        if self.dialect == "mysql":
            name = name.lower()
        return f"{self._mark}{name}{self._mark}"

    def insert(self, table: str, **columns: Any) -> int:
        """Insert a row; return its id as the application learns it."""
        names = ", ".join(self.quote(name) for name in columns)
        places = ", ".join(["%s"] * len(columns))
        statement = f"INSERT INTO {self.quote(table)} ({names}) VALUES ({places})"
        with self.connection.cursor() as cursor:
            if self.dialect == "postgresql":
                cursor.execute(f'{statement} RETURNING "{SUPER_KEYS.get(table, "id")}"', [*columns.values()])
                return int(cursor.fetchone()[0])
            cursor.execute(statement, [*columns.values()])
            return int(cursor.lastrowid)

    def update(self, table: str, id_: int, **columns: Any) -> int:
        """Update a row by its id; return the row count."""
        sets = ", ".join(f"{self.quote(name)} = %s" for name in columns)
        key = self.quote(SUPER_KEYS.get(table, "id"))
        return self.execute(
            f"UPDATE {self.quote(table)} SET {sets} WHERE {key} = %s", [*columns.values(), id_]
        )

    def add(self, table: str, **columns: Any) -> Record:
        """Insert an ordinary record with the columns that every record has."""
        uuid = columns.pop("uuid", None) or f"urn:uuid:{uuid4()}"
        meta = {"uuid": uuid, "mci": 0, "deleted": "F", "created_on": NOW, "modified_on": NOW}
        with self.request():
            return Record(table, self.insert(table, **{**meta, **columns}), uuid)

    def add_person(self, first: str, last: str | None = None, **columns: Any) -> Record:
        """Insert a person as Eden does."""
        with self.request():
            person = self.add(
                "pr_person", first_name=first, last_name=last, pe_id=None, track_id=None, **columns
            )
            pe_id = self.insert(
                "pr_pentity", deleted="F", instance_type="pr_person", uuid=person.uuid, type="pr_person"
            )
            track_id = self.insert(
                "sit_trackable", deleted="F", instance_type="pr_person", uuid=person.uuid, track_timestmp=NOW
            )
            self._refer_to_super("pr_person", person.id, pe_id=pe_id, track_id=track_id)
            return Record("pr_person", person.id, person.uuid, pe_id=pe_id, track_id=track_id)

    def add_contact(self, person: Record, value: str, method: str = "SMS") -> Record:
        """Insert a contact of a person."""
        return self.add("pr_contact", pe_id=person.pe_id, contact_method=method, value=value, priority=1)

    def add_location(self, name: str, parent: Record | None = None, **columns: Any) -> Record:
        """Insert a place below another."""
        with self.request():
            place = self.add("gis_location", name=name, parent=parent and parent.id, **columns)
            path = f"{parent.id}/{place.id}" if parent else str(place.id)
            self.update("gis_location", place.id, path=path, L0=name)
            return place

    def add_shelter(self, name: str, location: Record | None = None, **columns: Any) -> Record:
        """Insert a shelter with its super-entity rows."""
        place = location and location.id
        with self.request():
            shelter = self.add("cr_shelter", name=name, location_id=place, **columns)
            pe_id = self.insert(
                "pr_pentity", deleted="F", instance_type="cr_shelter", uuid=shelter.uuid, type="cr_shelter"
            )
            site_id = self.insert(
                "org_site",
                deleted="F",
                instance_type="cr_shelter",
                uuid=shelter.uuid,
                name=name,
                location_id=place,
            )
            self._refer_to_super("cr_shelter", shelter.id, pe_id=pe_id, site_id=site_id)
            return Record("cr_shelter", shelter.id, shelter.uuid, pe_id=pe_id, site_id=site_id)

    def _refer_to_super(self, table: str, id_: int, **ids: int) -> None:
        """Set the ids of the super rows without a new modification time, as S3Model does."""
        sets = ", ".join(f"{self.quote(name)} = %s" for name in ids)
        self.execute(
            f"UPDATE {self.quote(table)} SET {sets}, modified_on = modified_on WHERE id = %s",
            [*ids.values(), id_],
        )

    def change(self, record: Record, **columns: Any) -> None:
        """Change columns of a record, and when it was modified."""
        with self.request():
            self.update(record.table, record.id, **columns, modified_on="2026-11-23 11:00:00")

    def soft_delete(self, record: Record, references: Sequence[str] = ()) -> None:
        """Archive a record: flag it, null its references, flag its super rows."""
        with self.request():
            found = self.fetch(
                f"SELECT {', '.join(map(self.quote, references)) or '1'} "
                f"FROM {self.quote(record.table)} WHERE id = %s",
                [record.id],
            )
            kept = json.dumps(dict(zip(references, found[0], strict=False)))
            nulls: dict[str, Any] = dict.fromkeys(references)
            self.update(
                record.table,
                record.id,
                deleted="T",
                deleted_fk=kept,
                modified_on="2026-11-23 12:00:00",
                **nulls,
            )
            for table, id_ in self._super_rows(record):
                self.update(table, id_, deleted="T")

    def undelete(self, record: Record, **references: int | None) -> None:
        """Bring an archived record back, as an import of its uuid does."""
        with self.request():
            self.update(record.table, record.id, deleted="F", deleted_fk="", **references)
            for table, id_ in self._super_rows(record):
                self.update(table, id_, deleted="F")

    def hard_delete(self, record: Record) -> int:
        """Delete a record for good; return the row count that Eden checks."""
        with self.request():
            return self.execute(f"DELETE FROM {self.quote(record.table)} WHERE id = %s", [record.id])

    def find(self, record: Record) -> Record:
        """Return the record as it is numbered at this site; LookupError when it is not here."""
        known = {"pr_person": "pe_id, track_id, 0", "cr_shelter": "pe_id, 0, site_id"}
        more = known.get(record.table, "0, 0, 0")
        rows = self.fetch(
            f"SELECT {SUPER_KEYS.get(record.table, 'id')}, {more} FROM {record.table} WHERE uuid = %s",
            [record.uuid],
        )
        if not rows:
            raise LookupError(f"{record.table} {record.uuid}")
        id_, pe_id, track_id, site_id = rows[0]
        return Record(record.table, id_, record.uuid, pe_id or 0, track_id or 0, site_id or 0)

    def value(self, record: Record, column: str) -> Any:
        """Return one column of a record, LookupError when it is not here."""
        rows = self.fetch(f"SELECT {self.quote(column)} FROM {record.table} WHERE uuid = %s", [record.uuid])
        if not rows:
            raise LookupError(f"{record.table} {record.uuid}")
        return rows[0][0]

    def _super_rows(self, record: Record) -> list[tuple[str, int]]:
        ids = {"pr_pentity": record.pe_id, "sit_trackable": record.track_id, "org_site": record.site_id}
        return [(table, id_) for table, id_ in ids.items() if id_]
