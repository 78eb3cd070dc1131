"""Steps: what brings a database to what is wanted, as statements, one step for each table.

Wanted: for each synced table its capture (catalogue x profile x template), its history view and the index
of an identity that has none. Found: the triggers of ours that the database has, and what is written in
``synced_table``. This only reads: ``install`` runs the steps, ``script`` prints them, and it works as well
where nothing or half of ours is installed.

A table is done when its definition is written and active, which is the last statement of its step. So a
step that was cut short (MySQL commits each statement) is found again, and doing all of it again is harmless.
What is missing is created before what is not wanted is dropped: no write is lost in between, and a change
that both capture becomes one entry.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from changecapture import account
from changecapture.catchup import park_columns
from changecapture.core.cascade import find_cascades
from changecapture.core.table import SyncedTable
from changecapture.dialect import Capture, mysql
from changecapture.dialect import cascade as announcing
from changecapture.indexes import index_statements
from changecapture.sql import fill, read_statements
from changecapture.store.sqlstore import SqlStore
from changecapture.wanted import DEFINERS, DIALECTS, Wanted, is_there

PROCEDURES = "procedures"
"""Stands for a table in the steps that concern the procedures of all."""
ASTRAY = "triggers of tables that were renamed"
"""Stands for a table in the step that takes triggers from where they were carried."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is done to one table; ``created`` and ``dropped`` count triggers.

    ``before`` are statements that stand in no transaction: they come first, without the writers' lock.
    """

    table: str
    statements: tuple[str, ...]
    created: int
    dropped: int
    before: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What the database has of ours: triggers with their tables, and the rows of ``synced_table``.

    ``announcers`` are the triggers that announce what foreign keys do, ``procedures`` what they call.
    """

    triggers: Mapping[str, str]
    announcers: Mapping[str, str]
    procedures: Sequence[str]
    numbers: Mapping[str, int]
    definitions: Mapping[int, str]
    """Of the active tables only."""


def list_steps(store: SqlStore, wanted: Wanted) -> list[Step]:
    """Return what is to be done, table by table; empty when all is as wanted."""
    found, dialect, schema = _find(store), DIALECTS[store.engine], read_schema(store)
    numbers = _number_tables(found, wanted.tables)
    captures: dict[str, Capture] = {
        table.name: dialect.render_capture(table, numbers[table.name], schema, DEFINERS[wanted.definer])
        for table in wanted.tables
    }
    steps: list[Step] = []
    if store.engine == "mysql":
        steps += _helping_steps(wanted, found)
    astray = _find_astray({table: capture.triggers for table, capture in captures.items()}, found.triggers)
    steps += _astray_steps(store, astray)
    found = replace(found, triggers={n: t for n, t in found.triggers.items() if n not in astray})
    for table in sorted(wanted.tables, key=lambda table: table.name):
        table_id = numbers[table.name]
        step = _table_step(store, table, table_id, captures[table.name], found)
        if step.created or step.dropped or step.before or found.definitions.get(table_id) != table.to_json():
            steps.append(step)
    steps += _leaving_steps(store, {table.name for table in wanted.tables}, found)
    if store.engine == "mysql":
        steps += _announcing_steps(store, wanted, numbers, found)
        steps = [*_account_steps(store, wanted, bool(steps)), *steps]
    return steps


def _find_astray(wanted: Mapping[str, Mapping[str, str]], found: Mapping[str, str]) -> dict[str, str]:
    """Return {trigger: its table} of those that went along with a table that was renamed out of its place.

    ``wanted`` is {table: its triggers, by name}, ``found`` {trigger: its table}.
    """
    homes = {name: table for table, triggers in wanted.items() for name in triggers}
    return {name: owner for name, owner in found.items() if homes.get(name, owner) != owner}


def _astray_steps(store: SqlStore, astray: Mapping[str, str]) -> Iterator[Step]:
    """Yield the step that drops them, before they are made where they belong."""
    if astray:
        drops = [sql for name, owner in astray.items() for sql in _drop_statements(store, name, owner)]
        yield Step(ASTRAY, tuple(drops), 0, len(astray))


def _account_steps(store: SqlStore, wanted: Wanted, more: bool) -> Iterator[Step]:
    """Yield what the triggers' account lacks; where it cannot be seen, only when there is more to do."""
    if wanted.tables and wanted.definer == "account" and (more or account.can_see(store)):
        statements = account.list_wanted(store)
        if statements:
            yield Step(account.NAME, tuple(statements), 0, 0)


def _number_tables(found: Found, wanted: Sequence[SyncedTable]) -> dict[str, int]:
    """Return the number of each wanted table: the one that it has, else the next."""
    following = max(found.numbers.values(), default=0) + 1
    numbers: dict[str, int] = {}
    for table in sorted(wanted, key=lambda table: table.name):
        numbers[table.name] = found.numbers.get(table.name, following)
        following = max(following, numbers[table.name] + 1)
    return numbers


