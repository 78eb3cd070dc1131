"""The tables of a site with a mapping: those on the wire, and those that only stand here."""

from functools import cache

from changecapture.core.table import Identity, SyncedTable
from changecapture.store.interface import Store


@cache
def common_table(name: str, scope: str) -> SyncedTable:
    """Return what stands for a common table where the application has none: entries need its name."""
    return SyncedTable(name, scope, (), Identity("natural"), ())


def crossing_tables(store: Store) -> frozenset[str]:
    """Return the tables here (wire names) whose rows travel as common rows."""
    return frozenset() if store.mapping is None else store.mapping.local_tables


def exchanged_tables(store: Store) -> frozenset[str]:
    """Return the wire names of the tables whose rows this site shows and others may have too."""
    common = () if store.mapping is None else store.mapping.common_tables
    return (frozenset(store.tables_by_wire) - crossing_tables(store)).union(common)
