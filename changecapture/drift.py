"""Drift: what the application has made of its tables since the installation.

A table has drifted when what its catalogue and the profile ask for is not the definition that was
installed: one was added, dropped or renamed, or a column was, or its type or nullability changed. Until the
next installation changes of it are captured in part, or missed. This only reads, and needs no right to see
triggers: whether those are there is what ``doctor`` looks at.
"""

from changecapture.errors import ConfigError
from changecapture.store.sqlstore import SqlStore
from changecapture.wanted import find_wanted

NAMED = 5
"""Tables that are named; of more only the number."""


def find_drift(store: SqlStore) -> list[str]:
    """Return the tables that are not as installed; raise ConfigError when none is left to sync."""
    rows = store.query(f"SELECT table_name, definition FROM {store.prefix}synced_table WHERE active = 1")
    installed = {str(name): str(definition) for name, definition in rows}
    wanted = {table.name: table.to_json() for table in find_wanted(store).tables}
    names = installed.keys() | wanted.keys()
    return sorted(name for name in names if installed.get(name) != wanted.get(name))


def describe_drift(store: SqlStore) -> str:
    """Return one line that says what has drifted and what mends it, empty when nothing has."""
    try:
        names = find_drift(store)
    except ConfigError as error:
        return str(error)
    if not names:
        return ""
    tables = ", ".join(names) if len(names) <= NAMED else f"{len(names)} tables"
    return f"{tables} not as installed: changes are not captured in full (run: changecapture install URL)"
