"""Records as JSON lines: the head, one object for each record, and at the end how many there were.

    {"changecapture":1,"instance":..,"epoch":..,"profile":..,"exported":time,"vector":{..}}
    {"table":..,"uuid":..,"instance":..,"entry":..,"stamp":time,"deleted":false,"fields":{column: value},
     "apart":{column: [time, entry]},"also":[uuid]}
    {"records":n}

Only table, uuid and fields are needed of a record that was written by hand.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from changecapture.core.entries import decoder
from changecapture.core.values import dump
from changecapture.errors import ConfigError
from changecapture.record.model import (
    VERSION,
    Column,
    Head,
    Items,
    Record,
    Refused,
    check_record,
    read_stamp,
    read_written,
    show_stamp,
)

LONGEST = 64 * 1024 * 1024
"""Characters in a line."""


class LinesForm:
    """Writes JSON lines."""

    def __init__(self, file: TextIO, head: Head) -> None:
        """Write the head."""
        self._file, self._count = file, 0
        self._write(dump_head(head))

    def begin_table(self, table: str, module: str, columns: Mapping[str, Column]) -> None:
        """See Form: nothing is said of tables."""

    def write(self, record: Record) -> None:
        """See Form."""
        self._write(dump_record(record))
        self._count += 1

    def close(self) -> None:
        """See Form."""
        self._write({"records": self._count})

    def _write(self, item: Mapping[str, Any]) -> None:
        self._file.write(dump(item) + "\n")


def read_lines(file: TextIO) -> tuple[Head, Items]:
    """Return the head and what follows. Raises ConfigError when the file is no export at all."""
    place = file.tell()
    first = _read_first(file)
    if not isinstance(first, dict) or "changecapture" not in first:
        file.seek(place)
        return Head(), _read_records(file, False)
    try:
        return load_head(first), _read_records(file, True)
    except ValueError as error:
        raise ConfigError("the head of the file cannot be read", why=str(error)) from None


def _read_first(file: TextIO) -> Any:
    """Return what the first line says; None where it says nothing."""
    line = file.readline(LONGEST).strip()
    try:
        return read_json(line) if line else None
    except ValueError as error:
        if line.startswith("{") and len(line) > 1:  # a record that is broken: others may not be
            return None
        raise ConfigError(
            "the file is no export: neither XML, nor JSON lines, nor an archive of CSV files",
            why=f"line 1: {getattr(error, 'msg', error)}",
            mend="CSV files are imported as the folder or .zip that they stand in, each named by its table",
        ) from None


def _read_records(file: TextIO, whole: bool) -> Items:
    number = 0
    ended = not whole
    for at, line in enumerate(iter(lambda: file.readline(LONGEST), ""), 2 if whole else 1):
        if not line.strip():
            continue
        number += 1
        place = f"record {number} (line {at})"
        try:
            item = read_json(line)
            if isinstance(item, dict) and "records" in item:
                ended = True
                number -= 1
                continue
            yield load_record(item, place)
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
            yield Refused(place, _explain(error))
    if not ended:
        yield Refused(f"record {number + 1}", "the file was cut short: what came after is missing")


def dump_record(record: Record) -> dict[str, Any]:
    """Return a record as an object."""
    name = record.written.name
    line: dict[str, Any] = {
        "table": record.table,
        "uuid": record.key,
        "instance": name.origin if name else "",
        "entry": str(name) if name else "",
        "stamp": show_stamp(record.written.stamp),
        "deleted": not record.alive,
        "fields": record.values,
    }
    if record.apart:
        line["apart"] = dump_apart(record)
    if record.also:
        line["also"] = record.also
    return line


def load_record(item: Mapping[str, Any], place: str) -> Record:
    """Return what ``dump_record`` wrote, or a person. Raises what malformed JSON makes raise."""
    fields = item["fields"]
    deleted = item.get("deleted", False)
    if not isinstance(fields, dict) or not isinstance(deleted, bool):
        raise ValueError("fields must be an object, deleted true or false")
    return check_record(
        Record(
            item["table"].lower(),
            item["uuid"],
            _unite(((name.lower(), value) for name, value in fields.items()), "one column"),
            not deleted,
            read_written(item.get("stamp") or "", item.get("entry") or ""),
            load_apart(item.get("apart", {})),
            load_also(item.get("also", [])),
            place,
        )
    )


def dump_apart(record: Record) -> dict[str, list[str]]:
    """Return what was written at another time, as it stands in a file."""
    return {
        column: [show_stamp(written.stamp), str(written.name or "")]
        for column, written in record.apart.items()
    }


def load_apart(item: Any) -> dict[str, Any]:
    """Return what ``dump_apart`` wrote. Raises ValueError."""
    return {column: read_written(stamp, name) for column, (stamp, name) in item.items()}


def load_also(item: Any) -> list[str]:
    """Return the other keys of a row as they stand in a file. Raises ValueError."""
    if not isinstance(item, list):
        raise ValueError("also must be a list of uuids")
    return item


def dump_head(head: Head) -> dict[str, Any]:
    """Return the head as an object."""
    times = {"exported": head.exported_at, "since": head.since, "until": head.until}
    return {
        "changecapture": VERSION,
        "instance": head.instance,
        "epoch": head.epoch,
        "profile": head.profile,
        **{name: show_stamp(stamp) for name, stamp in times.items() if stamp is not None},
        "vector": json.loads(head.vector),
    }


def read_json(text: str | bytes) -> Any:
    """Return what a JSON text says. Raises ValueError, also where a name stands twice in an object."""
    try:
        return _decoder.decode(text if isinstance(text, str) else text.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _unite(pairs: Iterable[tuple[str, Any]], what: str = "one name") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name:.60} stands there twice: {what} has one value")
        found[name] = value
    return found


_decoder = json.JSONDecoder(
    object_pairs_hook=_unite, parse_constant=decoder.parse_constant, parse_float=decoder.parse_float
)


def load_head(item: Any) -> Head:
    """Return what ``dump_head`` wrote. Raises ValueError."""
    if not isinstance(item, dict) or item.get("changecapture") != VERSION:
        version = item.get("changecapture") if isinstance(item, dict) else item
        raise ValueError(f"it is of version {version!r:.40}, this program reads {VERSION}")
    try:
        return _load_head(item)
    except (TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"its head cannot be read: {error}") from None


def _load_head(item: Mapping[str, Any]) -> Head:
    return Head(
        str(item.get("instance", "")),
        int(item.get("epoch", 0)),
        str(item.get("profile", "")),
        read_stamp(item.get("exported", "")),
        read_stamp(item.get("since", "")),
        read_stamp(item.get("until", "")),
        dump(item.get("vector", {})),
    )


def _explain(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]}"
    if isinstance(error, TypeError | AttributeError):
        return 'it is not of the form {"table": TEXT, "uuid": TEXT, "fields": {COLUMN: VALUE}}'
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return str(error)
