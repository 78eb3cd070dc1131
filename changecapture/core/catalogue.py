"""What a database says about its own tables, in one form for both engines.

The stores read it (``Store.read_catalogue``); the plan, the drift check and the tests use it.
Names are spelled as the database spells them. Nothing here decides anything.
"""

from dataclasses import dataclass
from typing import Literal

Engine = Literal["postgresql", "mysql", "memory"]
Action = Literal["no action", "restrict", "cascade", "set null", "set default"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``type`` is the database's own spelling in lower case, ``kind`` is ours (core.values)."""

    name: str
    type: str
    kind: str
    nullable: bool
    default: str | None = None
    """The default as the catalogue prints it (an expression or a literal), None when there is none."""
    automatic: bool = False
    """True when the database makes the value: serial, identity, auto_increment."""
    generated: bool = False
    """True for a computed column, which nobody may write."""
    on_update: bool = False
    """True when MySQL sets it on every update (ON UPDATE CURRENT_TIMESTAMP)."""
    length: int | None = None
    """Characters (text) or bytes (binary) that fit; None when unbounded or not text."""
    character_set: str | None = None
    collation: str | None = None
    """Of MySQL's text columns only, like the character set."""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """``columns`` of this table refer to ``target_columns`` of ``target``."""

    name: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    on_delete: Action
    on_update: Action


@dataclass(frozen=True, slots=True)
class Table:
    """One base table (no views, no temporary tables)."""

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    uniques: tuple[tuple[str, ...], ...] = ()
    """Column lists of unique indexes other than the primary key, whole-table ones only."""
    foreign_keys: tuple[ForeignKey, ...] = ()
    storage: str = ""
    """MySQL's storage engine (InnoDB, MyISAM); empty on PostgreSQL."""
    collation: str = ""
    inherited: bool = False
    """True when other tables inherit this one (PostgreSQL; no partitions): it shows their rows too."""

    def column(self, name: str) -> Column | None:
        """Return the column of that name, compared without regard to case, or None."""
        wanted = name.lower()
        return next((c for c in self.columns if c.name.lower() == wanted), None)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All base tables of the application's schema, by name; ours are left out."""

    engine: Engine
    database: str
    schema: str
    server: str
    """The server's own version text."""
    tables: dict[str, Table]
