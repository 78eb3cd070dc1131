"""Backups of a site's database: made, and put back in its place, as a DBA does; and copies that live on."""

import os
from itertools import count
from typing import Any

from changecapture.memo import Memo
from tests.support.databases import DatabaseServer, dialect_of, name_of, run_client, run_script
from tests.support.dumps import run_postgres, run_script_file
from tests.support.memory import MemorySite
from tests.support.sites import AnySite, Site

_numbers = count(1)


class Backups:
    """Copies of databases on one server; ``close`` drops them."""

    def __init__(self, server: DatabaseServer) -> None:
        self._server = server
        self._made: list[str] = []
        self._copies: list[Site] = []

    def make(self, site: Site) -> str:
        """Return a backup of a site as it is now."""
        return dump(site.url)

    def restore(self, site: Site, backup: str, memo: Memo | None = None) -> None:
        """Put a backup in the place of a site's database; ``memo`` is what outlives that."""
        site.close()
        self._server.drop_database(name_of(site.url))
        self._server.create_database(name_of(site.url))
        run_script_file(site.url, backup)
        site.store.memo = None if memo is None else reread(memo)

    def copy(self, site: Site, profile: str = "generic") -> Site:
        """Return a site that goes on from a copy, beside the original."""
        name = f"cc_{os.getpid()}_copy_{next(_numbers)}"
        self._made.append(name)
        run_script_file(self._server.create_database(name), dump(site.url))
        copied = Site(self._server.url(name), profile)
        self._copies.append(copied)
        return copied

    def close(self) -> None:
        """Drop them all."""
        for site in self._copies:
            site.close()
        for name in self._made:
            self._server.drop_database(name)


def dump(url: str, *, routines: bool = True) -> str:
    """Return a backup, as a DBA makes it; ``routines``: false for MariaDB's as it is made unasked."""
    if dialect_of(url) == "postgresql":
        return run_postgres("pg_dump", url)
    options = ["--triggers", "--single-transaction", "--hex-blob"]
    if routines:
        options.append("--routines")
    return run_client("mariadb-dump", url, options).decode()


def back_up(site: AnySite) -> Any:
    """Return a backup of a site, wherever its database is."""
    if isinstance(site, MemorySite):
        return site.store.dump()
    assert isinstance(site, Site)
    return dump(site.url)


def put_back(site: AnySite, backup: Any) -> None:
    """Put a backup, of this site or another on such a server, in the place of a site's database."""
    if isinstance(site, MemorySite):
        site.restore(backup)
        return
    assert isinstance(site, Site)
    site.close()
    clear(site.url)
    run_script_file(site.url, backup)


def clear(url: str) -> None:
    """Make room for a backup: PostgreSQL's drops nothing."""
    if dialect_of(url) == "postgresql":
        run_script(url, "DROP SCHEMA changecapture CASCADE; DROP SCHEMA public CASCADE")
        run_script(url, "CREATE SCHEMA public")


def reread(memo: Any) -> Memo:
    """Return the memo as a program that starts now reads it."""
    return Memo(memo._path)
