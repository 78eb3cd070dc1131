"""Reads a profile file (TOML; its form stands in form.py).

A file may begin with ``extends = "eden"``: its lists of rules then stand before those of that
profile, so that they win, and its single values and records replace them.
"""

import tomllib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from changecapture.core.table import DeletedFlag
from changecapture.core.zones import find_zone
from changecapture.errors import ConfigError
from changecapture.profiles.form import check_form
from changecapture.profiles.model import (
    DEFAULT_MODULE,
    ColumnRule,
    Group,
    HiddenReference,
    KeyRule,
    NaturalKey,
    Need,
    Profile,
    SuperEntity,
    TableRule,
    Tree,
)

Record = dict[str, Any]


def parse_profile(name: str, text: str, load_base: Callable[[str], Profile], *, where: str = "") -> Profile:
    """Return the profile that a file's text holds.

    ``where`` names the file in errors; ``load_base`` gives the profile that it extends. Raises
    ConfigError, with the place and what is allowed there.
    """
    where = where or f"{name}.toml"
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not TOML", why=str(error), mend="correct it there") from error
    check_form(where, data)
    own = _read_rules(_read_values(name, data), data)
    return _extend(own, load_base(data["extends"]), data) if "extends" in data else own


def _read_values(name: str, data: Record) -> Profile:
    """Return a profile with the file's single values and records, without rules."""
    identity = data.get("identity", {})
    deleted = data.get("deleted")
    return Profile(
        name=name,
        title=_line(data.get("title", name)),
        module=data.get("module", DEFAULT_MODULE),
        recognised_by=tuple(data.get("recognise", {}).get("tables", ())),
        uuid_columns=tuple(identity.get("columns", ())),
        uuid_unique=identity.get("unique", True),
        deleted=None if deleted is None else DeletedFlag(**deleted),
        modified=data.get("modified"),
        time_zone=_zone(data.get("time_zone", "UTC")),
    )


def _read_rules(profile: Profile, data: Record) -> Profile:
    """Return the profile with the file's lists of rules."""

    def rules(key: str) -> list[Record]:
        found: list[Record] = data.get(key, [])
        return found

    return replace(
        profile,
        tables=tuple(
            TableRule(
                tuple(r["tables"]), r["sync"], _line(r["why"]), r.get("module"), r.get("counted", False)
            )
            for r in rules("table")
        ),
        columns=tuple(_read_column_rule(r) for r in rules("column")),
        keys=tuple(KeyRule(tuple(r["tables"]), tuple(r["columns"]), _line(r["why"])) for r in rules("key")),
        references=tuple(
            HiddenReference(*_place(r["column"]), *_place(r["to"]), why=_line(r["why"]))
            for r in rules("reference")
        ),
        needs=tuple(Need(tuple(r["columns"]), _line(r["why"]), r.get("on_delete")) for r in rules("needs")),
        natural_keys=tuple(
            NaturalKey(r["table"], tuple(r["columns"]), _line(r["why"])) for r in rules("natural_key")
        ),
        groups=tuple(Group(r["table"], tuple(r["columns"]), _line(r["why"])) for r in rules("group")),
        trees=tuple(Tree(*_place(r["column"])) for r in rules("tree")),
        super_entities=tuple(
            SuperEntity(r["table"], r["key"], r["type"], tuple(r["instances"])) for r in rules("one_thing")
        ),
    )


def _read_column_rule(record: Record) -> ColumnRule:
    return ColumnRule(
        columns=tuple(record["columns"]),
        travels=record.get("travels", True),
        why=_line(record["why"]),
        fill=record.get("fill"),
        quiet=record.get("quiet", False),
        time_zone=_zone(record["time_zone"]) if "time_zone" in record else None,
    )


def _extend(own: Profile, base: Profile, data: Record) -> Profile:
    """Return the base with what a file says of its own: its rules first, its values instead."""
    given = {
        "title": "title",
        "module": "module",
        "modified": "modified",
        "time_zone": "time_zone",
        "recognise": "recognised_by",
        "deleted": "deleted",
    }
    values = {field: getattr(own, field) for key, field in given.items() if key in data}
    if "identity" in data:
        values |= {"uuid_columns": own.uuid_columns, "uuid_unique": own.uuid_unique}
    return replace(
        base,
        name=own.name,
        **values,
        tables=own.tables + base.tables,
        columns=own.columns + base.columns,
        keys=own.keys + base.keys,
        references=own.references + base.references,
        needs=own.needs + base.needs,
        natural_keys=own.natural_keys + base.natural_keys,
        groups=own.groups + base.groups,
        trees=own.trees + base.trees,
        super_entities=own.super_entities + base.super_entities,
    )


def _zone(name: str) -> str:
    try:
        find_zone(name)
    except ValueError as error:
        mend = 'write a name like "Asia/Colombo"; if that is one, install the package tzdata'
        raise ConfigError(str(error), mend=mend) from error
    return name


def _place(text: str) -> tuple[str, str]:
    table, _, column = text.partition(".")
    return table, column


def _line(text: str) -> str:
    return " ".join(text.split())
