"""SQL text for the store in memory (SQLite): what publish and apply need, and triggers that capture.

It has no twin and installs nothing for anyone: it serves the tests (store/memory.py). The triggers call
``changecapture_capturing()``, ``changecapture_transaction()`` and ``changecapture_now()``, which the store
defines. Only integers and texts are written here.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from changecapture.core.change import DELETE, INSERT, UPDATE
from changecapture.core.table import Reference, SyncedColumn, SyncedTable
from changecapture.dialect.postgresql import captured_columns, history_columns, quote
from changecapture.sql import read_statements

PREFIX = "changecapture_"
NOW = "changecapture_now()"
TRANSACTION = "changecapture_transaction()"
NOTHING: Mapping[str, tuple[SyncedColumn, str]] = MappingProxyType({})

__all__ = ["captured_columns", "history_columns", "quote"]


def literal(text: str) -> str:
    """Return a quoted literal."""
    return "'" + text.replace("'", "''") + "'"


def encode(column: SyncedColumn, expression: str) -> str:
    """Return an expression that JSON functions make the column's canonical value of."""
    return expression


def plain_text(column: SyncedColumn, expression: str) -> str:
    """Return the expression as an integer or a text."""
    return expression if column.kind == "integer" else f"CAST({expression} AS text)"


def key_array(columns: Iterable[SyncedColumn], alias: str) -> str:
    """Return an expression that is the JSON array of the columns' values, as captured.key has it."""
    return f"json_array({', '.join(f'{alias}.{quote(column.name)}' for column in columns)})"


def row_object(
    columns: Sequence[SyncedColumn], alias: str, named: Mapping[str, tuple[SyncedColumn, str]] = NOTHING
) -> str:
    """Return an expression that is the JSON object of the columns' values, by wire name.

    ``named`` is, by column, which other column of which alias stands in its place.
    """
    sources = [(*named.get(c.name, (c, alias)), c.wire) for c in columns]
    items = (f"{literal(wire)}, {from_}.{quote(c.name)}" for c, from_, wire in sources)
    return f"json_object({', '.join(items)})"


def join_key(
    reference: Reference, key: SyncedColumn, missing: Sequence[str], column: SyncedColumn, alias: str
) -> str:
    """Return the join that gives the key of the row that a column of ``t`` refers to, or NULL."""
    named = "".join(f" AND {alias}.{quote(key.name)} <> {literal(text)}" for text in missing)
    found = f"{alias}.{quote(reference.target_column)} = t.{quote(column.name)}{named}"
    return f"LEFT JOIN {quote(reference.table)} AS {alias} ON {found}"


def is_native(column: SyncedColumn) -> bool:
    """Return whether ``encode`` alone makes the canonical value: we tell local times."""
    return column.zone is None


def fixed_objects() -> tuple[str, ...]:
    """Return the statements that make our own tables: PostgreSQL's, in words that SQLite knows."""
    statements = read_statements("triggers", "postgresql/schema.sql")
    return tuple(_respell(text) for name, text in statements.items() if name != "schema")


def _respell(statement: str) -> str:
    text = statement.replace("changecapture.", PREFIX).replace('COLLATE "C"', "")
    text = re.sub(r"\) WITH \(fillfactor = \d+\)", ")", text)
    text = re.sub(r"bigserial\s+NOT NULL PRIMARY KEY", "integer PRIMARY KEY AUTOINCREMENT", text)
    return text.replace("ADD COLUMN IF NOT EXISTS", "ADD COLUMN")


def render_capture(table: SyncedTable, table_id: int) -> dict[str, str]:
    """Return {name: statement} of the triggers that capture a table."""
    new, old = key_array(table.key_columns, "NEW"), key_array(table.key_columns, "OLD")
    image = row_object(history_columns(table), "OLD")
    columns = captured_columns(table)
    changed = " OR ".join(
        f"NEW.{quote(c.name)} IS NOT OLD.{quote(c.name)}" for c in {*columns, *table.key_columns}
    )
    changes = _changes(columns) if columns else "'{}'"
    bodies = {
        INSERT: ("INSERT", "", f"{new}, NULL, NULL, NULL"),
        DELETE: ("DELETE", "", f"{old}, NULL, NULL, {image}"),
        UPDATE: ("UPDATE", f"AND ({changed})", f"{new}, nullif({old}, {new}), {changes}, NULL"),
    }
    return {
        f"{PREFIX}{table_id}_{operation}": _trigger(table, table_id, operation, *body)
        for operation, body in bodies.items()
    }


def _trigger(
    table: SyncedTable, table_id: int, operation: str, event: str, condition: str, values: str
) -> str:
    return (
        f"CREATE TRIGGER {PREFIX}{table_id}_{operation} AFTER {event} ON {quote(table.name)} "
        f"WHEN changecapture_capturing() {condition} BEGIN INSERT INTO {PREFIX}captured "
        "(table_id, operation, key, old_key, changed, image, transaction_id, captured_at) "
        f"VALUES ({table_id}, '{operation}', {values}, {TRANSACTION}, {NOW}); END"
    )


def _changes(columns: Iterable[SyncedColumn]) -> str:
    """Return an expression: the JSON object of the columns that an update changed."""
    each = " UNION ALL ".join(
        f"SELECT {literal(c.wire)} AS name, NEW.{quote(c.name)} AS value "
        f"WHERE NEW.{quote(c.name)} IS NOT OLD.{quote(c.name)}"
        for c in columns
    )
    return f"(SELECT json_group_object(name, value) FROM ({each}))"
