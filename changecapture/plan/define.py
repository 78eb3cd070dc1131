"""Makes the definition of one synced table (``core.table``) out of what was settled."""

from collections.abc import Collection
from dataclasses import dataclass

from changecapture.core.catalogue import Column, Table
from changecapture.core.table import DeletedFlag, Identity, Reference, SyncedColumn, SyncedTable
from changecapture.plan.keys import Key, choose_locator, column_of, is_covered
from changecapture.plan.settle import Settled

UNSAFE_STORAGE = ("MyISAM", "Aria", "MEMORY")


@dataclass(frozen=True, slots=True)
class Made:
    """A definition, the remarks on it, and its columns that do not travel with their reasons."""

    definition: SyncedTable
    notes: tuple[str, ...]
    local: tuple[tuple[str, str], ...]


def define_table(settled: Settled, name: str) -> Made:
    """Return the definition of a synced table."""
    table, key = settled.catalogue.tables[name], settled.keys[name]
    flag = _deleted_flag(settled, table)
    apart = {flag.column if flag else "", *key.columns}
    candidates = [c for c in table.columns if not (c.name in apart or c.automatic or c.generated)]
    local = {c.name: why for c in candidates if (why := _why_local(settled, table, c))}
    columns = tuple(synced_column(settled, table, c) for c in candidates if c.name not in local)
    entity = settled.profile.super_entity(name)
    modified = _modified(settled, table)
    definition = SyncedTable(
        name=name,
        scope=settled.profile.module_of(name),
        locator=tuple(synced_column(settled, table, column_of(table, c)) for c in choose_locator(table, key)),
        identity=_identity(settled, table, key),
        columns=columns,
        deleted_flag=flag,
        modified=modified.name if modified else None,
        modified_zone=_zone(settled, table, modified) if modified else None,
        fill=_fill(settled, table, local),
        touch=tuple(c.name for c in table.columns if c.on_update),
        quiet=tuple(c.wire for c in columns if _is_quiet(settled, table, c)),
        kin=_kin(settled, name),
        kind=entity.type.lower() if entity else None,
        trees=tuple(c.wire for c in columns if _is_tree(settled, table, c)),
        uniques=_uniques(table, columns),
        natural=_natural(settled, table, key, columns),
        groups=_groups(settled, table, columns),
        outside=_outside(settled, name),
    )
    return Made(definition, tuple(_remarks(settled, table, definition)), tuple(local.items()))


def synced_column(settled: Settled, table: Table, column: Column) -> SyncedColumn:
    """Return a column as publish and apply see it, with its reference to a synced table."""
    link = settled.links[table.name].of(column.name, settled.keys)
    reference = None
    if link is not None and link.target in settled.keys:
        reference = Reference(
            table=link.target,
            target_column=link.target_column,
            required=not column.nullable,
            by_key=settled.keys[link.target].holds(link.target_column),
            enforced=link.on_delete != "",
        )
    zone = _zone(settled, table, column)
    return SyncedColumn(column.name, column.type, column.kind, column.nullable, reference, zone)


def _zone(settled: Settled, table: Table, column: Column) -> str | None:
    """Return by whose clocks a column's times are written, None for UTC and for what is no datetime."""
    if column.kind != "datetime":
        return None
    rule = settled.profile.column_rule(table.name, column.name)
    zone = rule.time_zone if rule is not None and rule.time_zone else settled.profile.time_zone
    return None if zone == "UTC" else zone


def _identity(settled: Settled, table: Table, key: Key) -> Identity:
    columns = [column_of(table, name) for name in key.columns]
    return Identity(
        kind=key.kind,
        columns=tuple(synced_column(settled, table, column) for column in columns),
        missing=_missing(table, key, columns),
        indexed=is_covered(table, key),
    )


def _missing(table: Table, key: Key, columns: list[Column]) -> tuple[str, ...]:
    """Return the values of an identity column that name no row: '' and its constant default.

    A primary key names its row whatever it holds; a column of PostgreSQL's type uuid cannot be ''.
    """
    if key.kind not in ("uuid", "natural") or columns[0].kind != "text":
        return ()
    if key.kind == "natural" and key.columns == table.primary_key:
        return ()
    default = columns[0].default
    constant = (default,) if default and _is_constant(default) else ()
    return constant if columns[0].type == "uuid" else ("", *constant)


def _is_constant(default: str) -> bool:
    """Return whether a textual default is the same for every row; a call makes a new value."""
    return "(" not in default


def _deleted_flag(settled: Settled, table: Table) -> DeletedFlag | None:
    flag = settled.profile.deleted
    column = table.column(flag.column) if flag else None
    if flag is None or column is None:
        return None
    return DeletedFlag(column.name, flag.deleted, flag.live)


def _modified(settled: Settled, table: Table) -> Column | None:
    name = settled.profile.modified
    column = table.column(name) if name else None
    return column if column and column.kind in ("datetime", "instant") else None


def _why_local(settled: Settled, table: Table, column: Column) -> str | None:
    """Return why a column's values stay at their site, None when they travel."""
    rule = settled.profile.column_rule(table.name, column.name)
    if rule is not None and not rule.travels:
        return rule.why
    links = settled.links[table.name]
    link = links.of(column.name, settled.keys)
    if link is not None and link.target not in settled.keys:
        return f"names a row of {link.target}, which is not synced"
    for key in links.compound:
        if column.name in key.columns and column.nullable and key.target not in settled.keys:
            return f"is part of a reference to {key.target}, which is not synced"
    return None


