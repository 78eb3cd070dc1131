"""The common rows of records, as the log knows them: which there may be, and what they are merged to."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from changecapture.bridge.subject import Subject
from changecapture.core.change import Entry, Order, Row
from changecapture.core.merge import read_columns
from changecapture.mapping.difference import Known, derived_key, merge_known
from changecapture.mapping.model import Record
from changecapture.store.interface import Store


def common_rows(record: Record, key: str, hung: Iterable[Row]) -> list[Row]:
    """Return the common rows that a record may be made of; ``hung``: rows that refer to it."""
    own = [Row(part.table, key) for part in record.thing]
    # What was made for the record may have moved to another one: then it is not to be written again.
    made = [Row(part.table, derived_key(part, key)) for part in record.made]
    return list(dict.fromkeys([*own, *made, *(row for row in hung if row.table in record.hung)]))


def find_common_rows(store: Store, records: Mapping[Subject, Record]) -> dict[Subject, list[Row]]:
    """Return the common rows that records may be made of."""
    hung = store.read_mapped({subject.key for subject in records})
    return {
        subject: common_rows(record, subject.key, hung.get(subject.key, ()))
        for subject, record in records.items()
    }


def read_applied(store: Store, rows: Iterable[Row]) -> dict[Row, list[Entry]]:
    """Return the applied entries of rows."""
    wanted = set(rows)
    logged = store.read_row_entries(wanted) if wanted else {}
    return {row: [entry for entry, applied in found if applied] for row, found in logged.items()}


def read_known(store: Store, rows: Iterable[Row]) -> dict[Row, Known]:
    """Return what common rows are merged to, of those of which an entry is applied."""
    said = store.read_said(set(rows))
    return {row: merge_known(entries) for row, entries in said.items()}


def read_values(store: Store, rows: Collection[Row]) -> dict[Row, dict[str, Any]]:
    """Return the merged columns of common rows that live."""
    found: dict[Row, dict[str, Any]] = {}
    for row, entries in store.read_said(rows).items():
        values = found[row] = {}
        for entry in sorted(entries, key=_order):
            values.update(read_columns(entry))
    return found


def _order(entry: Entry) -> Order:
    return entry.order


def know(
    records: Mapping[Subject, Record],
    rows: Mapping[Subject, Sequence[Row]],
    merged: Mapping[Row, Known],
) -> dict[Subject, dict[tuple[str, str], Known]]:
    """Return the common rows of records, of which these are the rows, and what they are merged to."""
    return {subject: _gather(records[subject], subject.key, own, merged) for subject, own in rows.items()}


def _gather(
    record: Record, key: str, rows: Iterable[Row], merged: Mapping[Row, Known]
) -> dict[tuple[str, str], Known]:
    found: dict[tuple[str, str], Known] = {row: merged[row] for row in rows if row in merged}
    thing = [row for part in record.thing if (row := (part.table, key)) in found]
    if len(thing) > 1:
        word = max(found[row].word for row in thing)
        found |= {row: found[row]._replace(word=word) for row in thing}
    return found