def has_traces(store: SqlStore) -> bool:
    """Return whether anything of ours is in the database."""
    if store.engine == "postgresql":
        sql = "SELECT count(*) > 0 FROM pg_namespace WHERE nspname = 'changecapture'"
    else:
        sql = (
            "SELECT count(*) > 0 FROM information_schema.tables "
            "WHERE table_schema = DATABASE() AND left(table_name, 14) = 'changecapture_'"
        )
    return bool(store.query(sql)[0][0])


def read_schema(store: SqlStore) -> str:
    """Return the schema of the application's tables."""
    if store.engine == "postgresql":
        return str(store.query("SELECT current_schema()")[0][0])
    return store.url.database


def _find(store: SqlStore) -> Found:
    rows = []
    if is_there(store, "synced_table"):
        rows = store.query(f"SELECT table_name, table_id, active, definition FROM {store.prefix}synced_table")
    triggers = _find_triggers(store)
    announcers = {name for name in triggers if name.startswith(announcing.BEFORE)}
    return Found(
        {name: table for name, table in triggers.items() if name not in announcers},
        {name: table for name, table in triggers.items() if name in announcers},
        _find_procedures(store),
        {str(name): int(table_id) for name, table_id, _, _ in rows},
        {int(table_id): str(definition) for _, table_id, active, definition in rows if active},
    )


def _find_triggers(store: SqlStore) -> dict[str, str]:
    """Return {trigger of ours: its table}."""
    pattern = DIALECTS[store.engine].TRIGGER_PREFIX.replace("_", "\\_") + "%"
    if store.engine == "postgresql":
        sql = (
            "SELECT t.tgname, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
            "WHERE NOT t.tgisinternal AND t.tgname LIKE %s "
            "AND c.relnamespace = current_schema()::regnamespace"
        )
    else:
        sql = (
            "SELECT trigger_name, event_object_table FROM information_schema.triggers "
            "WHERE trigger_schema = DATABASE() AND trigger_name LIKE %s"
        )
    return {str(trigger): str(table) for trigger, table in store.query(sql, (pattern,))}


def _find_procedures(store: SqlStore) -> list[str]:
    if store.engine == "postgresql":
        return []
    rows = store.query(
        "SELECT routine_name FROM information_schema.routines WHERE routine_schema = DATABASE() "
        "AND routine_type = 'PROCEDURE' AND left(routine_name, 14) = 'changecapture_' ORDER BY 1"
    )
    return [str(name) for (name,) in rows]


def _table_step(store: SqlStore, table: SyncedTable, table_id: int, capture: Capture, found: Found) -> Step:
    missing = [name for name in capture.triggers if name not in found.triggers]
    ours = [name for name, owner in found.triggers.items() if owner == table.name]
    stale = [name for name in ours if name not in capture.triggers]
    statements: list[str] = []
    if table.name not in found.numbers:
        statements.append(_number_statement(store, table, table_id))
    statements += capture.functions.values()
    statements += _history_statements(store, capture)
    index = index_statements(store, DIALECTS[store.engine], table, table_id)
    before: list[str] = []
    # MySQL's ALTER TABLE is in no transaction anyhow.
    (before if store.engine == "postgresql" else statements).extend(index)
    statements += [capture.triggers[name] for name in missing]
    for name in stale:
        statements += _drop_statements(store, name, table.name)
    definition = found.definitions.get(table_id)
    if definition is not None and (definition != table.to_json() or len(ours) < len(capture.triggers)):
        statements.append(_unseen_statement(store, table))
    statements += park_columns(store, table, _new_columns(table, definition))
    statements.append(_definition_statement(store, table, table_id))
    return Step(table.name, tuple(statements), len(missing), len(stale), tuple(before))


def _new_columns(table: SyncedTable, definition: str | None) -> set[str]:
    """Return the columns, by wire name, that a table had not when it was installed last."""
    if definition is None:
        return set()
    before = SyncedTable.from_json(definition)
    return {column.wire for column in table.columns} - {column.wire for column in before.columns}


def _number_statement(store: SqlStore, table: SyncedTable, table_id: int) -> str:
    """Give the table its number, once and for all."""
    literal = DIALECTS[store.engine].literal
    return (
        f"INSERT INTO {store.prefix}synced_table "
        "(table_id, table_name, scope, definition, active, backfilled) VALUES "
        f"({table_id}, {literal(table.name)}, {literal(table.scope)}, {literal(table.to_json())}, 0, 0)"
    )


def _unseen_statement(store: SqlStore, table: SyncedTable) -> str:
    """Note that changes may have gone unseen: what follows an installation, and ``status``, reads it."""
    dialect = DIALECTS[store.engine]
    reason = dialect.literal("the table, or its triggers, had changed since the installation before")
    return (
        f"INSERT INTO {store.prefix}missed (table_name, operation, reason, missed_at) "
        f"VALUES ({dialect.literal(table.name)}, 'A', {reason}, {dialect.NOW})"
    )


