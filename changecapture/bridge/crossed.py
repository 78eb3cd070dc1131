"""What a change of the application comes to, as a change of a common row."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from changecapture.bridge.subject import Subject
from changecapture.core.change import Row, Version
from changecapture.mapping.difference import Difference
from changecapture.store.interface import Store

ReadLocal = Callable[[Store, Collection[Row]], Mapping[Row, dict[str, Any]]]
"""Reads rows of the application as they are now: wire names, canonical values, references as keys."""


class Crossed(NamedTuple):
    """What the application did to a common row of a record, when, and what is known of the row. ``due``: rows
    of the application that are to be shown now, since what they show has come back with the record."""

    subject: Subject
    difference: Difference
    at: int
    version: Version | None
    due: tuple[Row, ...] = ()
