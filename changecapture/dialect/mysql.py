"""MySQL's and MariaDB's SQL text. Twin: postgresql.py."""

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

from changecapture.core.table import Reference, SyncedColumn, SyncedTable
from changecapture.dialect import ACCOUNT, Capture, fingerprint
from changecapture.sql import fill, read_statements

PREFIX = "changecapture_"
"""What stands before the name of each of our tables."""
NOW = (
    "TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6)) + "
    "TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6))"
)
"""The time of this row, in UTC: UTC_TIMESTAMP is fixed per statement, SYSDATE is local."""
NEW_ORIGIN = "REPLACE(UUID(), '-', '')"
VERSION_TABLE = "version"
"""Alembic's, without the prefix."""
KEYS_COLLATION = "/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */"
"""In which keys compare as bytes, spaces at the end too. Each server reads its own comment."""
SQL_MODE = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
"""Strict: nothing is shortened silently, what does not fit is parked."""
TRIGGER_PREFIX = "changecapture_"
NAME_LENGTH = 64
LONG = 30_000
"""Bytes, above which base64 keeps its line breaks in what is read of a row: see ``_coat``."""
INDEX_LENGTH = 191
"""Characters that fit into an index of any storage engine and row format: 767 bytes."""

NOTHING: Mapping[str, tuple[SyncedColumn, str]] = MappingProxyType({})


def quote(name: str) -> str:
    """Return a quoted identifier."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """Return a quoted literal, right under every sql_mode that we set."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def session_settings(schema: str) -> tuple[str, ...]:
    """Return the statements that make a client's session write what a store's session would."""
    return (
        "SET NAMES utf8mb4 COLLATE utf8mb4_bin",
        f"SET SESSION sql_mode = '{SQL_MODE}', time_zone = '+00:00', lock_wait_timeout = 10",
    )


def encode(column: SyncedColumn, expression: str) -> str:
    """Return an expression that is the JSON text of the column's canonical value, or nearly."""
    match column.kind:
        case "integer" | "boolean" | "float64":
            return f"CAST({expression}{' + 0' if _is_padded(column) else ''} AS CHAR)"
        case "float32":
            return f"CAST(CAST({expression} AS DOUBLE) AS CHAR)"
        case "decimal":
            plus = " + 0" if "zerofill" in column.type else ""
            return f"CONCAT('\"', {_trim_zeros(column, expression + plus)}, '\"')"
        case "date":
            return f"CONCAT('\"', {expression}, '\"')"
        case "time":
            return f"CONCAT('\"', {_trim_zeros(column, expression)}, '\"')"
        case "datetime":
            text = _trim_zeros(column, f"REPLACE({expression}, ' ', 'T')")
            return f"CONCAT('\"', {text}, '\"')"
        case "instant":
            return f"CONCAT('\"', REPLACE({_instant_text(column, expression)}, ' ', 'T'), '\"')"
        case "bytes":
            return _coat("base64", column, expression)
        case "geometry":
            return _coat("geometry", column, expression)
        case _ if re.match(r"(var)?char|\w*text", column.type):
            return f"JSON_QUOTE({expression})"
        case _:
            return f"JSON_QUOTE(CONVERT({expression} USING utf8mb4))"


def _coat(name: str, column: SyncedColumn, expression: str) -> str:
    """Return bytes as base64 in an object. Long ones keep the line breaks of TO_BASE64, escaped, which the
    store takes away: REPLACE takes a time that grows with the square, 90 s for 10 MB."""
    base64 = f"TO_BASE64({expression})"
    text = f"CONCAT('{{\"{name}\":\"', REPLACE({base64}, '\\n', ''), '\"}}')"
    if re.match(r"(tiny)?blob|(var)?binary", column.type):
        return text
    return f"IF(LENGTH({expression}) > {LONG}, CONCAT('{{\"{name}\":', JSON_QUOTE({base64}), '}}'), {text})"


def _is_padded(column: SyncedColumn) -> bool:
    """Return whether a number is printed as bits, or with leading zeros, which JSON has not."""
    return column.type.startswith(("bit", "year")) or "zerofill" in column.type


