"""Reads a mapping file (TOML). Each error names the line; there is no code in a mapping.

title = "vesuvius"                      # begins the names of what only such sites understand
[[record]]
name = "person"
  [[record.local]]                      # the application's rows, the record's own first (model.Local)
  table = "person_uuid"
  [[record.common]]                     # Eden's rows, the one with the record's key first (model.Common)
  table = "pr_person"
  [[record.column]]                     # what corresponds (model.Pair)
  local = "person_uuid.family_name"
  common = "pr_person.last_name"
"""

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from changecapture.errors import ConfigError
from changecapture.mapping.lines import Lines
from changecapture.mapping.model import Lens, Record
from changecapture.mapping.parts import KEY, Carried, Codes, Common, Local, Pair, Place
from changecapture.mapping.sense import check_sense

TOP = {"title": str, "record": list}
RECORD = {
    "name": str,
    "local": list,
    "common": list,
    "column": list,
    "carried": list,
    "needs": list,
    "skip": list,
    "named": bool,
}
LOCAL = {"table": str, "name": str, "key": list, "always": bool, "set": dict}
COMMON = {
    "table": str,
    "name": str,
    "scope": str,
    "parent": (str, list),
    "codes": dict,
    "match": dict,
    "latest": str,
    "set": dict,
    "optional": bool,
}
COLUMN = {
    "local": str,
    "common": (str, list),
    "own": list,
    "join": str,
    "values": list,
    "one_way": list,
    "local_none": object,
    "common_none": object,
    "number": bool,
    "unit": str,
    "date": bool,
    "day": bool,
    "whole": str,
    "length": int,
    "copies": list,
}
KINDS = {str: "a text", list: "a list", bool: "true or false", dict: "a record { .. }", int: "a number"}


