"""Records as CSV: one file a table, in a folder or, where the name ends in .zip, in an archive.

A row's own columns stand behind ours: ``@uuid``, ``@entry``, ``@stamp``, ``@deleted``, ``@apart`` and
``@also`` (JSON, as in lines.py), ``@instance``. Only ``@uuid`` is needed. An empty cell is NULL. What a cell
cannot say begins with a backslash: ``\\empty`` is empty text, ``\\absent`` a value that nobody has written,
``\\json ..`` a value as JSON, ``\\text ..`` a text that a spreadsheet would compute (``=1``, ``+963 11``); a
text that begins with a backslash gets another. ``export.json`` is the head. UTF-8, commas; read with
semicolons too, as spreadsheets write them where a comma stands in numbers.
"""

import csv
import io
import json
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, TextIO
from zipfile import ZIP_DEFLATED, BadZipFile, ZipFile

from changecapture.core.values import dump
from changecapture.errors import ConfigError
from changecapture.record.lines import dump_apart, dump_head, load_also, load_apart, load_head, read_json
from changecapture.record.model import (
    NUMERIC,
    Column,
    Head,
    Items,
    Record,
    Refused,
    check_record,
    read_boolean,
    read_number,
    read_written,
    show_stamp,
)

HEAD = "export.json"
OURS = ("@uuid", "@instance", "@entry", "@stamp", "@deleted", "@apart", "@also")
ABSENT, EMPTY, AS_JSON, AS_TEXT = "\\absent", "\\empty", "\\json ", "\\text "
FORMULAS = ("=", "+", "-", "@", "\t")
"""What a spreadsheet computes, or makes a number of, begins so."""
LONGEST = 64 * 1024 * 1024
DAMAGED = (BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError)
"""What an archive raises that is damaged, encrypted, or packed in a way that is not known here."""

Kinds = Callable[[str, str], str]
"""Of a table and a column, by wire name, to the kind of its values here, '' where it is not here."""


class SheetsForm:
    """Writes CSV into what ``open_file`` opens, one file after the other."""

    def __init__(self, open_file: Callable[[str], IO[bytes]], head: Head) -> None:
        """Write the head."""
        self._open_file = open_file
        self._columns: Mapping[str, Column] = {}
        self._stack = ExitStack()
        self._sheet: Any = None
        with open_file(HEAD) as file:
            file.write((json.dumps(dump_head(head), indent=1) + "\n").encode())

    def begin_table(self, table: str, module: str, columns: Mapping[str, Column]) -> None:
        """See Form."""
        self._stack.close()
        file = self._stack.enter_context(self._open_file(f"{table}.csv"))
        text = self._stack.enter_context(io.TextIOWrapper(file, encoding="utf-8", newline=""))
        self._sheet = csv.writer(text, lineterminator="\n")
        self._columns = columns
        self._sheet.writerow([*OURS, *columns])

    def write(self, record: Record) -> None:
        """See Form."""
        name = record.written.name
        ours = [
            _show_text(record.key),
            _show_text(name.origin if name else ""),
            _show_text(str(name or "")),
            show_stamp(record.written.stamp),
            "" if record.alive else "true",
            dump(dump_apart(record)) if record.apart else "",
            dump(record.also) if record.also else "",
        ]
        cells = [
            show_cell(column.kind, record.values[wire]) if wire in record.values else ABSENT
            for wire, column in self._columns.items()
        ]
        self._sheet.writerow([*ours, *cells])

    def close(self) -> None:
        """See Form."""
        self._stack.close()


def show_cell(kind: str, value: Any) -> str:
    """Return a value as it stands in a cell; ``read_cell`` is the inverse."""
    if value is None:
        return ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and kind in NUMERIC:
        return dump(value)
    if isinstance(value, str) and kind not in NUMERIC and "\0" not in value and "\r" not in value:
        return _show_text(value) or EMPTY
    return AS_JSON + dump(value)


def _show_text(text: str) -> str:
    if text.startswith(FORMULAS):
        return AS_TEXT + text
    return f"\\{text}" if text.startswith("\\") else text


def read_cell(kind: str, text: str) -> Any:
    """Return the value that stands in a cell. Raises ValueError."""
    if text == "":
        return None
    if text == EMPTY:
        return ""
    if text.startswith(AS_JSON):
        return read_json(text[len(AS_JSON) :])
    if text.startswith(AS_TEXT):
        return text[len(AS_TEXT) :]
    if text.startswith("\\\\"):
        return text[1:]
    if text.startswith("\\"):
        raise ValueError(f"{text:.40} means nothing: write a text that begins with a backslash with two")
    if kind not in NUMERIC:
        return text
    return read_number(text)