def _instant_text(column: SyncedColumn, expression: str) -> str:
    """Return a timestamp in UTC, whatever the session's time zone, without zeros that end a fraction."""
    if re.search(r"\([1-6]\)", column.type):
        epoch = f"TIMESTAMPADD(MICROSECOND, UNIX_TIMESTAMP({expression}) * 1000000, '1970-01-01')"
        text = f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {epoch}))"
        text = f"IF({epoch} LIKE '%.%', {text}, {epoch})"
    else:
        text = f"TIMESTAMPADD(SECOND, UNIX_TIMESTAMP({expression}), '1970-01-01 00:00:00')"
    # To UNIX_TIMESTAMP the zero timestamp is 1970.
    return f"IF({expression} = 0, '0000-00-00 00:00:00', {text})"


def _trim_zeros(column: SyncedColumn, expression: str) -> str:
    """Return the expression's text without the zeros that end a fraction, if the type has one."""
    found = re.search(r"\((?:\d+,)?(\d+)\)", column.type)
    decimals = int(found.group(1)) if found else 0
    if column.kind == "decimal" and found and "," not in found.group(0):
        decimals = 0
    if decimals == 0:
        return expression
    return f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {expression}))"


def plain_text(column: SyncedColumn, expression: str) -> str:
    """Return the expression as the drivers give it alike: a text without padding, or an integer."""
    return expression


def encode_json(column: SyncedColumn, expression: str) -> str:
    """Return an expression that is the JSON text of the column's value, 'null' for NULL."""
    if column.kind in ("integer", "boolean") and not _is_padded(column):
        return f"IFNULL({expression}, 'null')"
    return f"IFNULL({encode(column, expression)}, 'null')"


def key_array(columns: Iterable[SyncedColumn], alias: str, changes: Mapping[str, str] | None = None) -> str:
    """Return an expression that is the JSON array of the columns' values, as captured.key has it.

    ``changes``: expressions to take instead of some columns, by name.
    """
    given = changes or {}
    parts = ", ',', ".join(encode_json(c, given.get(c.name, f"{alias}.{quote(c.name)}")) for c in columns)
    return f"CONCAT('[', {parts}, ']')"


def row_object(
    columns: Sequence[SyncedColumn],
    alias: str,
    named: Mapping[str, tuple[SyncedColumn, str]] = NOTHING,
    changes: Mapping[str, str] | None = None,
) -> str:
    """Return an expression that is the JSON object of the columns' values, by wire name.

    ``named`` is, by column, which other column of which alias stands in its place; ``changes`` see
    key_array.
    """
    if not columns:
        return "'{}'"
    given = changes or {}
    items: list[str] = []
    for column in columns:
        source, from_ = named.get(column.name, (column, alias))
        name = f"{',' if items else '{'}{_json_name(column)}:"
        value = encode_json(source, given.get(column.name) or f"{from_}.{quote(source.name)}")
        items.append(f"{literal(name)}, {value}")
    return f"CONCAT({', '.join(items)}, '}}')"


def join_key(
    reference: Reference, key: SyncedColumn, missing: Sequence[str], column: SyncedColumn, alias: str
) -> str:
    """Return the join that gives the key of the row that a column of ``t`` refers to, or NULL.

    A look-up by index for each row: the order of an outer join is fixed here.
    """
    named = "".join(f" AND {alias}.{quote(key.name)} <> {literal(text)}" for text in missing)
    return (
        f"LEFT JOIN {quote(reference.table)} AS {alias} "
        f"ON {alias}.{quote(reference.target_column)} = t.{quote(column.name)}{named}"
    )


