"""PostgreSQL's SQL text. Twin: mysql.py."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from changecapture.core.table import Reference, SyncedColumn, SyncedTable
from changecapture.dialect import ACCOUNT, Capture, fingerprint
from changecapture.sql import fill, read_statements

PREFIX = "changecapture."
"""What stands before the name of each of our tables."""
NOW = "(date_part('epoch', clock_timestamp()) * 1000000)::bigint"
NEW_ORIGIN = "replace(gen_random_uuid()::text, '-', '')"
VERSION_TABLE = "changecapture_version"
"""Alembic's, without the prefix."""
TRIGGER_PREFIX = "00_changecapture_"
"""Digits sort before letters: our trigger fires before the application's."""
PLAIN_TYPES = frozenset("integer bigint smallint boolean real numeric text date bytea uuid".split())
PLAIN_TYPES |= {"double precision", "timestamp without time zone", "timestamp with time zone"}
"""Types whose own equality pg_catalog has; all others are compared as text."""

TEXT_TYPES = ("text", "character", "uuid")
"""Types of kind text that are printed the same whatever the session's settings."""

UNREADABLE = (
    r"(?<!\\)((?:\\\\)*)\\u(?:0000|[dD][89aAbB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|"
    r"(?<!\\u[dD][89aAbB][0-9a-fA-F]{2}\\u)[dD][c-fC-F][0-9a-fA-F]{2})"
)
"""What json may hold and no text may: NUL, half of a surrogate pair; backslashes may stand before it."""
SIGN = r"\1\\ufffd"
"""What is shown in its place."""

NOTHING: Mapping[str, tuple[SyncedColumn, str]] = MappingProxyType({})


def quote(name: str) -> str:
    """Return a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return a quoted literal."""
    escaped = text.replace("'", "''")
    return f"E'{escaped.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{escaped}'"


def session_settings(schema: str) -> tuple[str, ...]:
    """Return the statements that make a client's session write what a store's session would."""
    return (
        "SET client_encoding = 'UTF8'",
        "SET standard_conforming_strings = on",
        "SET client_min_messages = warning",
        f"SET search_path = {quote(schema)}",
        "SET lock_timeout = '5s'",
    )


def encode(column: SyncedColumn, expression: str) -> str:
    """Return an expression whose to_jsonb is the column's canonical value (values.py)."""
    match column.kind:
        case "integer" | "float64" | "float32" | "date":
            return expression
        case "boolean":
            return f"{expression}::int"
        case "datetime":
            return expression
        case "decimal":
            return f"trim_scale({expression}::numeric)::text"
        case "instant":
            return f"({expression} AT TIME ZONE 'UTC')"
        case "bytes":
            return (
                f"CASE WHEN {expression} IS NOT NULL THEN jsonb_build_object('base64', "
                f"replace(encode({expression}, 'base64'), E'\\n', '')) END"
            )
        case _ if column.type == "inet":
            return f"abbrev({expression})"  # as it is printed: its cast to text adds /32
        case _:
            return f"{expression}::text"


def plain_text(column: SyncedColumn, expression: str) -> str:
    """Return the expression as the drivers give it alike: a text without padding, or an integer."""
    return expression if column.kind == "integer" else f"{expression}::text"


def encode_json(column: SyncedColumn, expression: str) -> str:
    """Return an expression that is the JSON text of the column's value."""
    if column.kind == "integer":
        return f"coalesce({expression}::text, 'null')"
    return f"coalesce(to_json({encode(column, expression)})::text, 'null')"


def key_array(columns: Iterable[SyncedColumn], alias: str) -> str:
    """Return an expression that is the JSON array of the columns' values, as captured.key has it."""
    parts = " || ',' || ".join(encode_json(c, f"{alias}.{quote(c.name)}") for c in columns)
    return f"'[' || {parts} || ']'"


