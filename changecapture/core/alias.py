"""Aliases: keys that name one row, because the same thing was seeded at two sites.

An alias is an entry of the table ``@alias``, about two keys of a table. Aliases only ever come, and so may
be heard in any order: keys that are joined, directly or through others, are one row, and its name is the
smallest of them as bytes. What was written under any of its keys is merged into that row; whether it exists
is merged key by key (core.merge), so that a delete says nothing of a key that its author did not know.

A version of this program that knows no aliases carries such an entry like that of any table it does not
have, and forwards it.
"""

from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import NamedTuple

from changecapture.core.change import ALIVE, Entry
from changecapture.core.codec import KEY_LENGTH, TABLE_LENGTH
from changecapture.core.merge import read_columns
from changecapture.core.values import dump
from changecapture.core.wire import check_text

ALIAS = "@alias"
"""The table of aliases on the wire. No table of an application is named so (plan)."""


class Alias(NamedTuple):
    """Two keys of a table that are one row, the smaller first."""

    table: str
    low: str
    high: str


def make_alias(table: str, one: str, other: str) -> Alias:
    """Return the alias of two keys, in whichever order."""
    return Alias(table, min(one, other), max(one, other))


def name_alias(alias: Alias) -> str:
    """Return the key of an alias's entry: the same at every site that sees the match."""
    return blake2b(dump(list(alias)).encode(), digest_size=16).hexdigest()


def dump_alias(alias: Alias) -> str:
    """Return the columns of an alias's entry; ``read_alias`` is the inverse."""
    return dump({ALIVE: True, "keys": [alias.low, alias.high], "table": alias.table})


def read_alias(entry: Entry) -> Alias | None:
    """Return what an entry joins, None when it is no alias: a later version may say more with this table."""
    columns = read_columns(entry)
    try:
        table, (low, high) = check_text(columns["table"], TABLE_LENGTH), columns["keys"]
        alias = make_alias(table, check_text(low, KEY_LENGTH), check_text(high, KEY_LENGTH))
    except (KeyError, ValueError, TypeError):
        return None
    if alias.low == alias.high or entry.table != ALIAS or entry.key != name_alias(alias):
        return None
    return alias


def unite(names: Mapping[str, str], pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return {key: name} of all keys that these pairs join, given what they were named before.

    ``names`` holds at least all keys that were joined with one of these pairs' keys, each with its name.
    """
    found: dict[str, str] = dict(names)
    members: dict[str, set[str]] = {}
    for key, name in names.items():
        members.setdefault(name, {name}).add(key)
    for one, other in pairs:
        left, right = found.get(one, one), found.get(other, other)
        joined = members.pop(left, {left}) | members.pop(right, {right})
        name = min(left, right)
        members[name] = joined
        found.update((key, name) for key in joined)
    return found