@contextmanager
def write_sheets(path: Path, head: Head) -> Iterator[SheetsForm]:
    """Give the writer of a folder, which must be new or empty, or of an archive."""
    with ExitStack() as stack:
        if path.suffix.lower() == ".zip":
            archive = stack.enter_context(ZipFile(path, "w", ZIP_DEFLATED))
            form = SheetsForm(lambda name: archive.open(name, "w", force_zip64=True), head)
        else:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise ConfigError(
                    f"{path} is not empty", mend="name a new folder, or a file that ends in .zip"
                )
            form = SheetsForm(lambda name: (path / name).open("wb"), head)
        yield form
        form.close()


def read_sheets(path: Path, kinds: Kinds) -> tuple[Head, Items]:
    """Return the head of a folder or an archive, and what it holds. Raises ConfigError."""
    csv.field_size_limit(min(LONGEST, sys.maxsize))
    if path.is_dir():
        names = sorted(file.name for file in path.iterdir() if file.suffix == ".csv")
        _check_names(path, names, (path / HEAD).exists())
        return _read_head(path / HEAD), _read_tables(names, lambda name: (path / name).open("rb"), kinds)
    try:
        archive = ZipFile(path)
        names = sorted(name for name in archive.namelist() if name.endswith(".csv"))
        head = load_head(read_json(archive.read(HEAD))) if HEAD in archive.namelist() else Head()
    except (*DAMAGED, ValueError) as error:
        raise ConfigError(f"{path} is no archive of an export", why=str(error)) from None
    _check_names(path, names, HEAD in archive.namelist())
    return head, _read_tables(names, archive.open, kinds)


def _check_names(path: Path, names: list[str], whole: bool) -> None:
    if not names and not whole:
        raise ConfigError(f"{path} holds no table", why="a table is a file that ends in .csv")


def _read_head(path: Path) -> Head:
    try:
        return load_head(read_json(path.read_text(encoding="utf-8"))) if path.exists() else Head()
    except ValueError as error:
        raise ConfigError(f"{path} cannot be read", why=str(error)) from None


def _read_tables(names: list[str], open_file: Callable[[str], IO[bytes]], kinds: Kinds) -> Items:
    for name in names:
        try:
            with open_file(name) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline="") as text:
                yield from _read_table(name, text, kinds)
        except DAMAGED as error:
            yield Refused(name, f"the rest of the file cannot be read: {error}")


def _read_table(name: str, text: TextIO, kinds: Kinds) -> Items:
    table = Path(name).stem.lower()
    number = 1
    try:
        first = text.readline()
        mark = ";" if first.count(";") > first.count(",") else ","
        columns = [column.strip().lower() for column in next(csv.reader([first], delimiter=mark), [])]
        if "@uuid" not in columns or len(set(columns)) < len(columns):
            yield Refused(name, "its first line does not name each column once, @uuid among them")
            return
        for cells in csv.reader(text, delimiter=mark, strict=True):
            number += 1
            if cells:
                yield _read_row(table, columns, cells, f"{name} record {number - 1}", kinds)
    except (csv.Error, UnicodeDecodeError) as error:
        yield Refused(f"{name} record {number}", f"the rest of the file cannot be read: {error}")


def _read_row(table: str, columns: list[str], cells: list[str], place: str, kinds: Kinds) -> Record | Refused:
    try:
        if len(cells) != len(columns):
            raise ValueError(f"it has {len(cells)} cells, the first line {len(columns)}")
        row = dict(zip(columns, cells, strict=True))
        ours = {column: row.pop(column, "") for column in OURS}
        values = {}
        for column, text in row.items():
            if text != ABSENT:
                values[column] = read_cell(kinds(table, column), text)
        written = read_written(ours["@stamp"], read_cell("text", ours["@entry"]) or "")
        apart = load_apart(read_json(ours["@apart"])) if ours["@apart"] else {}
        also = load_also(read_json(ours["@also"] or "[]"))
        alive = not (ours["@deleted"].strip() and read_boolean(ours["@deleted"]))
        key = read_cell("text", ours["@uuid"]) or ""
        return check_record(Record(table, key, values, alive, written, apart, also, place))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        return Refused(place, str(error))
