"""What a store keeps of a mapping: its text, which common rows hang on which record, what was cut short."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from changecapture.core.change import Entry, Row
from changecapture.mapping import Lens, load_mapping
from changecapture.store.bulk import chunks
from changecapture.store.shelf import ShelfStore


class MappedStore(ShelfStore):
    """The part of a store that knows the mapping."""

    mapping: Lens | None = None
    """The installed mapping, None where the application's own tables are on the wire."""

    def load_tables(self) -> None:
        """Read the installed definitions again, the mapping among them."""
        super().load_tables()
        self.mapping = self.read_mapping()

    def read_mapping(self) -> Lens | None:
        """Return the installed mapping, None where there is none."""
        rows = self.query(f"SELECT text, name FROM {self.prefix}mapping")
        return load_mapping(*rows[0]) if rows else None

    def read_mapped(self, records: Collection[str]) -> dict[str, list[Row]]:
        """Return the common rows that hang on each record, by the record's key."""
        found: dict[str, list[Row]] = defaultdict(list)
        for part in chunks(set(records)):
            condition, parameters = self._among("record", part, "text")
            columns = self._packed(("record", "table_name", "row_key"))
            sql = f"SELECT {columns} FROM {self.prefix}mapped_row WHERE {condition}"
            for record, table, key in map(self._unpack, self.query(sql, parameters)):
                found[record].append(Row(table, key))
        return found

    def read_said(self, asked: Collection[Row]) -> dict[Row, list[Entry]]:
        """Return the applied entries of common rows, as far as merging them needs: no pass, base or scope."""
        found: dict[Row, list[Entry]] = defaultdict(list)
        places = self._spread(asked) if asked else {}
        head = self._packed(("table_name", "row_key", "stamp", "origin", "epoch", "number"))
        select = f"SELECT columns, {head} FROM {self.prefix}changelog WHERE applied = 1 AND"
        rows = list(self._of_rows(select, places))
        every = json.loads(f"[{','.join([columns for columns, *_ in rows])}]")
        for (columns, *rest), parsed in zip(rows, every, strict=True):
            table, key, stamp, origin, epoch, number = self._unpack(rest)
            name = origin, int(epoch), int(number)
            entry = Entry(*name, 0, int(stamp), 0, "", table, key, columns, parsed)
            found[places[Row(table, key)]].append(entry)
        return found

    def read_records(self, rows: Collection[Row]) -> dict[Row, str]:
        """Return the key of the record that each common row hangs on."""
        columns = self._packed(("table_name", "row_key", "record"))
        select = f"SELECT {columns} FROM {self.prefix}mapped_row WHERE"
        found = map(self._unpack, self._of_rows(select, rows))
        return {Row(table, key): record for table, key, record in found}

    def write_mapped(self, records: Mapping[Row, str]) -> None:
        """Keep which record common rows hang on."""
        rows = sorted((*row, record) for row, record in records.items())
        self._upsert("mapped_row", ("table_name", "row_key"), ("record",), rows)

    def write_shortened(self, rows: Collection[Row], whole: Mapping[tuple[Row, str], str]) -> None:
        """Replace what is known to be cut short of some rows of the application: {(row, column): value}."""
        if rows and self.query(f"SELECT 1 FROM {self.prefix}shortened LIMIT 1"):
            for _ in self._of_rows(f"DELETE FROM {self.prefix}shortened WHERE", rows, False):
                pass
        now = self.read_clock() if whole else 0
        self._upsert(
            "shortened",
            ("table_name", "row_key", "column_name"),
            ("whole", "noted_at"),
            [(*row, column, value, now) for (row, column), value in whole.items()],
        )

    def read_shortened(self, rows: Collection[Row]) -> set[Row]:
        """Return those of the application's rows in which something is shown cut."""
        if not rows or not self.query(f"SELECT 1 FROM {self.prefix}shortened LIMIT 1"):
            return set()
        select = f"SELECT DISTINCT table_name, row_key FROM {self.prefix}shortened WHERE"
        return {Row(*row) for row in self._of_rows(select, rows)}

    def count_shortened(self) -> int:
        """Return how many texts are shown cut."""
        return int(self.query(f"SELECT count(*) FROM {self.prefix}shortened")[0][0])

    def read_twice_named(self, tables: Sequence[str]) -> list[str]:
        """Return the keys of rows of these tables that two sites made, neither knowing of the other's, and of
        which values were lost."""
        places = ", ".join(["%s"] * len(tables))
        rows = self.query(
            f"SELECT l.row_key FROM (SELECT DISTINCT table_name, row_key FROM {self.prefix}conflict "
            f"WHERE table_name IN ({places})) AS c JOIN {self.prefix}changelog AS l "
            "ON l.table_name = c.table_name AND l.row_key = c.row_key "
            "WHERE l.base_seen = 0 AND l.row_key NOT LIKE 'urn:%%' "
            "GROUP BY l.table_name, l.row_key HAVING min(l.origin) <> max(l.origin)",
            tables,
        )
        return sorted({key for (key,) in rows})