def _is_quiet(settled: Settled, table: Table, column: SyncedColumn) -> bool:
    rule = settled.profile.column_rule(table.name, column.name)
    return rule is not None and rule.quiet


def _kin(settled: Settled, name: str) -> tuple[str, ...]:
    synced = {other.lower() for other in settled.keys}
    return tuple(other for other in settled.profile.kin_of(name) if other in synced)


def _is_tree(settled: Settled, table: Table, column: SyncedColumn) -> bool:
    named = {(tree.table.lower(), tree.column.lower()) for tree in settled.profile.trees}
    reference = column.reference
    return (table.name.lower(), column.wire) in named and reference is not None and not reference.required


def _uniques(table: Table, columns: Collection[SyncedColumn]) -> tuple[tuple[str, ...], ...]:
    travelling = {column.name for column in columns}
    found = (tuple(name for name in index if name in travelling) for index in table.uniques)
    return tuple(names for names in found if names)


def _natural(settled: Settled, table: Table, key: Key, columns: Collection[SyncedColumn]) -> tuple[str, ...]:
    """Return the columns that recognise a row seeded elsewhere; all must be here, and travel."""
    rule = settled.profile.natural_key(table.name)
    if rule is None or key.kind not in ("uuid", "assigned"):
        return ()
    spelled = {column.wire: column.name for column in columns}
    names = tuple(spelled.get(name.lower(), "") for name in rule.columns)
    return names if all(names) else ()


def _groups(settled: Settled, table: Table, columns: Collection[SyncedColumn]) -> tuple[tuple[str, ...], ...]:
    """Return the columns that belong together, as far as they are here and travel."""
    travelling = [column.wire for column in columns]
    found = [
        tuple(name for name in travelling if "*" in rule.columns or name in map(str.lower, rule.columns))
        for rule in settled.profile.groups
        if rule.table.lower() == table.name.lower()
    ]
    return tuple(names for names in found if len(names) > 1)


def _outside(settled: Settled, name: str) -> tuple[tuple[str, str, str], ...]:
    """Return the references to a table that apply would not see, for they are in tables that stay here.

    Sorted: a server lists foreign keys in any order, and another order would be drift.
    """
    return tuple(
        sorted(
            (other, column, target_column)
            for other, table in settled.catalogue.tables.items()
            if other not in settled.keys
            for key in table.foreign_keys
            if key.target.lower() == name.lower()
            for column, target_column in zip(key.columns, key.target_columns, strict=True)
        )
    )


def _fill(settled: Settled, table: Table, local: dict[str, str]) -> tuple[tuple[str, str], ...]:
    rules = {name: settled.profile.column_rule(table.name, name) for name in local}
    return tuple((n, r.fill) for n, r in rules.items() if r and not r.travels and r.fill is not None)


def _remarks(settled: Settled, table: Table, definition: SyncedTable) -> list[str]:
    """Return what the operator should know about this table."""
    remarks = []
    identity = definition.identity
    names = ", ".join(column.name for column in identity.columns)
    if identity.kind == "assigned":
        remarks.append("its rows have no name of their own: each is given a uuid, kept beside it")
    elif not identity.indexed:
        remarks.append(f"no unique index on {names}: the installation makes an index there")
    for column in definition.locator:
        if column in definition.columns and column.kind == "integer" and not column.reference:
            remarks.append(f"{column.name} is a number that the application gives: sites may clash")
    for one in table.columns:
        if _is_dangling(settled, table, one):
            remarks.append(f"{one.name} is its default, {one.default}, in rows from elsewhere")
    for column in identity.columns:
        if identity.kind == "composite" and column.kind == "integer" and not column.reference:
            remarks.append(f"the number {column.name} is part of its name, as it stands")
    zones = {c.zone for c in (*definition.key_columns, *definition.columns) if c.zone}
    remarks.extend(f"its times are those of the clocks in {zone}" for zone in sorted(zones))
    remarks.extend(_instance_remarks(settled, table))
    for key in settled.links[table.name].compound:
        remarks.extend(_compound_remarks(settled, key.target, key.columns, key.target_columns))
    for group in definition.groups:
        whole = len(group) == len(definition.columns)
        names = "all its columns" if whole else ", ".join(group)
        remarks.append(f"{names} belong together: of two edits at once one wins them all")
    if definition.natural:
        names = ", ".join(definition.natural)
        remarks.append(f"rows of two sites with the same {names} are joined: they are one row")
    if table.storage in UNSAFE_STORAGE:
        remarks.append(f"{table.storage}: a rollback takes back what was captured, not the row")
    return remarks


def _is_dangling(settled: Settled, table: Table, column: Column) -> bool:
    """Return whether a column that cannot be NULL names a row that stays at its site."""
    link = settled.links[table.name].of(column.name, settled.keys)
    return link is not None and link.target not in settled.keys and not column.nullable


def _instance_remarks(settled: Settled, table: Table) -> list[str]:
    entity = settled.profile.super_entity(table.name)
    if entity is None:
        return []
    apart = [t for t in entity.instances if t in settled.refused]
    types = ", ".join(apart)
    return [f"rows of {entity.type} {types} belong to tables that are not synced"] if apart else []


def _compound_remarks(
    settled: Settled, target: str, columns: tuple[str, ...], target_columns: tuple[str, ...]
) -> list[str]:
    other = settled.catalogue.tables.get(target)
    pairs = zip(columns, target_columns, strict=True)
    surrogates = [
        here
        for here, there in pairs
        if other is not None and (column := other.column(there)) and column.automatic
    ]
    return [
        f"{name} travels as the number it is, though {target} is numbered by each site" for name in surrogates
    ]
