"""Many rows at once: what the statements of the log and of the shelf are made of."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from changecapture.core.change import Row
from changecapture.core.codec import PassName
from changecapture.store.session import Session

CHUNK = 2000
"""Values in one condition."""

T = TypeVar("T")


class BulkSession(Session):
    """A session that reads and writes tables of ours by many keys at once."""

    def _spell(self, rows: Iterable[Sequence[Any]]) -> list[Any]:
        """Return rows of a table of ours as lines: as they are sent to the database."""
        raise NotImplementedError

    def _load_lines(self, table: str, columns: Sequence[str], lines: Sequence[Any]) -> None:
        """Append many lines to a table of ours, the fastest way there is."""
        raise NotImplementedError

    def _load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Append many rows to a table of ours."""
        self._load_lines(table, columns, self._spell(rows))

    def _upsert(
        self, table: str, keys: Sequence[str], columns: Sequence[str], rows: Sequence[Sequence[Any]]
    ) -> None:
        """Insert rows into a table of ours, or update the columns of those that are there."""
        raise NotImplementedError

    def _numbered(
        self, table: str, column: str, value: str, wanted: Collection[PassName]
    ) -> dict[PassName, Any]:
        """Return {(origin, epoch, number): value} from a table that is keyed so."""
        numbers: dict[tuple[str, int], list[int]] = defaultdict(list)
        for origin, epoch, number in wanted:
            numbers[origin, epoch].append(number)
        found: dict[PassName, Any] = {}
        for (origin, epoch), group in numbers.items():
            for part in chunks(group):
                condition, parameters = self._among(column, part, "bigint")
                rows = self.query(
                    f"SELECT {column}, {value} FROM {self.prefix}{table} "
                    f"WHERE origin = %s AND epoch = %s AND {condition}",
                    [origin, epoch, *parameters],
                )
                found.update(((origin, epoch, number), item) for number, item in rows)
        return found

    def _known(
        self, table: str, column: str, wanted: Collection[str], value: str | None = None
    ) -> dict[str, str]:
        found: dict[str, str] = {}
        for part in chunks(wanted):
            condition, parameters = self._among(column, part, "text")
            rows = self.query(
                f"SELECT {column}, {value or column} FROM {self.prefix}{table} WHERE {condition}",
                parameters,
            )
            found.update(dict(rows))
        return found

    def _of_rows(
        self,
        statement: str,
        rows: Iterable[Row],
        fetch: bool = True,
        names: tuple[str, str] = ("table_name", "row_key"),
    ) -> Iterator[tuple[Any, ...]]:
        """Run a statement, ending in WHERE or AND, for rows given by table and key."""
        keys: dict[str, list[str]] = defaultdict(list)
        for table, key in rows:
            keys[table].append(key)
        for table, wanted in keys.items():
            for part in chunks(wanted):
                if fetch:
                    yield from self.query(*self._select_keys(statement, names, table, part))
                else:
                    condition, parameters = self._among(names[1], part, "text")
                    self.execute(f"{statement} {names[0]} = %s AND {condition}", [table, *parameters])

    def _packed(self, columns: Sequence[str]) -> str:
        """Return columns, none of which is NULL or holds a NUL character, as they are best selected."""
        return ", ".join(columns)

    def _unpack(self, row: Sequence[Any]) -> Sequence[Any]:
        """Return the values of columns that were selected ``_packed``, numbers perhaps as texts."""
        return row

    def _select_keys(
        self, statement: str, names: tuple[str, str], table: str, keys: Sequence[str]
    ) -> tuple[str, list[Any]]:
        """Return a SELECT, which ends in WHERE or AND, for these keys of a table, and its parameters."""
        condition, parameters = self._among(names[1], keys, "text")
        return f"{statement} {names[0]} = %s AND {condition}", [table, *parameters]


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield lists of at most CHUNK items."""
    every = list(items)
    for start in range(0, len(every), CHUNK):
        yield every[start : start + CHUNK]