def row_object(
    columns: Sequence[SyncedColumn], alias: str, named: Mapping[str, tuple[SyncedColumn, str]] = NOTHING
) -> str:
    """Return an expression that is the JSON object of the columns' values, by wire name.

    ``named`` is, by column, which other column of which alias stands in its place.
    """
    if not columns:
        return "'{}'"
    sources = [(*named.get(c.name, (c, alias)), c.wire) for c in columns]
    items = ", ".join(
        f"{encode(c, f'{from_}.{quote(c.name)}')} AS {quote(wire)}" for c, from_, wire in sources
    )
    return f"(SELECT row_to_json(r.*)::text FROM (SELECT {items}) AS r)"


def join_key(
    reference: Reference, key: SyncedColumn, missing: Sequence[str], column: SyncedColumn, alias: str
) -> str:
    """Return the join that gives the key of the row that a column of ``t`` refers to, or NULL.

    A look-up by index for each row, whatever the planner believes of a table that is still growing.
    """
    named = "".join(f" AND {quote(key.name)}::text <> {literal(text)}" for text in missing)
    found = f"k.{quote(reference.target_column)} = t.{quote(column.name)}{named}"
    return (
        f"LEFT JOIN LATERAL (SELECT {quote(key.name)} FROM {quote(reference.table)} AS k "
        f"WHERE {found} LIMIT 1) AS {alias} ON TRUE"
    )


def create_index(
    name: str, table: SyncedTable, covered: Mapping[str, Sequence[str]], *, beside: bool = True
) -> str:
    """Return the statement that makes an index of a table's identity, ``beside`` the application's writes."""
    columns = ", ".join(quote(column.name) for column in table.identity.columns)
    return f"CREATE INDEX {'CONCURRENTLY ' if beside else ''}{quote(name)} ON {quote(table.name)} ({columns})"


def is_native(column: SyncedColumn) -> bool:
    """Return whether ``encode`` alone makes the canonical value: we tell local times."""
    return column.zone is None


def render_capture(table: SyncedTable, table_id: int, schema: str, definer: str = ACCOUNT) -> Capture:
    """Return the capture objects of one table; their names end in a fingerprint of their text.

    They run as who creates them: ``definer`` is MySQL's.
    """
    sections = read_statements("triggers", "postgresql/capture.sql")
    relation = f"{quote(schema)}.{quote(table.name)}"
    holes = {
        "table_id": str(table_id),
        "now": NOW,
        "new_key": key_array(table.key_columns, "NEW"),
        "old_key": key_array(table.key_columns, "OLD"),
        "image": "row_to_json(OLD)::text",
        "changes": "\n".join(_change(column) for column in captured_columns(table)),
        "settings": _settings((*table.key_columns, *table.columns)),
        "unfailing": unfailing(table.name, "left(TG_OP, 1)", indent=8),
    }
    mark = fingerprint([sections["capture"], sections["capture_truncate"], relation, holes])
    function = f"changecapture.capture_{table_id}_{mark}"
    trigger = f"{TRIGGER_PREFIX}{table_id}_{mark}"
    named = {"trigger": quote(trigger), "table": relation, "function": function}
    truncating = {"trigger": f'"{trigger}_truncate"', "table": relation, "function": function}
    return Capture(
        functions={
            function: fill(sections["capture"], function=function, **holes),
            f"{function}_truncate": fill(
                sections["capture_truncate"],
                function=function,
                table=relation,
                table_id=table_id,
                unfailing=holes["unfailing"],
                now=NOW,
                row_key=key_array(table.key_columns, "t"),
            ),
        },
        triggers={
            trigger: fill(sections["row_trigger"], **named),
            f"{trigger}_truncate": fill(
                sections["truncate_trigger"].replace("{{trigger}}_truncate", "{{trigger}}"),
                **truncating,
            ),
        },
        history=_render_history(table, table_id, relation),
        history_view=f"changecapture.{quote(f'{table.name}_history')}",
    )


def _settings(columns: Sequence[SyncedColumn]) -> str:
    """Return the settings of the application's session that would change how a value is printed."""
    own = any(column.kind == "text" and not column.type.startswith(TEXT_TYPES) for column in columns)
    floats = own or {"float32", "float64"} & {column.kind for column in columns}
    found = " SET extra_float_digits = 1" if floats else ""
    return found + (" SET DateStyle = 'ISO, YMD' SET IntervalStyle = 'postgres'" if own else "")


