"""Reads the ``.sql`` files: statements by name, holes by substitution, nothing else.

A file holds many statements, each after a line ``-- statement: name``. Lines that are only comments
directly below that line are the statement's header and stay in the file. ``{{hole}}`` is replaced by
text that only dialect code makes. There are no loops and no conditions; a missing and an unused hole
are refused. Statements are never split on ``;``.
"""

import re
from functools import cache
from importlib.resources import files

_MARK = re.compile(r"^-- statement: (\w+)$", re.MULTILINE)
_HOLE = re.compile(r"\{\{(\w+)\}\}")


@cache
def read_statements(package: str, path: str) -> dict[str, str]:
    """Return the statements of a file of an installed package, by name, in the file's order."""
    return split_statements(files(package).joinpath(path).read_text(encoding="utf-8"))


def split_statements(text: str) -> dict[str, str]:
    """Return the statements of a file's text, by name, headers left out."""
    parts = _MARK.split(text)
    names, bodies = parts[1::2], parts[2::2]
    if len(set(names)) != len(names):
        raise ValueError("a statement name stands twice")
    return {
        name: re.sub(r"\A(\s*--[^\n]*\n)+", "", body).strip()
        for name, body in zip(names, bodies, strict=True)
    }


def fill(statement: str, **holes: object) -> str:
    """Return the statement with its holes filled; raise ValueError on a missing or unused one."""
    wanted = set(_HOLE.findall(statement))
    if wanted != set(holes):
        raise ValueError(f"holes {sorted(wanted)} were given {sorted(holes)}")
    return _HOLE.sub(lambda match: str(holes[match.group(1)]), statement)
