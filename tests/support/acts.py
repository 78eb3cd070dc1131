"""The acts of an application: named, each about a choice; what its database refuses it leaves."""

from contextlib import suppress
from typing import Any

import psycopg
import pymysql

from changecapture.errors import DataError
from tests.support.family import Family

REFUSED = (DataError, psycopg.IntegrityError, pymysql.IntegrityError)
"""What an application is told when a statement of its own does not go through."""


class Acts:
    """Each public method of a subclass is an act, and takes what it is about."""

    def __init__(self, run: Family) -> None:
        self.run = run

    def act(self, name: str, choice: Any) -> bool:
        """Do one thing; return whether the database let it."""
        with suppress(*REFUSED):
            getattr(self, name)(choice)
            return True
        return False
