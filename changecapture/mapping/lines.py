"""Where things stand in a mapping file: TOML's reader does not say."""

import re

from changecapture.errors import ConfigError


class Lines:
    """Where things stand in a file: [[record]] number n, and within it [[record.column]] number m."""

    def __init__(self, text: str, where: str) -> None:
        self.where = where
        self.rows = text.splitlines()
        self.starts: dict[tuple[int, str, int], int] = {}
        record, counts = -1, dict[str, int]()
        for number, row in enumerate(self.rows, start=1):
            found = re.match(r"\s*\[\[record(?:\.(\w+))?\]\]", row)
            if found is None:
                continue
            if found[1] is None:
                record, counts = record + 1, {}
            kind = found[1] or ""
            self.starts[record, kind, counts.get(kind, 0)] = number
            counts[kind] = counts.get(kind, 0) + 1

    def find(self, place: tuple[int, str, int] | None, key: str) -> int:
        """Return the line of a key in a part of the file, that of the part where it has no such key."""
        start = 0 if place is None else self.starts.get(place, self.starts.get((place[0], "", 0), 1))
        for number, row in enumerate(self.rows[start:], start=start + 1):
            if key and re.match(rf"\s*{re.escape(key)}\s*=", row):
                return number
            if row.lstrip().startswith("[["):
                break
        return max(start, 1)

    def error(self, place: tuple[int, str, int] | None, key: str, what: str, mend: str) -> ConfigError:
        """Return an error that names the line of a key in a part of the file."""
        number = self.find(place, key)
        return ConfigError(f"{self.where}, line {number}: {what}", mend=mend)
