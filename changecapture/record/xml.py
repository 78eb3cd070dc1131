"""Records as XML, valid against export.xsd. Read piece by piece: a file may be larger than memory.

A document type is refused, and with it every entity: nothing of a file is ever expanded or fetched.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from changecapture.core.change import ALIVE
from changecapture.core.values import dump
from changecapture.errors import ConfigError
from changecapture.record.lines import load_also, read_json
from changecapture.record.model import (
    VERSION,
    Column,
    Head,
    Items,
    Record,
    Refused,
    Written,
    check_record,
    read_boolean,
    read_number,
    read_stamp,
    read_written,
    show_stamp,
)

SCHEMA = Path(__file__).with_name("export.xsd")
PIECE = 65536
LONGEST = 64 * 1024 * 1024
"""Characters in one record."""
_UNFIT = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped."""
_BREAKS = {"\r": "&#13;"}


class XmlForm:
    """Writes XML."""

    def __init__(self, file: TextIO, head: Head) -> None:
        """Write the beginning."""
        self._file = file
        self._columns: Mapping[str, Column] = {}
        self._open = False
        times = {"exported": head.exported_at, "since": head.since, "until": head.until}
        given = {
            "version": str(VERSION),
            "instance": head.instance,
            "epoch": str(head.epoch),
            "profile": head.profile,
            **{name: show_stamp(stamp) for name, stamp in times.items()},
            "vector": head.vector,
        }
        file.write(f'<?xml version="1.0" encoding="UTF-8"?>\n<changecapture{_attributes(given)}>\n')

    def begin_table(self, table: str, module: str, columns: Mapping[str, Column]) -> None:
        """See Form."""
        self._end_table()
        self._columns, self._open = columns, True
        self._file.write(f"  <table{_attributes({'name': table, 'module': module})}>\n")

    def write(self, record: Record) -> None:
        """See Form."""
        name = record.written.name
        existence = record.apart.get(ALIVE, Written())
        given = {
            "uuid": record.key,
            "instance": name.origin if name else "",
            "entry": str(name or ""),
            "stamp": show_stamp(record.written.stamp),
            "deleted": "" if record.alive else "true",
            "existence-stamp": show_stamp(existence.stamp),
            "existence-entry": str(existence.name or ""),
            "also": dump(record.also) if record.also else "",
        }
        self._file.write(f"    <record{_attributes(given)}>\n")
        for column, value in record.values.items():
            refers = self._columns[column].refers if column in self._columns else ""
            self._file.write(_field(column, value, refers, record.apart.get(column)))
        self._file.write("    </record>\n")

    def close(self) -> None:
        """See Form."""
        self._end_table()
        self._file.write("</changecapture>\n")

    def _end_table(self) -> None:
        if self._open:
            self._file.write("  </table>\n")


def _attributes(given: Mapping[str, str]) -> str:
    return "".join(f" {name}={quoteattr(value)}" for name, value in given.items() if value)


def _field(column: str, value: Any, refers: str, apart: Written | None) -> str:
    kind, text = "", ""
    if isinstance(value, str):
        unfit = _UNFIT.search(value)
        kind, text = ("json", json.dumps(value)) if unfit else ("", value)
    elif value is not None:
        kind, text = "json" if isinstance(value, dict) else "number", dump(value)
    given = {
        "name": column,
        "null": "true" if value is None else "",
        "type": kind,
        "refers": refers,
        "stamp": show_stamp(apart.stamp) if apart else "",
        "entry": str(apart.name or "") if apart else "",
    }
    return f"      <field{_attributes(given)}>{escape(text, _BREAKS)}</field>\n"


def read_xml(file: BinaryIO) -> tuple[Head, Items]:
    """Return the head and what follows. Raises ConfigError when it is no such file."""
    reader = _Reader()
    items = reader.read(file)
    first = next(items, None)
    return reader.head, _again(first, items)


def _again(first: Record | Refused | None, rest: Items) -> Items:
    if first is not None:
        yield first
        yield from rest


