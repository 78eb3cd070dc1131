"""Wanted: what an installation is meant to come to, from the catalogue, a profile and two choices.

The profile and the definer are those that are named, else those that were installed before. Reads only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from changecapture.core.catalogue import Catalogue
from changecapture.core.table import SyncedTable
from changecapture.dialect import ACCOUNT
from changecapture.dialect import mysql as mysql_dialect
from changecapture.dialect import postgresql as postgresql_dialect
from changecapture.errors import ConfigError
from changecapture.plan import Decision, definitions, plan
from changecapture.profiles import AUTO, choose_profile
from changecapture.store.sqlstore import SqlStore

DIALECTS: Mapping[str, ModuleType] = {
    "postgresql": postgresql_dialect,
    "mysql": mysql_dialect,
}
DEFINERS: Mapping[str, str] = {"account": ACCOUNT, "current": "CURRENT_USER"}
"""Whose rights MySQL's triggers have: an account of our own, or who installs."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """``profile``: its name, or its file; ``definer``: a key of DEFINERS; ``tables``: what is synced."""

    profile: str
    definer: str
    catalogue: Catalogue
    tables: tuple[SyncedTable, ...]


def find_wanted(store: SqlStore, profile: str | None = None, definer: str | None = None) -> Wanted:
    """Return what is wanted; raise ConfigError when nothing would be synced, and as ``decide`` does.

    ``profile`` is a profile's name, a file, ``auto``, or None for the one that was installed before.
    """
    catalogue = store.read_catalogue()
    name, decisions = _decide(store, catalogue, profile)
    tables = definitions(decisions)
    if not tables:
        raise ConfigError(
            f"the profile {name} syncs no table of {store.url.database}",
            mend="look at: changecapture plan URL",
        )
    return Wanted(name, definer or find_definer(store), catalogue, tables)


def find_nothing(store: SqlStore) -> Wanted:
    """Return what is wanted when everything is to be taken away."""
    return Wanted("", "account", Catalogue(store.engine, "", "", "", {}), ())


def decide(store: SqlStore, profile: str | None = None) -> tuple[str, Sequence[Decision]]:
    """Return the profile that is meant (its name, or its file's path) and what it decides of each table.

    Raises ConfigError when there is no such profile or the database is not recognised.
    """
    return _decide(store, store.read_catalogue(), profile)


def _decide(store: SqlStore, catalogue: Catalogue, profile: str | None) -> tuple[str, Sequence[Decision]]:
    meant = profile or find_profile(store) or AUTO
    chosen = choose_profile(meant, catalogue)
    name = str(Path(meant).absolute()) if meant.endswith(".toml") else chosen.name
    return name, plan(catalogue, chosen)


def find_profile(store: SqlStore) -> str | None:
    """Return the profile that is installed, None when there is none."""
    return _find_choice(store, "profile")


def find_definer(store: SqlStore) -> str:
    """Return whose rights the triggers have or, where nothing is installed, would have."""
    return _find_choice(store, "definer") or "account"


def _find_choice(store: SqlStore, column: str) -> str | None:
    if not is_there(store, "site"):
        return None
    rows = store.query(f"SELECT {column} FROM {store.prefix}site")
    return str(rows[0][0]) if rows else None


def is_there(store: SqlStore, table: str) -> bool:
    """Return whether the database has this table of ours."""
    if store.engine == "postgresql":
        sql = "SELECT to_regclass(%s) IS NOT NULL"
    else:
        sql = (
            "SELECT count(*) > 0 FROM information_schema.tables "
            "WHERE table_schema = DATABASE() AND table_name = %s"
        )
    return bool(store.query(sql, (f"{store.prefix}{table}",))[0][0])
