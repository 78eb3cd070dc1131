"""Columns that belong together (latitude and longitude): one entry wins them all.

Merging stays per column and needs no rule of its own, because an entry that writes one column of a group
carries the whole group: what it does not write itself it says again, as its author had it. So the latest
entry about any of them is the latest about each. The rest comes from what the author had merged, not from
the table: a deleted row is not there any more, a reference that waits is NULL there. But a row that is here,
archived, does not show what is merged of it: what its author had is what stands there (publish.late).
"""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from changecapture.core.merge import Cell


def complete(
    groups: Iterable[Collection[str]], written: Collection[str], merged: Mapping[str, Cell]
) -> dict[str, Any]:
    """Return what an entry has to say beside the columns that it writes, to carry whole groups."""
    return {
        name: merged[name].value
        for group in groups
        if not set(group).isdisjoint(written)
        for name in group
        if name not in written and name in merged
    }
