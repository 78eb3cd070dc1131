"""The plan: which tables of this database are synced, how, and why. Catalogue x profile, no I/O.

A table is in when a rule of the profile takes it in, it has a usable identity, and every row that
its rows must name is in as well; so a table that drops out takes along those that cannot be without
it, until nothing changes. Every table gets a decision with a reason in words. What is in gets its
definition (``core.table``); the columns that stay at home are listed, each with its reason.

The order of the catalogue, the spelling of its types and the engine do not matter: PostgreSQL and
MySQL decide alike. ``plan`` installs nothing and can be asked at any time.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from changecapture.core.catalogue import Catalogue
from changecapture.core.table import SyncedTable
from changecapture.plan.define import define_table
from changecapture.plan.settle import settle
from changecapture.profiles import Profile, recognise

__all__ = ["Decision", "definitions", "excluded_instances", "plan", "recognise"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one table.

    ``definition`` is None when the table is not synced. ``notes`` are sentences for the operator,
    about this table only. ``local`` are (column, reason) of its columns that do not travel.
    """

    table: str
    synced: bool
    reason: str
    module: str
    definition: SyncedTable | None = None
    notes: tuple[str, ...] = ()
    local: tuple[tuple[str, str], ...] = ()


def plan(catalogue: Catalogue, profile: Profile) -> tuple[Decision, ...]:
    """Return a decision for every table of the catalogue, by name."""
    settled = settle(catalogue, profile)
    decisions = []
    for name in sorted(catalogue.tables):
        module = profile.module_of(name)
        refusal = settled.refused.get(name)
        if refusal is not None:
            decisions.append(Decision(name, False, refusal, module))
            continue
        rule = profile.table_rule(name)
        made = define_table(settled, name)
        reason = rule.why if rule else ""
        decisions.append(Decision(name, True, reason, module, made.definition, made.notes, made.local))
    return tuple(decisions)


def definitions(decisions: Iterable[Decision]) -> tuple[SyncedTable, ...]:
    """Return the definitions of the synced tables."""
    return tuple(d.definition for d in decisions if d.definition is not None)


def excluded_instances(profile: Profile, decisions: Iterable[Decision]) -> dict[str, tuple[str, ...]]:
    """Return, by super-entity table, the types of those rows whose own table is not synced."""
    synced = {decision.table.lower() for decision in decisions if decision.synced}
    excluded = {
        entity.table: tuple(t for t in entity.instances if t.lower() not in synced)
        for entity in profile.super_entities
        if entity.table.lower() in synced
    }
    return {table: types for table, types in excluded.items() if types}