def parse_mapping(text: str, where: str) -> Lens:
    """Return the mapping that a text holds; raise ConfigError with the line of what is wrong."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not TOML", why=str(error), mend="correct it there") from error
    lines = Lines(text, where)
    _check(lines, None, data, TOP, ("title", "record"))
    for item in data["record"]:
        if not isinstance(item, dict):
            raise lines.error(None, "record", f"{item!r:.40} stands where a table must", "write [[record]]")
    records = tuple(
        _read_record(lines, number, item, data["title"]) for number, item in enumerate(data["record"])
    )
    names = [record.name for record in records]
    for number, name in enumerate(names):
        if name in names[:number]:
            raise lines.error((number, "", 0), "name", f"a second record {name!r}", "give it another name")
    mapping = Lens(data["title"], records)
    check_sense(lines, mapping)
    return mapping


def _check(
    lines: Lines,
    place: tuple[int, str, int] | None,
    data: Mapping[str, Any],
    allowed: Mapping[str, Any],
    required: Iterable[str],
) -> None:
    if not isinstance(data, dict):
        raise lines.error(
            place, "", f"{data!r:.40} stands where a table must", "write [[record]] and its parts"
        )
    for key, value in data.items():
        if key not in allowed:
            raise lines.error(place, key, f"unknown key {key!r}", f"allowed: {', '.join(allowed)}")
        if not isinstance(value, allowed[key]) or (allowed[key] is int and isinstance(value, bool)):
            kinds = allowed[key] if isinstance(allowed[key], tuple) else (allowed[key],)
            wanted = " or ".join(KINDS[kind] for kind in kinds)
            raise lines.error(place, key, f"{key!r} is {value!r:.40}", f"write {wanted}")
    for key in required:
        if not data.get(key):
            raise lines.error(place, "", f"{key!r} is missing", f"needed: {', '.join(required)}")


def _read_record(lines: Lines, number: int, data: Mapping[str, Any], title: str) -> Record:
    here = (number, "", 0)
    _check(lines, here, data, RECORD, ("name", "local", "common"))
    local = tuple(_read_local(lines, (number, "local", n), d) for n, d in enumerate(data["local"]))
    common = tuple(_read_common(lines, (number, "common", n), d) for n, d in enumerate(data["common"]))
    if local[0].key != (KEY,):
        raise lines.error(
            (number, "local", 0), "key", "the first local row has the record's key", "leave it out"
        )
    for kind, parts in (("local", local), ("common", common)):
        names = [part.name for part in parts]
        for n, name in enumerate(names):
            if name in names[:n]:
                mend = "give each a name of its own"
                raise lines.error((number, kind, n), "table", f"a second {kind} row {name!r}", mend)
    if not data.get("column") and not common[0].parent:
        mend = "write what corresponds: [[record.column]]"
        raise lines.error(here, "", "'column' is missing", mend)
    reader = _Places(lines, number, title, {p.name for p in local}, {p.name for p in common})
    pairs = tuple(reader.pair(n, item) for n, item in enumerate(data.get("column", ())))
    reader.check_owners(pairs)
    return Record(
        data["name"],
        local,
        common,
        pairs,
        tuple(reader.carried(here, text) for text in data.get("carried", ())),
        tuple(reader.place(here, "needs", text, reader.common) for text in data.get("needs", ())),
        tuple(data.get("skip", ())),
        data.get("named", False),
    )


def _read_local(lines: Lines, place: tuple[int, str, int], data: Mapping[str, Any]) -> Local:
    _check(lines, place, data, LOCAL, ("table",))
    return Local(
        data.get("name", data["table"]),
        data["table"].lower(),
        tuple(data.get("key", (KEY,))),
        data.get("always", False),
        tuple(data.get("set", {}).items()),
    )


def _read_common(lines: Lines, place: tuple[int, str, int], data: Mapping[str, Any]) -> Common:
    _check(lines, place, data, COMMON, ("table",))
    for key in ("match", "latest", "codes"):
        if key in data and "parent" not in data:
            raise lines.error(
                place, key, f"{key!r} without 'parent'", "name the column that holds the record"
            )
    parent = data.get("parent", ())
    parents = (parent,) if isinstance(parent, str) else tuple(parent)
    for column in data.get("codes", ()):
        if column not in parents:
            raise lines.error(place, "codes", f"'codes' names {column!r}", "name columns of 'parent'")
    return Common(
        data.get("name", data["table"]),
        data["table"].lower(),
        data.get("scope", data["table"].lower().partition("_")[0]),
        parents,
        tuple(data.get("match", {}).items()),
        data.get("latest"),
        tuple(data.get("set", {}).items()),
        {c: _read_codes(lines, place, "codes", items) for c, items in data.get("codes", {}).items()},
        data.get("optional", False),
    )


def _read_codes(lines: Lines, place: tuple[int, str, int], key: str, items: Any) -> Codes:
    """Return a list of codes."""
    for item in items if isinstance(items, (list, tuple)) else [items]:
        if not isinstance(item, list) or len(item) != 2:
            mend = 'write pairs: [["local", common], ..]'
            raise lines.error(place, key, f"{key!r} holds {item!r:.40}", mend)
    return tuple((local, common) for local, common in items)


class _Places:
    """Reads the columns of one record."""

    def __init__(self, lines: Lines, number: int, title: str, local: set[str], common: set[str]) -> None:
        self.lines, self.number, self.title = lines, number, title
        self.local, self.common = local, common

    def place(self, where: tuple[int, str, int], key: str, text: Any, parts: set[str]) -> Place:
        part, dot, column = str(text).partition(".")
        if not dot or not column or part not in parts:
            known = ", ".join(sorted(parts))
            raise self.lines.error(
                where, key, f"{key!r} names {text!r}", f"write part.column; parts: {known}"
            )
        return Place(part, column.lower())

    def carried(self, where: tuple[int, str, int], text: Any) -> Carried:
        place = self.place(where, "carried", text, self.local)
        return Carried(*place, self.beside(place))

    def beside(self, place: Place) -> str:
        """Return the name under which a local value travels beside the common columns."""
        return f"{self.title}:{place.part}.{place.column}"

    def pair(self, number: int, data: Mapping[str, Any]) -> Pair:
        here = (self.number, "column", number)
        _check(self.lines, here, data, COLUMN, ("local", "common"))
        texts = data["common"] if isinstance(data["common"], list) else [data["common"]]
        common = tuple(self.place(here, "common", text, self.common) for text in texts)
        own = tuple(self.place(here, "own", text, self.common) for text in data.get("own", texts))
        if not set(own) <= set(common):
            raise self.lines.error(here, "own", "'own' names more than 'common'", "name columns of 'common'")
        local = self.place(here, "local", data["local"], self.local)
        return Pair(
            local,
            common,
            own,
            self.beside(local),
            data.get("join", " "),
            _read_codes(self.lines, here, "values", data.get("values", ())),
            _read_codes(self.lines, here, "one_way", data.get("one_way", ())),
            data.get("local_none"),
            data.get("common_none"),
            data.get("number", False),
            data.get("length"),
            tuple(self.place(here, "copies", text, self.common) for text in data.get("copies", ())),
            data.get("unit", ""),
            data.get("date", False),
            data.get("day", False),
            self.place(here, "whole", data["whole"], self.common) if "whole" in data else None,
        )

    def check_owners(self, pairs: Iterable[Pair]) -> None:
        owners: dict[Place, int] = {}
        seen: dict[Place, int] = {}
        for number, pair in enumerate(pairs):
            here = (self.number, "column", number)
            if pair.local in seen:
                raise self.lines.error(here, "local", f"{'.'.join(pair.local)} stands twice", "keep one")
            seen[pair.local] = number
            for place in pair.own:
                if place in owners:
                    what = f"{'.'.join(place)} is decided twice"
                    raise self.lines.error(here, "common", what, "take it out of one 'own'")
                owners[place] = number
