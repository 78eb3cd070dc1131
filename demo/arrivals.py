"""What has arrived at a site from the other: its changelog, read on from where one was."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.eden import Eden

SHOWN = 4
DULL = {"created_on", "modified_on", "uuid", "instance_type", "type", "track_timestmp", "gis_feature_type"}


@dataclass(frozen=True, slots=True)
class Arrival:
    """One entry of the changelog. ``sign``: + a new row, ~ a change, - a delete."""

    sign: str
    table: str
    key: str
    columns: dict[str, Any]

    def __str__(self) -> str:
        shown = [(n, v) for n, v in self.columns.items() if v is not None and n not in DULL]
        shown.sort(key=lambda column: is_uuid(column[1]))
        told = [f"{n} = {tail(v)}" for n, v in shown]
        more = f", and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        what = "deleted" if self.sign == "-" else ", ".join(told[:SHOWN]) + more
        return f"{self.sign} {self.table:<14} {tail(self.key)}  {what}".rstrip()


class Arrivals:
    """Reads a site's changelog; each ``read`` goes on where the last one ended."""

    def __init__(self, eden: Eden) -> None:
        """``eden``: a connection to the site's database."""
        self.prefix = "changecapture." if eden.dialect == "postgresql" else "changecapture_"
        self._eden = eden
        self._position = 0

    def read(self) -> list[Arrival]:
        """Return what came from elsewhere since the last time."""
        return list(self._read())

    def _read(self) -> Iterator[Arrival]:
        log = f"{self.prefix}changelog"
        rows = self._eden.fetch(
            f"SELECT position, table_name, row_key, {self._eden.quote('columns')}, EXISTS (SELECT 1 "
            f"FROM {log} AS e WHERE e.table_name = c.table_name AND e.row_key = c.row_key "
            f"AND e.position < c.position) FROM {log} AS c "
            f"WHERE position > %s AND origin <> (SELECT origin FROM {self.prefix}site) ORDER BY position",
            [self._position],
        )
        for position, table, key, text, known in rows:
            self._position = position
            columns = json.loads(text)
            sign = "-" if columns.get("@alive") is False else "~" if known else "+"
            yield Arrival(sign, table, key, {n: v for n, v in columns.items() if not n.startswith("@")})


def tail(value: Any) -> Any:
    """Return a uuid by its last digits, anything else as it is."""
    return f"..{value[-4:]}" if is_uuid(value) else value


def is_uuid(value: Any) -> bool:
    """Return whether a value is a uuid as Eden writes them."""
    return isinstance(value, str) and value.startswith("urn:uuid:")
