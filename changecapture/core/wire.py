"""Texts and numbers as they may stand on the wire: bounded, and storable by every database."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

NAME_LENGTH = 64
"""Of an origin, a scope, a digest: what our tables hold."""
LARGEST = 2**53 - 1
"""Every JSON reader holds whole numbers exactly up to here."""


def check_text(value: Any, length: int = NAME_LENGTH) -> str:
    """Return the text; raise ValueError when it is none, empty, too long, or cannot be stored.

    NUL has no place in a PostgreSQL text, half of a surrogate pair no place in UTF-8.
    """
    if not isinstance(value, str) or not 0 < len(value) <= length:
        raise ValueError(f"{value!r:.80} is not a text of 1 to {length} characters")
    if "\0" in value:
        raise ValueError(f"{value!r:.80} holds a NUL")
    if not value.isascii():
        value.encode()
    return value


def are_texts(values: Sequence[Any], length: int) -> bool:
    """Return whether ``check_text`` takes all of these, at least one."""
    if set(map(type, values)) != {str} or not all(values) or max(map(len, values)) > length:
        return False
    together = "".join(values)
    if not together.isascii():
        try:
            together.encode()
        except UnicodeEncodeError:
            return False
    return "\0" not in together


check_name = lru_cache(maxsize=4096)(check_text)
"""The same for texts that come again and again: origins, scopes, tables."""


def check_number(value: Any) -> int:
    """Return the number; raise ValueError when it is not a whole one from 0 to LARGEST."""
    if type(value) is not int or not 0 <= value <= LARGEST:
        raise ValueError(f"{value!r:.80} is not a number from 0 to 2**53 - 1")
    return value
