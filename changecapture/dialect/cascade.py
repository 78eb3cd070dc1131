"""MySQL's procedures and triggers that announce what foreign keys do. PostgreSQL needs none.

One procedure for each walk (``core.cascade``), so that the code grows with the number of foreign keys, not
with the ways through them; its parameters are typed like the columns that others refer to, so that the
children are found by their index. The triggers on a walk's table call its procedure. Names end in a
fingerprint of everything that is reached: a foreign key more, anywhere, renames all that lead to it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from changecapture.core.cascade import Cascades, Edge, Walk, follow, reached_from, touches
from changecapture.core.catalogue import Catalogue, Column
from changecapture.core.table import SyncedTable
from changecapture.dialect import fingerprint
from changecapture.dialect import mysql as dialect
from changecapture.sql import fill, read_statements

BEFORE = f"{dialect.PREFIX}before_"
"""What the names of these triggers begin with."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is rendered. ``names``: the procedure of each walk; ``numbers``: of the synced tables."""

    catalogue: Catalogue
    cascades: Cascades
    tables: Mapping[str, SyncedTable]
    numbers: Mapping[str, int]
    names: Mapping[Walk, str]
    definer: str


@dataclass(frozen=True, slots=True)
class Announcers:
    """Rendered: ``procedures`` by name, ``triggers`` as {table: {name: statement}}."""

    procedures: dict[str, str]
    triggers: dict[str, dict[str, str]]


def render_announcers(
    catalogue: Catalogue,
    cascades: Cascades,
    tables: Mapping[str, SyncedTable],
    numbers: Mapping[str, int],
    definer: str,
) -> Announcers:
    """Return what announces the actions of foreign keys; ``numbers`` are those of ``synced_table``."""
    names = {walk: _shorten(f"{dialect.PREFIX}{walk.event}_{walk.table}") for walk in cascades}
    draft = Plan(catalogue, cascades, tables, numbers, names, definer)
    texts = {walk: _render_procedure(draft, walk) for walk in cascades}
    marks = {walk: fingerprint(texts[other] for other in _closure(cascades, walk)) for walk in cascades}
    names = {walk: f"{name}_{marks[walk]}" for walk, name in names.items()}
    plan = Plan(catalogue, cascades, tables, numbers, names, definer)
    announcers = Announcers({names[walk]: _render_procedure(plan, walk) for walk in cascades}, {})
    for walk in cascades:
        name, statement = _render_trigger(plan, walk)
        announcers.triggers.setdefault(walk.table, {})[name] = statement
    return announcers


def _shorten(name: str) -> str:
    """Leave room for a fingerprint within MySQL's limit; the fingerprint tells apart what is cut alike."""
    return name[: dialect.NAME_LENGTH - 9]


def _closure(cascades: Cascades, walk: Walk) -> list[Walk]:
    return sorted({walk, *reached_from(cascades, walk)})


# Triggers
def _render_trigger(plan: Plan, walk: Walk) -> tuple[str, str]:
    section = _section(f"before_{walk.event}")
    columns = _referred(plan, walk)
    old = [f"OLD.{dialect.quote(column.name)}" for column in columns]
    new = [f"NEW.{dialect.quote(column.name)}" for column in columns]
    again = any(other in reached_from(plan.cascades, other) for other in _closure(plan.cascades, walk))
    arguments = [*old, *new] if walk.event == "update" else old
    holes = {
        "definer": plan.definer,
        "table": dialect.quote(walk.table),
        "unfailing": dialect.unfailing(walk.table, f"'{walk.event[0]}'", plan.definer, indent=4),
        "call": " " * 8 + _call(plan, walk, arguments, "recursive_call" if again else "call"),
    }
    if walk.event == "update":
        holes["unchanged"] = _unchanged(zip(old, new, strict=True))
    mark = fingerprint([section, *sorted(holes.items())])
    name = f"{_shorten(f'{BEFORE}{walk.event}_{walk.table}')}_{mark}"
    return name, fill(section, trigger=dialect.quote(name), **holes)


def _call(plan: Plan, walk: Walk, arguments: Iterable[str], section: str) -> str:
    procedure = dialect.quote(plan.names[walk])
    return fill(_section(section), procedure=procedure, arguments=", ".join(arguments))


def _unchanged(pairs: Iterable[tuple[str, str]]) -> str:
    # A foreign key passes on a change of case that an equality would not see.
    return " AND ".join(f"BINARY {old} <=> BINARY {new}" for old, new in pairs)


# Procedures
def _render_procedure(plan: Plan, walk: Walk) -> str:
    columns = _referred(plan, walk)
    parameters = [f"old_{n} {_type_of(column)}" for n, column in enumerate(columns, 1)]
    if walk.event == "update":
        parameters += [f"new_{n} {_type_of(column)}" for n, column in enumerate(columns, 1)]
    return fill(
        _section("procedure"),
        definer=plan.definer,
        procedure=dialect.quote(plan.names[walk]),
        parameters=", ".join(parameters),
        edges="\n".join(" " * 4 + _render_edge(plan, walk, edge) for edge in plan.cascades[walk]),
    )