class _Reader:
    """Takes what expat finds, and makes records of it."""

    def __init__(self) -> None:
        self.head = Head()
        self._found: list[Record | Refused] = []
        self._path: list[str] = []
        self._table = ""
        self._record: dict[str, str] = {}
        self._values: dict[str, Any] = {}
        self._apart: dict[str, Written] = {}
        self._field: dict[str, str] = {}
        self._text: list[str] = []
        self._wrong = ""
        self._number = self._size = 0
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._parser.StartDoctypeDeclHandler = self._refuse

    def read(self, file: BinaryIO) -> Items:
        """Yield what is found; what makes the rest unreadable comes last."""
        try:
            for piece in iter(lambda: file.read(PIECE), b""):
                self._parser.Parse(piece, False)
                yield from self._take()
            self._parser.Parse(b"", True)
            yield from self._take()
        except expat.ExpatError as error:
            yield from self._take()
            if not self._number and not self._path:
                raise ConfigError("the file is no XML", why=str(error)) from None
            yield Refused(f"record {self._number + 1}", f"the file is no XML from here on: {error}")
        except (ValueError, LookupError) as error:  # of the declaration, before anything is found
            if self._number or self._path:
                raise
            raise ConfigError(
                "the file is in an encoding that is not read", why=str(error), mend="save it as UTF-8"
            ) from None

    def _take(self) -> Iterable[Record | Refused]:
        found, self._found = self._found, []
        return found

    def _refuse(self, *_: Any) -> None:
        raise ConfigError(
            "the file has a document type", why="a DTD is never read", mend="remove <!DOCTYPE ..>"
        )

    def _begin(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        match self._path:
            case ["changecapture"]:
                self.head = _read_head(attributes)
            case ["changecapture", "table"]:
                self._table = attributes.get("name", "").lower()
            case ["changecapture", "table", "record"]:
                self._number += 1
                self._record, self._values, self._apart = attributes, {}, {}
                self._wrong, self._size = "", 0
            case ["changecapture", "table", "record", "field"]:
                self._field, self._text = attributes, []
            case [_]:
                raise ConfigError(f"the file holds <{name}>", why="an export begins with <changecapture>")
            case ["changecapture", "table", "record", *_]:
                self._wrong = self._wrong or f"<{name}> has no place there"
            case ["changecapture", other] | ["changecapture", "table", other]:
                place = f"after record {self._number}"
                self._found.append(
                    Refused(place, f"<{other:.40}> has no place there: what it holds is not read")
                )

    def _characters(self, text: str) -> None:
        if len(self._path) == 4:
            self._size += len(text)
            if self._size > LONGEST:
                self._wrong, self._text = "it is too long", []
                return
            self._text.append(text)

    def _end(self, name: str) -> None:
        match self._path:
            case ["changecapture", "table", "record", "field"]:
                self._end_field()
            case ["changecapture", "table", "record"]:
                self._end_record()
        self._path.pop()

    def _end_field(self) -> None:
        given = self._field
        column = given.get("name", "").lower()
        try:
            if column in self._values:
                raise ValueError(f"{column} stands there twice")
            self._values[column] = _read_value(given, "".join(self._text))
            if given.get("stamp") or given.get("entry"):
                self._apart[column] = read_written(given.get("stamp", ""), given.get("entry", ""))
        except (ValueError, RecursionError) as error:
            self._wrong = self._wrong or f"{column}: {error}"

    def _end_record(self) -> None:
        place, given = f"record {self._number}", self._record
        try:
            if self._wrong:
                raise ValueError(self._wrong)
            if given.get("existence-stamp"):
                stamp = given["existence-stamp"]
                self._apart[ALIVE] = read_written(stamp, given.get("existence-entry", ""))
            written = read_written(given.get("stamp", ""), given.get("entry", ""))
            alive = not read_boolean(given.get("deleted", "false"))
            key, also = given.get("uuid", ""), load_also(read_json(given.get("also", "[]")))
            record = Record(self._table, key, self._values, alive, written, self._apart, also, place)
            self._found.append(check_record(record))
        except ValueError as error:
            self._found.append(Refused(place, str(error)))


def _read_value(given: Mapping[str, str], text: str) -> Any:
    if read_boolean(given.get("null", "false")):
        return None
    match given.get("type", "text"):
        case "text":
            return text
        case "number":
            return read_number(text)
        case "json":
            return read_json(text)
        case kind:
            raise ValueError(f"{kind:.40} is no type")


def _read_head(given: Mapping[str, str]) -> Head:
    try:
        if int(given.get("version", VERSION)) != VERSION:
            raise ValueError(f"it is of version {given['version']}, this program reads {VERSION}")
        exported, since, until = (read_stamp(given.get(n, "")) for n in ("exported", "since", "until"))
        epoch = int(given.get("epoch", 0))
        name, profile = given.get("instance", ""), given.get("profile", "")
        return Head(name, epoch, profile, exported, since, until, given.get("vector", "{}"))
    except ValueError as error:
        raise ConfigError("the file cannot be read", why=str(error)) from None
