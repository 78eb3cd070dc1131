"""Which tables can be synced together: drops what cannot be, until nothing changes.

The set only shrinks, and each round judges all tables by the same set, so the outcome does not
depend on any order.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from changecapture.core.catalogue import Catalogue, Column, Table
from changecapture.plan.keys import Key, Refusal, choose_key, choose_locator, column_of
from changecapture.plan.links import Links, find_links
from changecapture.profiles import Profile

UNKNOWN = "the profile {profile} has no rule for this table: to share it, add one"

RESERVED = "$changecapture$"
"""What begins and ends the text of a function on PostgreSQL."""
PLACE = "%s"
"""Where a driver puts a value."""


@dataclass(slots=True)
class Settled:
    """The synced tables with their keys, and the reason why each other one is not."""

    catalogue: Catalogue
    profile: Profile
    links: dict[str, Links]
    keys: dict[str, Key] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def settle(catalogue: Catalogue, profile: Profile) -> Settled:
    """Return which tables are synced, by what key, and why the others are not."""
    spelled = {name.lower(): name for name in catalogue.tables}
    links = {name: find_links(table, profile, spelled) for name, table in catalogue.tables.items()}
    settled = Settled(catalogue, profile, links, refused=_refuse_at_sight(catalogue, profile))
    while _settle_once(settled):
        pass
    return settled


def _settle_once(settled: Settled) -> bool:
    """Judge every table that is still in by the tables that are; return whether any dropped out."""
    tables = {n: t for n, t in settled.catalogue.tables.items() if n not in settled.refused}
    dropped: dict[str, str] = {}
    keys: dict[str, Key] = {}
    for name, table in tables.items():
        links = settled.links[name]
        key = choose_key(table, links, settled.profile, tables)
        if isinstance(key, Refusal):
            dropped[name] = key.reason
            continue
        obstacle = _find_obstacle(table, key, links, settled.profile, tables)
        if obstacle:
            dropped[name] = obstacle
        else:
            keys[name] = key
    settled.keys = keys
    settled.refused.update(dropped)
    return bool(dropped)


def _refuse_at_sight(catalogue: Catalogue, profile: Profile) -> dict[str, str]:
    """Return the tables that no other table has a say in: by rule, or by how they are named."""
    spellings = Counter(name.lower() for name in catalogue.tables)
    refused = {}
    for name, table in catalogue.tables.items():
        rule = profile.table_rule(name)
        if rule is None:
            refused[name] = UNKNOWN.format(profile=profile.name)
        elif not rule.synced:
            refused[name] = rule.why
        elif name.startswith("@"):
            refused[name] = "its name begins with @, which entries keep for themselves"
        elif RESERVED in name:
            refused[name] = f"its name has {RESERVED} in it, which our functions keep for themselves"
        elif PLACE in name:
            refused[name] = f"its name has {PLACE} in it, which stands for a value in statements"
        elif table.inherited:
            refused[name] = "other tables inherit it: it shows their rows as its own"
        elif table.storage == "Aria":
            refused[name] = "its engine Aria knows no savepoints: ALTER TABLE .. ENGINE = InnoDB"
        elif spellings[name.lower()] > 1:
            refused[name] = "another table's name differs only in case: sites could not tell them"
        elif fault := _fault_in_names(table):
            refused[name] = fault
    return refused


def _fault_in_names(table: Table) -> str | None:
    names = Counter(column.name.lower() for column in table.columns)
    for column in table.columns:
        if names[column.name.lower()] > 1:
            return f"the names of its columns {column.name.lower()} differ only in case"
        if column.name.startswith("@"):
            return f"its column {column.name} begins with @, which entries keep for themselves"
        if RESERVED in column.name:
            return f"its column {column.name} has {RESERVED} in it, which our functions keep for themselves"
        if PLACE in column.name:
            return f"its column {column.name} has {PLACE} in it, which stands for a value in statements"
        if len(column.name.splitlines()) > 1:
            return f"its column {column.name!r} has a line break in its name"
    return None


def _find_obstacle(
    table: Table, key: Key, links: Links, profile: Profile, synced: Collection[str]
) -> str | None:
    """Return why rows of this table could not be made at another site, None when they can."""
    for name in (*key.columns, *choose_locator(table, key)):
        if column_of(table, name).generated:
            return f"{name}, which finds its rows, is generated: it cannot be written"
    for column in table.columns:
        rule = profile.column_rule(table.name, column.name)
        if rule is not None and rule.fill is not None and not rule.travels:
            continue
        link = links.of(column.name, synced)
        if link is not None and link.target not in synced:
            need = profile.need(table.name, column.name, link.on_delete)
            if need is not None:
                return f"{column.name} names a row of {link.target}, which is not synced: {need.why}"
            if must_be_given(column) or column.name in key.columns:
                return f"{column.name} must name a row of {link.target}, which is not synced"
        if rule is not None and not rule.travels and must_be_given(column):
            return f"{column.name} does not travel, but must have a value: give the profile a fill for it"
    for compound in links.compound:
        columns = [column_of(table, name) for name in compound.columns]
        if compound.target not in synced and all(map(must_be_given, columns)):
            return f"{', '.join(compound.columns)} must name a row of {compound.target}, which is not synced"
    return None


def must_be_given(column: Column) -> bool:
    """Return whether an INSERT that leaves this column out fails, or makes up a value."""
    return not column.nullable and column.default is None and not column.automatic and not column.generated