def _render_edge(plan: Plan, walk: Walk, edge: Edge) -> str:
    columns = _fetched(plan, edge)
    variables = {column.name: f"row_{n}" for n, column in enumerate(columns, 1)}
    declared = [f"DECLARE row_{n} {_type_of(column)};" for n, column in enumerate(columns, 1)]
    effects = []
    if _is_captured(plan, edge):
        effects.append(_render_announcement(plan, walk, edge, variables))
    if _goes_on(plan, edge):
        arguments = _pass_on(plan, walk, edge, variables)
        effects.append(_call(plan, edge.leads_to, arguments, "go_on"))
    return fill(
        _section("edge"),
        child=dialect.quote(edge.child),
        variables="\n".join(f"        {line}" for line in declared),
        columns=", ".join(f"t.{dialect.quote(column.name)}" for column in columns),
        matching=_matching(plan, walk, edge),
        fetched=", ".join(variables.values()),
        unfailing=dialect.unfailing(edge.child, _operation(edge), plan.definer, indent=8),
        effects="\n".join(" " * 12 + effect for effect in effects),
    )


def _matching(plan: Plan, walk: Walk, edge: Edge) -> str:
    """Return the condition that finds the children: by their index, the row itself left out."""
    values = _values(plan, walk, "old")
    pairs = list(zip(edge.columns, edge.target_columns, strict=True))
    conditions = [f"t.{dialect.quote(column)} = {values[target]}" for column, target in pairs]
    if edge.child == walk.table:
        itself = " AND ".join(f"t.{dialect.quote(target)} = {values[target]}" for _, target in pairs)
        conditions.append(f"NOT ({itself})")
    if walk.event == "update":
        new = _values(plan, walk, "new")
        conditions.append(f"NOT ({_unchanged((values[target], new[target]) for _, target in pairs)})")
    return "\n              AND ".join(conditions)


def _render_announcement(plan: Plan, walk: Walk, edge: Edge, variables: Mapping[str, str]) -> str:
    table = plan.tables[edge.child]
    announce, _ = dialect.render_helper("cascade", "announce", plan.definer)
    located = [f"t.{dialect.quote(c.name)} = {variables[c.name]}" for c in table.locator]
    shared = {
        "child": dialect.quote(edge.child),
        "located": " AND ".join(located),
        "key": dialect.key_array(table.key_columns, "t"),
        "table_id": plan.numbers[edge.child],
        "announce": dialect.quote(announce),
    }
    if edge.effect == "delete":
        image = dialect.row_object(dialect.history_columns(table), "t")
        return fill(_section("announce_delete"), image=image, **shared)
    changes = _changes(plan, walk, edge)
    changed = [column for column in dialect.captured_columns(table) if column.name in changes]
    return fill(
        _section("announce_update"),
        new_key=dialect.key_array(table.key_columns, "t", changes),
        changed=dialect.row_object(changed, "t", changes=changes),
        **shared,
    )


def _pass_on(plan: Plan, walk: Walk, edge: Edge, variables: Mapping[str, str]) -> list[str]:
    """Return what the child's own procedure is called with."""
    columns = _referred(plan, edge.leads_to)
    old = [variables[column.name] for column in columns]
    if edge.effect == "delete":
        return old
    changes = _changes(plan, walk, edge)
    return old + [changes.get(column.name, variables[column.name]) for column in columns]


def _changes(plan: Plan, walk: Walk, edge: Edge) -> dict[str, str]:
    """Return {column of the child: expression of its new value}."""
    if edge.effect == "clear":
        return dict.fromkeys(edge.columns, "NULL")
    new = _values(plan, walk, "new")
    return {c: new[target] for c, target in zip(edge.columns, edge.target_columns, strict=True)}


def _values(plan: Plan, walk: Walk, which: str) -> dict[str, str]:
    """Return {column of the walk's table: parameter}."""
    return {column.name: f"{which}_{n}" for n, column in enumerate(_referred(plan, walk), 1)}


def _fetched(plan: Plan, edge: Edge) -> list[Column]:
    """Return the child's columns that are read: what finds the row, and what its own walk needs."""
    wanted = {c.name for c in plan.tables[edge.child].locator} if _is_captured(plan, edge) else set()
    if _goes_on(plan, edge):
        wanted |= {column.name for column in _referred(plan, edge.leads_to)}
    return [column for column in plan.catalogue.tables[edge.child].columns if column.name in wanted]


def _referred(plan: Plan, walk: Walk) -> list[Column]:
    """Return the columns of a walk's table that its edges refer to."""
    wanted = {name for edge in plan.cascades[walk] for name in edge.target_columns}
    return [column for column in plan.catalogue.tables[walk.table].columns if column.name in wanted]


def _is_captured(plan: Plan, edge: Edge) -> bool:
    return edge.child in plan.tables and touches(edge, plan.tables[edge.child])


def _goes_on(plan: Plan, edge: Edge) -> bool:
    return bool(follow(plan.cascades, edge))


def _operation(edge: Edge) -> str:
    return "'d'" if edge.effect == "delete" else "'u'"


def _type_of(column: Column) -> str:
    """Return a variable's type: with another collation than the column's no index would be used."""
    if column.character_set is None:
        return column.type
    collation = f" COLLATE {column.collation}" if column.collation else ""
    return f"{column.type} CHARACTER SET {column.character_set}{collation}"


def _section(name: str) -> str:
    return read_statements("triggers", "mysql/cascade.sql")[name]
