"""Rows that are named by one text column of their own: what is published in bulk."""

import json
from collections.abc import Collection

from changecapture.core.codec import KEY_LENGTH
from changecapture.core.table import SyncedTable
from changecapture.core.wire import are_texts
from changecapture.store.interface import Store


def is_named_by_text(store: Store, table: SyncedTable) -> bool:
    """Return whether rows are named by one text column of their own, in a table that is there."""
    return table.name in store.tables_by_name and table.identity.is_text


def name_new(table: SyncedTable, local_keys: Collection[str]) -> list[str]:
    """Return the keys of rows that have one of their own which can travel; nothing when one has not."""
    names = [own.name for own in table.key_columns]
    if not table.identity.columns or table.identity.columns[0].name not in names:
        return []
    place = names.index(table.identity.columns[0].name)
    keys = [items[place] for items in json.loads(f"[{','.join(local_keys)}]")]
    if len(set(keys)) < len(keys) or not set(table.identity.missing).isdisjoint(keys):
        return []
    return keys if are_texts(keys, KEY_LENGTH) else []