def create_index(name: str, table: SyncedTable, covered: Mapping[str, Sequence[str]]) -> str:
    """Return the statement that makes an index of a table's identity.

    ``covered`` are indexes, with their columns, that the new one would displace: they are declared again.
    """
    columns = table.identity.columns
    made = ", ".join(_index_column(column, INDEX_LENGTH // len(columns)) for column in columns)
    parts = [f"ADD INDEX {quote(name)} ({made})"]
    for index, names in covered.items():
        parts.append(f"DROP INDEX {quote(index)}")
        parts.append(f"ADD INDEX {quote(index)} ({', '.join(map(quote, names))})")
    return f"ALTER TABLE {quote(table.name)} {', '.join(parts)}"


def _index_column(column: SyncedColumn, limit: int) -> str:
    """Return a column as an index takes it: of long text only the beginning."""
    declared = re.match(r"(?:varchar|varbinary|\w*text|\w*blob)(?:\((\d+)\))?", column.type)
    if not declared or (declared.group(1) and int(declared.group(1)) <= limit):
        return quote(column.name)
    return f"{quote(column.name)}({limit})"


def is_native(column: SyncedColumn) -> bool:
    """Return whether ``encode`` alone makes the canonical value: not of 32 bit floats and local times."""
    return column.kind != "float32" and column.zone is None


def render_capture(table: SyncedTable, table_id: int, schema: str, definer: str = ACCOUNT) -> Capture:
    """Return the capture objects of one table; their names end in a fingerprint of their text."""
    sections = read_statements("triggers", "mysql/capture.sql")
    relation = quote(table.name)
    shared = {"definer": definer, "table": relation, "table_id": str(table_id), "now": NOW}
    new_key = key_array(table.key_columns, "NEW")
    old_key = key_array(table.key_columns, "OLD")
    changes = "\n".join(_change(column) for column in captured_columns(table))
    image = row_object(history_columns(table), "OLD")
    holes = {
        "insert_trigger": {"new_key": new_key},
        "update_trigger": {
            "new_key": new_key,
            "old_key": old_key,
            "same_key": " AND ".join(" <=> ".join(_compared(column)) for column in table.key_columns),
            "changes": changes,
        },
        "delete_trigger": {"old_key": old_key, "image": image},
    }
    for section, own in holes.items():
        own["unfailing"] = unfailing(table.name, literal(section[0].upper()), definer, indent=4)
    mark = fingerprint([*sections.values(), shared, holes])
    triggers: dict[str, str] = {}
    for section, own in holes.items():
        trigger = f"{TRIGGER_PREFIX}{table_id}_{section.removesuffix('_trigger')}_{mark}"
        triggers[trigger] = fill(sections[section], trigger=quote(trigger), **shared, **own)
    return Capture(
        functions={},
        triggers=triggers,
        history=_render_history(table, table_id, relation, definer),
        history_view=quote(history_name(table, table_id)),
    )


def render_helper(file: str, section: str, definer: str) -> tuple[str, str]:
    """Return the name and the statement of a procedure that the triggers of all tables call."""
    text = fill(
        read_statements("triggers", f"mysql/{file}.sql")[section],
        procedure="{{name}}",
        definer=definer,
        now=NOW,
    )
    name = f"{PREFIX}{section}_{fingerprint([text])}"
    return name, fill(text, name=quote(name))


def unfailing(table: str, operation: str, definer: str, *, indent: int) -> str:
    """Return the declarations that keep a failure of ours from failing the application's statement."""
    section = read_statements("triggers", "mysql/capture.sql")["unfailing"]
    procedure, _ = render_helper("capture", "miss", definer)
    text = fill(section, name=literal(table), operation=operation, procedure=quote(procedure))
    return "\n".join(" " * indent + line for line in text.splitlines())


def captured_columns(table: SyncedTable) -> tuple[SyncedColumn, ...]:
    """Return the columns whose changes are captured: those that travel, and the deleted flag."""
    if table.deleted_flag is None:
        return table.columns
    flag = SyncedColumn(table.deleted_flag.column, "char(1)", "text", True)
    return (*table.columns, flag)


def _change(column: SyncedColumn) -> str:
    section = read_statements("triggers", "mysql/capture.sql")["change"]
    new, old = _compared(column)
    value = encode_json(column, f"NEW.{quote(column.name)}")
    text = fill(section, new=new, old=old, name=literal(f",{_json_name(column)}:"), value=value)
    return "\n".join(" " * 8 + line for line in text.splitlines())


def _compared(column: SyncedColumn) -> tuple[str, str]:
    """Return a column of NEW and of OLD as they are compared: a change of case is a change of a text."""
    new, old = f"NEW.{quote(column.name)}", f"OLD.{quote(column.name)}"
    match column.kind:
        case "text":
            return new, f"BINARY {old}"  # one side is enough
        case "json":
            return f"BINARY {new}", f"BINARY {old}"
        case _:
            return new, old


def identity_text(table: SyncedTable, alias: str) -> str:
    """Return an expression that is the row's key, for people: the history views."""
    kind = table.identity.kind
    columns = table.identity.columns
    if kind in ("uuid", "natural"):
        return _as_key(f"{alias}.{quote(columns[0].name)}")
    if kind == "composite":
        return _as_key(key_array(columns, alias))
    return (
        f"(SELECT k.row_key FROM {PREFIX}local_key AS k WHERE k.table_name = {literal(table.wire)} "
        f"AND k.locator = {_as_key(key_array(table.locator, alias))})"
    )


def _as_key(expression: str) -> str:
    """Return a text of any character set and collation as one that is compared with keys of ours."""
    return f"CONVERT({expression} USING utf8mb4) COLLATE {KEYS_COLLATION}"


def _render_history(table: SyncedTable, table_id: int, relation: str, definer: str) -> tuple[str, ...]:
    sections = read_statements("triggers", "mysql/history.sql")
    flag = table.deleted_flag
    shown = [c for c in history_columns(table) if flag is None or c.name != flag.column]
    taken = {c.name.lower() for c in shown}
    ours = [
        name if name not in taken else f"changecapture_{name}" for name in ("changed_at", "deleted", "origin")
    ]
    names = [c.name for c in shown] + ours
    return (
        fill(
            sections["history_view"],
            definer=definer,
            view=quote(history_name(table, table_id)),
            table=relation,
            table_id=table_id,
            wire=literal(table.wire),
            declarations=", ".join(quote(name) for name in names),
            live_columns=", ".join(_live_column(c) for c in shown),
            image_columns=", ".join(map(_image_column, shown)),
            row_key=key_array(table.key_columns, "t"),
            identity=identity_text(table, "t"),
            pending_identity=_pending_identity(table),
            flagged="FALSE" if flag is None else f"t.{quote(flag.column)} <=> {literal(flag.deleted)}",
        ),
    )


def _image_column(column: SyncedColumn) -> str:
    """Return a column of an image, from captured and deleted_row alike, whose collations are not."""
    return f"JSON_VALUE(d.image, {literal(f'$.{_json_name(column)}')}) COLLATE utf8mb4_bin"


def _live_column(column: SyncedColumn) -> str:
    """Return a column as the history view reads it: texts of every character set side by side."""
    name = f"t.{quote(column.name)}"
    return f"CONVERT({name} USING utf8mb4)" if column.kind in ("text", "json") else name


def _pending_identity(table: SyncedTable) -> str:
    """Return an expression: the key of a captured row, its local key where that takes a look-up."""
    if table.identity.kind not in ("uuid", "natural"):
        return _as_key("c.`key`")
    place = [column.name for column in table.key_columns].index(table.identity.columns[0].name)
    return _as_key(f"JSON_VALUE(c.`key`, '$[{place}]')")


def history_columns(table: SyncedTable) -> tuple[SyncedColumn, ...]:
    """Return the columns that a history view shows: locator, identity, then those that travel."""
    return table.key_columns + tuple(c for c in table.columns if c not in table.key_columns)


def history_name(table: SyncedTable, table_id: int) -> str:
    """Return the name of the history view, within MySQL's limit."""
    name = f"{PREFIX}{table.name}_history"
    return name if len(name) <= NAME_LENGTH else f"{PREFIX}{table_id}_history"


def _json_name(column: SyncedColumn) -> str:
    return '"' + column.wire.replace("\\", "\\\\").replace('"', '\\"') + '"'
