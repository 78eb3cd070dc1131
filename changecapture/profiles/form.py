"""The form of a profile file, and the check of it: an unknown key is an error that names the place.

A file has single values, records that stand at most once (``[name]``) and lists of records
(``[[name]]``), as below: required keys first, then the others. eden.toml shows each in use.
"""

from collections.abc import Mapping
from typing import Any, get_args

from changecapture.core.catalogue import Action
from changecapture.errors import ConfigError

Kind = type[str] | type[bool] | type[list[str]]
Keys = Mapping[str, Kind]

VALUES: Keys = {"title": str, "extends": str, "module": str, "modified": str, "time_zone": str}

RECORDS: dict[str, tuple[Keys, Keys]] = {
    "recognise": ({"tables": list}, {}),
    "identity": ({"columns": list}, {"unique": bool}),
    "deleted": ({"column": str, "deleted": str, "live": str}, {}),
}

LISTS: dict[str, tuple[Keys, Keys]] = {
    "table": ({"tables": list, "sync": bool, "why": str}, {"module": str, "counted": bool}),
    "column": (
        {"columns": list, "why": str},
        {"travels": bool, "fill": str, "quiet": bool, "time_zone": str},
    ),
    "key": ({"tables": list, "columns": list, "why": str}, {}),
    "reference": ({"column": str, "to": str, "why": str}, {}),
    "needs": ({"columns": list, "why": str}, {"on_delete": str}),
    "natural_key": ({"table": str, "columns": list, "why": str}, {}),
    "group": ({"table": str, "columns": list, "why": str}, {}),
    "tree": ({"column": str}, {}),
    "one_thing": ({"table": str, "key": str, "type": str, "instances": list}, {}),
}

MAY_BE_EMPTY = ("fill", "deleted", "live")
PLACES = ("column", "to")
"""Keys of lists whose text is ``table.column``."""
CHOICES = {"on_delete": get_args(Action)}


def check_form(where: str, data: Mapping[str, Any]) -> None:
    """Raise ConfigError, with the place and what may stand there, when data are not a profile."""
    values = {key: value for key, value in data.items() if key not in {**RECORDS, **LISTS}}
    _check_keys(where, values, {}, VALUES, also=(*RECORDS, *LISTS))
    for key in RECORDS.keys() & data.keys():
        if not isinstance(data[key], dict):
            raise ConfigError(f"{where}: '{key}' is not a record", mend=f"write [{key}]")
        _check_keys(f"{where}: [{key}]", data[key], *RECORDS[key])
    for key in LISTS.keys() & data.keys():
        if not _is_list_of(dict, data[key]):
            raise ConfigError(f"{where}: '{key}' is not a list of records", mend=f"write [[{key}]]")
        for number, record in enumerate(data[key], start=1):
            _check_record(f"{where}: [[{key}]] number {number}", record, *LISTS[key])


def _check_record(where: str, record: Mapping[str, Any], required: Keys, others: Keys) -> None:
    _check_keys(where, record, required, others)
    for key, choice in CHOICES.items():
        if key in record and record[key] not in choice:
            raise ConfigError(
                f"{where}: '{key}' is {record[key]!r}", mend=f"write one of: {', '.join(choice)}"
            )
    for key in PLACES:
        if required.get(key) is str and key in record:
            table, dot, column = record[key].partition(".")
            if not (table and dot and column) or "*" in record[key]:
                raise ConfigError(f"{where}: '{key}' is {record[key]!r}", mend="write table.column")


def _check_keys(
    where: str,
    data: Mapping[str, Any],
    required: Keys,
    others: Keys,
    also: tuple[str, ...] = (),
) -> None:
    """Raise ConfigError for a key that is unknown, missing or of another kind."""
    allowed = {**required, **others}
    for key, value in data.items():
        if key not in allowed:
            known = ", ".join(sorted((*allowed, *also)))
            raise ConfigError(f"{where}: unknown key '{key}'", mend=f"allowed: {known}")
        _check_kind(f"{where}: '{key}'", value, allowed[key], empty=key in MAY_BE_EMPTY)
    for key in required:
        if key not in data:
            known = ", ".join(required)
            raise ConfigError(f"{where}: '{key}' is missing", mend=f"needed: {known}")


def _check_kind(where: str, value: Any, kind: Kind, *, empty: bool) -> None:
    if kind is bool:
        fits, wanted = isinstance(value, bool), "true or false"
    elif kind is str:
        fits, wanted = isinstance(value, str) and (empty or bool(value.strip())), "a text"
    else:
        fits = _is_list_of(str, value) and bool(value) and all(map(str.strip, value))
        wanted = 'a list of texts: ["..", ".."]'
    if not fits:
        shown = "empty" if value in ("", []) else f"{value!r:.60}"
        raise ConfigError(f"{where} is {shown}", mend=f"write {wanted}")


def _is_list_of(kind: type, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)
