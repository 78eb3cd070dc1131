"""What a profile says about an application: the rules, and which of them applies.

Of every list of rules the first that matches wins; the rules of a file that extends another stand
before those of the other. Patterns are shell-like (``*``, ``?``, ``[..]``). All names are compared
without regard to case: sites spell one column in different case.

Nothing here looks at a database: the plan puts a profile and a catalogue together.
"""

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cache

from changecapture.core.table import DeletedFlag

DEFAULT_MODULE = "{prefix}"


@dataclass(frozen=True, slots=True)
class TableRule:
    """Tables that are in or out, and why, in words for the operator."""

    tables: tuple[str, ...]
    synced: bool
    why: str
    module: str | None = None
    """Their module, when it is not the profile's: see Profile.module."""
    counted: bool = False
    """Whether they are left out because the site counts their rows, and nothing else names them."""


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """Columns (``table.column`` or ``column`` of any table) with something to know about them.

    ``travels`` false: the value has a meaning at its own site only. ``fill`` is then what a row
    from elsewhere gets in it, as plain text; None leaves it to the column's default or NULL.
    ``quiet``: a value that loses to a concurrent one is not worth a person's time (a total, say).
    """

    columns: tuple[str, ...]
    travels: bool
    why: str
    fill: str | None = None
    quiet: bool = False
    time_zone: str | None = None
    """By whose clocks these datetimes are written, when not by those of the whole application."""


@dataclass(frozen=True, slots=True)
class KeyRule:
    """The identity of some tables, when it is not the one that the catalogue suggests."""

    tables: tuple[str, ...]
    columns: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class HiddenReference:
    """A column that refers to a row of another table, unknown to the catalogue."""

    table: str
    column: str
    target: str
    target_column: str
    why: str


@dataclass(frozen=True, slots=True)
class Need:
    """References without which a row says nothing: as good as NOT NULL for the plan.

    ``on_delete`` restricts the rule to foreign keys with that action ("cascade").
    """

    columns: tuple[str, ...]
    why: str
    on_delete: str | None = None


@dataclass(frozen=True, slots=True)
class NaturalKey:
    """Columns by which two sites recognise a row that both were seeded with under other uuids."""

    table: str
    columns: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Group:
    """Columns of a table that belong together; ``*`` stands for all of them: rows are merged whole."""

    table: str
    columns: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Tree:
    """A column that names the parent row in its own table; an edge must never close a cycle."""

    table: str
    column: str


@dataclass(frozen=True, slots=True)
class SuperEntity:
    """A table whose rows are one thing with their instances: both carry the same uuid.

    ``key`` is its primary key, which an instance holds in a column of the same name. ``type`` is
    the column with the name of the instance's table; ``instances`` are the tables that stand there.
    """

    table: str
    key: str
    type: str
    instances: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """One application. ``name`` is the file's name without .toml; ``title`` is for people.

    ``module`` names the module (scope) of a table; ``{prefix}`` in it stands for the table's name
    up to its first underscore. A database with all tables of ``recognised_by`` is the application;
    when it is empty, the profile is never chosen by itself. ``uuid_columns`` are tried in order as
    identity, with ``uuid_unique`` only under a unique index.
    """

    name: str
    title: str
    module: str = DEFAULT_MODULE
    recognised_by: tuple[str, ...] = ()
    uuid_columns: tuple[str, ...] = ()
    uuid_unique: bool = True
    deleted: DeletedFlag | None = None
    modified: str | None = None
    time_zone: str = "UTC"
    """By whose clocks the application writes datetimes: an IANA name."""
    tables: tuple[TableRule, ...] = ()
    columns: tuple[ColumnRule, ...] = ()
    keys: tuple[KeyRule, ...] = ()
    references: tuple[HiddenReference, ...] = ()
    needs: tuple[Need, ...] = ()
    natural_keys: tuple[NaturalKey, ...] = ()
    groups: tuple[Group, ...] = ()
    trees: tuple[Tree, ...] = ()
    super_entities: tuple[SuperEntity, ...] = ()

    def table_rule(self, table: str) -> TableRule | None:
        """Return the rule that decides about a table, None when no rule knows it."""
        return next((rule for rule in self.tables if _matches(table, rule.tables)), None)

    def column_rule(self, table: str, column: str) -> ColumnRule | None:
        """Return the rule about a column, None for an ordinary one."""
        return next((r for r in self.columns if _names(table, column, r.columns)), None)

    def key_rule(self, table: str) -> KeyRule | None:
        """Return the rule that gives a table its identity, None when the catalogue may."""
        return next((rule for rule in self.keys if _matches(table, rule.tables)), None)

    def need(self, table: str, column: str, on_delete: str) -> Need | None:
        """Return the rule that says that a row needs this reference, or None.

        ``on_delete`` is the action of its foreign key, empty for a hidden reference.
        """
        for need in self.needs:
            if need.on_delete in (None, on_delete) and _names(table, column, need.columns):
                return need
        return None

    def hidden_references(self, table: str) -> tuple[HiddenReference, ...]:
        """Return the references of a table that the catalogue does not show."""
        return tuple(r for r in self.references if r.table.lower() == table.lower())

    def natural_key(self, table: str) -> NaturalKey | None:
        """Return by what a table's rows are recognised that were seeded elsewhere, None by nothing."""
        return next((rule for rule in self.natural_keys if rule.table.lower() == table.lower()), None)

    def super_entity(self, table: str) -> SuperEntity | None:
        """Return what is known of a super-entity table, None for an ordinary table."""
        return next((s for s in self.super_entities if s.table.lower() == table.lower()), None)

    def kin_of(self, table: str) -> tuple[str, ...]:
        """Return the tables whose rows are one thing with those of a table: of a super-entity its
        instances, of an instance its super-entities."""
        name = table.lower()
        kin = [i for s in self.super_entities if s.table.lower() == name for i in s.instances]
        kin += [s.table for s in self.super_entities if name in map(str.lower, s.instances)]
        return tuple(sorted({other.lower() for other in kin}))

    def module_of(self, table: str) -> str:
        """Return the module, that is the scope, of a table."""
        rule = self.table_rule(table)
        module = self.module if rule is None or rule.module is None else rule.module
        return module.replace("{prefix}", table.lower().partition("_")[0])


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return _compile(patterns).match(name.lower()) is not None


def _names(table: str, column: str, patterns: tuple[str, ...]) -> bool:
    return _compile_places(patterns).match(f"{table}.{column}".lower()) is not None


@cache
def _compile(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern.lower()) for pattern in patterns))


@cache
def _compile_places(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return _compile(tuple(p if "." in p else f"*.{p}" for p in patterns))
