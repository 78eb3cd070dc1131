"""What a synced table is: the installed plan of one table, as publish, apply and the triggers read it.

It is made once by the plan (catalogue x profile), stored as JSON in ``synced_table`` beside the
triggers that were made from it, and read from there at run time: what is captured and how it is
read can therefore never disagree. Names are local spellings; the wire uses them in lower case.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Literal

IdentityKind = Literal["uuid", "natural", "composite", "assigned"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A column that names a row of another table.

    ``by_key`` is true when the column already holds the referenced row's identity (a textual natural
    key): the value travels as it is. Otherwise it holds a local integer and travels as the row's key.
    ``required`` is true when the column is NOT NULL: a row is not shown without the referenced one.
    ``enforced`` is true when the database refuses a value that names no row; where it does not, the
    applications leave such values about, and a key is written whether or not its row is here.
    """

    table: str
    target_column: str
    required: bool
    by_key: bool
    enforced: bool = True

    @property
    def must_be_here(self) -> bool:
        """Return whether the column can only be written when the row that it names is here."""
        return self.enforced or not self.by_key


@dataclass(frozen=True, slots=True)
class SyncedColumn:
    """A column whose value travels."""

    name: str
    type: str
    """The local database's own spelling of the type."""
    kind: str
    nullable: bool
    reference: Reference | None = None
    zone: str | None = None
    """The time zone by whose clocks a datetime is written here; None: UTC."""

    @property
    def wire(self) -> str:
        """Return the name on the wire: sites spell columns in different case."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Identity:
    """How a row is named in the world.

    kind: ``uuid`` the application's uuid column; ``natural`` a textual primary key; ``composite``
    several columns, the key being a canonical JSON array of them; ``assigned`` a uuid of ours kept in
    ``local_key``. ``columns`` is empty for ``assigned``. ``missing`` lists values of a uuid column that
    mean "none" ('' and the column's constant default); such a row gets an assigned key.
    """

    kind: IdentityKind
    columns: tuple[SyncedColumn, ...] = ()
    missing: tuple[str, ...] = ()
    indexed: bool = True
    """False when no unique index covers the identity: the installation makes a plain one."""

    @property
    def is_text(self) -> bool:
        """Return whether rows are named by one text column of their own."""
        if self.kind not in ("uuid", "natural"):
            return False
        return self.columns[0].kind == "text" and self.columns[0].reference is None


@dataclass(frozen=True, slots=True)
class DeletedFlag:
    """The application's own deleted flag: ``deleted`` and ``live`` are its two values as text."""

    column: str
    deleted: str
    live: str


@dataclass(frozen=True, slots=True)
class SyncedTable:
    """One synced table. ``columns`` are those that travel, identity and deleted flag not among them."""

    name: str
    scope: str
    """The profile's module; vectors and permissions are counted by it."""
    locator: tuple[SyncedColumn, ...]
    """The columns that find a row locally: the primary key, else a unique key, else the identity."""
    identity: Identity
    columns: tuple[SyncedColumn, ...]
    deleted_flag: DeletedFlag | None = None
    modified: str | None = None
    """A datetime column that the application sets on change; only backfill reads it."""
    modified_zone: str | None = None
    """By whose clocks it is written, None for UTC."""
    fill: tuple[tuple[str, str], ...] = ()
    """(column, literal) for NOT NULL columns that do not travel and have no default."""
    touch: tuple[str, ...] = ()
    """ON UPDATE CURRENT_TIMESTAMP columns: apply sets them explicitly, also to themselves."""
    quiet: tuple[str, ...] = ()
    """Wire names of columns whose lost values are not worth a person's time (modified_on)."""
    kin: tuple[str, ...] = ()
    """Wire names of the tables whose row of the same key is one thing with the row here."""
    kind: str | None = None
    """Of a super-entity: the wire name of the column that holds the name of the instance's table."""
    trees: tuple[str, ...] = ()
    """Wire names of columns whose edges must never close a cycle."""
    uniques: tuple[tuple[str, ...], ...] = ()
    """The travelling columns of each unique index: two rows can clash in these."""
    natural: tuple[str, ...] = ()
    """Columns by which a row that was seeded at two sites is recognised; () where that is not done."""
    groups: tuple[tuple[str, ...], ...] = ()
    """Wire names of columns that belong together: an entry that writes one carries all."""
    outside: tuple[tuple[str, str, str], ...] = ()
    """(table, column, column of this table) of the references to it in tables that are not synced."""

    @property
    def wire(self) -> str:
        """Return the table's name on the wire."""
        return self.name.lower()

    @property
    def unique(self) -> tuple[str, ...]:
        """Return the travelling columns of unique indexes."""
        return tuple(dict.fromkeys(name for names in self.uniques for name in names))

    @property
    def local_references(self) -> tuple[SyncedColumn, ...]:
        """Return the travelling columns that hold local values of another table's rows."""
        return tuple(c for c in self.columns if c.reference is not None and not c.reference.by_key)

    @property
    def key_columns(self) -> tuple[SyncedColumn, ...]:
        """Return what ``captured.key`` holds, in order: the locator, then the rest of the identity."""
        known = {column.name for column in self.locator}
        return self.locator + tuple(c for c in self.identity.columns if c.name not in known)

    def to_json(self) -> str:
        """Return canonical JSON text; ``from_json`` is its inverse."""
        return json.dumps(self, default=_list_fields, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "SyncedTable":
        """Return the table that ``to_json`` wrote."""
        data: dict[str, Any] = json.loads(text)
        identity = data["identity"]
        flag = data["deleted_flag"]
        return cls(
            name=data["name"],
            scope=data["scope"],
            locator=_columns(data["locator"]),
            identity=Identity(
                identity["kind"],
                _columns(identity["columns"]),
                tuple(identity["missing"]),
                identity["indexed"],
            ),
            columns=_columns(data["columns"]),
            deleted_flag=None if flag is None else DeletedFlag(**flag),
            modified=data["modified"],
            modified_zone=data.get("modified_zone"),
            fill=tuple((name, literal) for name, literal in data["fill"]),
            touch=tuple(data["touch"]),
            quiet=tuple(data["quiet"]),
            kin=tuple(data.get("kin", ())),
            kind=data.get("kind"),
            trees=tuple(data.get("trees", ())),
            uniques=tuple(tuple(names) for names in data.get("uniques", ())),
            natural=tuple(data.get("natural", ())),
            groups=tuple(tuple(names) for names in data.get("groups", ())),
            outside=tuple((name, own, other) for name, own, other in data.get("outside", ())),
        )


def _list_fields(part: Any) -> dict[str, Any]:
    """Return the fields of a part; dataclasses.asdict copies all below it and takes three times as long."""
    return {name: getattr(part, name) for name in part.__slots__}


def _columns(items: list[Mapping[str, Any]]) -> tuple[SyncedColumn, ...]:
    return tuple(
        SyncedColumn(
            item["name"],
            item["type"],
            item["kind"],
            item["nullable"],
            None if item["reference"] is None else Reference(**item["reference"]),
            item.get("zone"),
        )
        for item in items
    )


def digest_shape(tables: Iterable[SyncedTable]) -> str:
    """Return 16 hex digits that two sites share when they sync the same tables and columns, on any engine."""
    lines = sorted(f"{table.wire}: {' '.join(sorted(c.wire for c in table.columns))}" for table in tables)
    return blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()
