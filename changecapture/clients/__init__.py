"""What programs without a database of ours may do: read what has changed, and put changes of their own.

A *client* is told rows, not entries: each as it stands after merging, the deleted ones included, so it needs
no merge (``told``). ``since`` is what it was told as ``until`` when it asked last, "" to begin: it holds the
client's vector and its place in our log, so we keep nothing about clients.

What it puts becomes entries of an origin of its own, named after it and this site, which are merged and
shown like any peer's: of two values the later stays (``taken``). Whoever sends ``since`` has seen what it was
told: its change comes after that, is in conflict only with what it had not seen, and is of those columns that
it has changed. So a row may be put back as it was told, with one value edited. A restored backup begins a
new epoch (``epochs.py``), the client's origin too, so no name is given twice.
"""

from changecapture.clients.since import load_since, name_origin
from changecapture.clients.spelled import narrow
from changecapture.clients.taken import put_changes
from changecapture.clients.told import MOST, get_changes

__all__ = ["MOST", "get_changes", "load_since", "name_origin", "narrow", "put_changes"]