def unfailing(table: str, operation: str, *, indent: int) -> str:
    """Return the clauses that keep a failure of ours from failing the application's statement."""
    section = read_statements("triggers", "postgresql/capture.sql")["unfailing"]
    text = fill(section, name=literal(table), operation=operation, now=NOW)
    return "\n".join(" " * indent + line for line in text.splitlines())


def captured_columns(table: SyncedTable) -> tuple[SyncedColumn, ...]:
    """Return the columns whose changes are captured: those that travel, and the deleted flag."""
    if table.deleted_flag is None:
        return table.columns
    flag = SyncedColumn(table.deleted_flag.column, "text", "text", True)
    return (*table.columns, flag)


def _change(column: SyncedColumn) -> str:
    section = read_statements("triggers", "postgresql/capture.sql")["change"]
    new, old = (f"{alias}.{quote(column.name)}" for alias in ("NEW", "OLD"))
    cast = "" if column.type in PLAIN_TYPES else "::text"
    return " " * 16 + fill(
        section,
        new=f"{new}{cast}",
        old=f"{old}{cast}",
        name=literal(column.wire),
        value=encode(column, new),
    )


def identity_text(table: SyncedTable, alias: str) -> str:
    """Return an expression that is the row's key, for people: the history views."""
    kind = table.identity.kind
    columns = table.identity.columns
    if kind in ("uuid", "natural"):
        return f"{alias}.{quote(columns[0].name)}::text"
    if kind == "composite":
        return key_array(columns, alias)
    return (
        f"(SELECT k.row_key FROM {PREFIX}local_key AS k WHERE k.table_name = {literal(table.wire)} "
        f"AND k.locator = {key_array(table.locator, alias)})"
    )


def _render_history(table: SyncedTable, table_id: int, relation: str) -> tuple[str, ...]:
    sections = read_statements("triggers", "postgresql/history.sql")
    flag = table.deleted_flag
    shown = [c for c in history_columns(table) if flag is None or c.name != flag.column]
    taken = {c.name.lower() for c in shown}
    ours = [
        (name if name not in taken else f"changecapture_{name}", type_)
        for name, type_ in (
            ("changed_at", "timestamptz"),
            ("deleted", "boolean"),
            ("origin", "text"),
        )
    ]
    declared = [(c.name, c.type) for c in shown] + ours
    columns = ", ".join(f"t.{quote(c.name)}" for c in shown)
    function = f"changecapture.{quote(f'{table.name}_history_rows')}"
    return (
        fill(
            sections["history_function"],
            function=function,
            table=relation,
            table_id=table_id,
            wire=literal(table.wire),
            declarations=", ".join(f"{quote(name)} {type_}" for name, type_ in declared),
            live_columns=columns,
            image_columns=columns,
            row_key=key_array(table.key_columns, "t"),
            identity=identity_text(table, "t"),
            readable_deleted=_readable("d.image"),
            readable_pending=_readable("p.image"),
            pending_identity=_pending_identity(table),
            flagged="false"
            if flag is None
            else f"t.{quote(flag.column)} IS NOT DISTINCT FROM {literal(flag.deleted)}",
        ),
        fill(
            sections["history_view"],
            function=function,
            view=f"changecapture.{quote(f'{table.name}_history')}",
        ),
    )


def _readable(image: str) -> str:
    """Return an image as json, which takes any number, with signs in the place of what no text can hold."""
    return f"regexp_replace({image}, {literal(UNREADABLE)}, {literal(SIGN)}, 'g')::json"


def _pending_identity(table: SyncedTable) -> str:
    """Return an expression: the key of a captured row, its local key where that takes a look-up."""
    if table.identity.kind not in ("uuid", "natural"):
        return "c.key"
    place = [column.name for column in table.key_columns].index(table.identity.columns[0].name)
    return f"c.key::json ->> {place}"


def history_columns(table: SyncedTable) -> tuple[SyncedColumn, ...]:
    """Return the columns that a history view shows: locator, identity, then those that travel."""
    return table.key_columns + tuple(c for c in table.columns if c not in table.key_columns)