def _definition_statement(store: SqlStore, table: SyncedTable, table_id: int) -> str:
    """Say that the table is as defined; one that comes back is backfilled again."""
    literal = DIALECTS[store.engine].literal
    # MySQL assigns from left to right: `active` comes last.
    return (
        f"UPDATE {store.prefix}synced_table SET scope = {literal(table.scope)}, "
        f"definition = {literal(table.to_json())}, "
        "backfilled = CASE WHEN active = 1 THEN backfilled ELSE 0 END, "
        "backfill_key = CASE WHEN active = 1 THEN backfill_key ELSE NULL END, "
        f"active = 1 WHERE table_id = {table_id}"
    )


def _leaving_steps(store: SqlStore, wanted: set[str], found: Found) -> Iterator[Step]:
    """Yield the steps of tables that left the plan: no triggers, but the definition stays, so that what
    was captured of them is published."""
    leaving = {name for name, table_id in found.numbers.items() if table_id in found.definitions}
    leaving |= set(found.triggers.values())
    for name in sorted(leaving - wanted):
        triggers = [trigger for trigger, owner in found.triggers.items() if owner == name]
        statements = [s for trigger in triggers for s in _drop_statements(store, trigger, name)]
        if name in found.numbers:
            statements.append(
                f"UPDATE {store.prefix}synced_table SET active = 0 WHERE table_id = {found.numbers[name]}"
            )
        yield Step(name, tuple(statements), 0, len(triggers))


def _render_helpers(wanted: Wanted) -> dict[str, str]:
    """Return the procedures that the triggers of all tables call, by name."""
    if not wanted.tables:
        return {}
    rights = DEFINERS[wanted.definer]
    sections = (("capture", "miss"), ("cascade", "announce"))
    return dict(mysql.render_helper(*section, rights) for section in sections)


def _helping_steps(wanted: Wanted, found: Found) -> Iterator[Step]:
    missing = [sql for name, sql in _render_helpers(wanted).items() if name not in found.procedures]
    if missing:
        yield Step(PROCEDURES, tuple(missing), 0, 0)


def _announcing_steps(
    store: SqlStore, wanted: Wanted, numbers: Mapping[str, int], found: Found
) -> Iterator[Step]:
    """Yield the steps of what announces the actions of foreign keys.

    They come after those of the tables: an announcement names a table by its number.
    """
    tables = {table.name: table for table in wanted.tables}
    cascades = find_cascades(wanted.catalogue, wanted.tables)
    made = announcing.render_announcers(wanted.catalogue, cascades, tables, numbers, DEFINERS[wanted.definer])
    created = [sql for name, sql in made.procedures.items() if name not in found.procedures]
    if created:
        yield Step(PROCEDURES, tuple(created), 0, 0)
    astray = _find_astray(made.triggers, found.announcers)
    yield from _astray_steps(store, astray)
    standing = {name: table for name, table in found.announcers.items() if name not in astray}
    for table in sorted({*made.triggers, *standing.values()}):
        wanted_triggers = made.triggers.get(table, {})
        missing = [sql for name, sql in wanted_triggers.items() if name not in standing]
        stale = [n for n, owner in standing.items() if owner == table and n not in wanted_triggers]
        dropped = [sql for name in stale for sql in _drop_statements(store, name, table)]
        if missing or dropped:
            yield Step(table, (*missing, *dropped), len(missing), len(stale))
    kept = {*made.procedures, *_render_helpers(wanted)}
    stale = [name for name in found.procedures if name not in kept]
    if stale:
        drop = read_statements("triggers", "mysql/remove.sql")["drop_procedure"]
        quote = DIALECTS[store.engine].quote
        yield Step(PROCEDURES, tuple(fill(drop, procedure=quote(name)) for name in stale), 0, 0)


def _history_statements(store: SqlStore, capture: Capture) -> list[str]:
    remove = read_statements("triggers", f"{store.engine}/remove.sql")
    statements = [fill(remove["drop_view"], view=capture.history_view)]
    if store.engine == "postgresql":
        rows = capture.history_view.removesuffix('"') + '_rows"'
        statements.append(fill(remove["drop_function"], function=rows))
    return statements + list(capture.history)


def _drop_statements(store: SqlStore, trigger: str, table: str) -> list[str]:
    dialect = DIALECTS[store.engine]
    remove = read_statements("triggers", f"{store.engine}/remove.sql")
    if store.engine != "postgresql":
        return [fill(remove["drop_trigger"], trigger=dialect.quote(trigger))]
    relation = f"{dialect.quote(read_schema(store))}.{dialect.quote(table)}"
    name = trigger.removeprefix(dialect.TRIGGER_PREFIX)
    function = f"changecapture.{dialect.quote(f'capture_{name}')}"
    return [
        fill(remove["drop_trigger"], trigger=dialect.quote(trigger), table=relation),
        fill(remove["drop_function"], function=function),
    ]
