"""The values of a record made canonical: people and spreadsheets write times and numbers in several ways."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from changecapture.core import values
from changecapture.core.fit import check_form
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.core.values import dump
from changecapture.publish.home import LARGEST_ROW, measure
from changecapture.record.model import Record, read_boolean


def fit(table: SyncedTable, record: Record) -> Record:
    """Return a record with canonical values. Raises ValueError for one that cannot be taken."""
    own = {c.wire: c for c in table.columns if c.reference is None}
    here = _list_here(table)
    unsynced = {c.wire for c in table.key_columns} | {name.lower() for name, _ in table.fill}
    unsynced |= {table.deleted_flag.column.lower()} if table.deleted_flag is not None else set()
    if wrong := sorted((unsynced - here) & record.values.keys()):
        raise ValueError(
            f"{', '.join(wrong)} cannot be written so: a row is named by uuid, deleted by deleted"
        )
    given = {
        name: _read(own[name], value) if name in own and not isinstance(value, dict) else value
        for name, value in record.values.items()
    }
    if measure(dump(given)) > LARGEST_ROW:
        raise ValueError("it is too large to travel")
    return replace(record, values=given)


def list_carried(table: SyncedTable, record: Record) -> set[str]:
    """Return the columns of a record that this site does not have: they are kept in the log."""
    return {f"{table.wire}.{name}" for name in record.values.keys() - _list_here(table)}


def _list_here(table: SyncedTable) -> set[str]:
    return {column.wire for column in table.columns}


def _read(column: SyncedColumn, value: Any) -> Any:
    """Return a canonical value of what a person or a program wrote. Raises ValueError."""
    if value is None:
        return None
    try:
        if column.kind == "boolean" or (column.type == "tinyint(1)" and not _is_number(value)):
            return int(read_boolean(str(value)))
        if column.kind == "integer" and Decimal(str(value)) % 1:
            raise ValueError(f"{value!r:.40} is not a whole number")
        if isinstance(value, bool):
            raise ValueError("true and false are no value of such a column: write it as a text or a number")
        read = values.canonical(column.kind, value)
        check_form(column.kind, read)
        return read
    except (ValueError, ArithmeticError, TypeError) as error:
        raise ValueError(f"{column.wire}: {_explain(error)}") from None


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _explain(error: Exception) -> str:
    return str(error) if isinstance(error, ValueError) else "it is no number"
