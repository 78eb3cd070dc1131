"""Walks through what is too much to be read at once."""

from collections.abc import Callable, Collection, Iterator
from operator import attrgetter
from typing import TypeVar

A = TypeVar("A")
T = TypeVar("T")
KEY = attrgetter("key")
"""Where a row stands."""


def walk(
    read: Callable[[A, int], Collection[T]], place: Callable[[T], A], after: A, size: int
) -> Iterator[list[T]]:
    """Yield pages of so many items; ``read`` gives those after a place, ``place`` is where an item stands.

    The first page that is not full is the last: what an application goes on adding behind it is captured,
    and who followed it would come to no end.
    """
    while page := list(read(after, size)):
        yield page
        if len(page) < size:
            return
        after = place(page[-1])
