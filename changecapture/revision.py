"""The revision of the fixed objects: which one this program needs, read from its own migrations.

Alembic knows it too, but takes longer to import than a command takes to run.
"""

import re
from functools import cache
from importlib.resources import files

_REVISION = re.compile(r"^(revision|down_revision) = (?:\"(\w+)\"|None)$", re.MULTILINE)


@cache
def read_revisions() -> tuple[str, ...]:
    """Return the revisions that this program knows, in the order in which they are made."""
    followed: dict[str | None, str] = {}
    for file in files("migrations").joinpath("versions").iterdir():
        found = dict(_REVISION.findall(file.read_text(encoding="utf-8"))) if file.name[0].isdigit() else {}
        if found:
            followed[found["down_revision"] or None] = found["revision"]
    revisions: list[str] = []
    while (revision := followed.get(revisions[-1] if revisions else None)) is not None:
        revisions.append(revision)
    return tuple(revisions)


def find_head() -> str:
    """Return the revision that this program installs and needs."""
    return read_revisions()[-1]
