"""SQL text of the two dialects: the same functions in the same order in each file, no connection."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b


@dataclass(frozen=True, slots=True)
class Capture:
    """The capture objects of one table, rendered. ``triggers`` maps trigger name to statement."""

    functions: dict[str, str]
    triggers: dict[str, str]
    history: tuple[str, ...]
    history_view: str


FINGERPRINT_LENGTH = 8
ACCOUNT = "`changecapture`@`localhost`"
"""MySQL's account that the triggers run as: it is locked, nobody can log in as it."""


def fingerprint(parts: Iterable[object]) -> str:
    """Return what the names of objects made of these parts end in."""
    text = "".join(part if isinstance(part, str) else repr(part) for part in parts)
    return blake2b(text.encode(), digest_size=FINGERPRINT_LENGTH // 2).hexdigest()
