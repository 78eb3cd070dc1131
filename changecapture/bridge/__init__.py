"""The bridge between the log, which has common rows, and the application's tables, which have others.

``subject``: which rows of the application a record has. ``known``: which common rows it is made of.
``changes``: what the application did, as changes of common rows (``crossed``); ``edits``: the same
of the plainest. ``widths``: what is cut short here.
``tables``: which tables are on the wire.
"""

from changecapture.bridge.changes import find_changes, keep_crossed
from changecapture.bridge.crossed import Crossed
from changecapture.bridge.edits import Edit, find_edits
from changecapture.bridge.known import common_rows, find_common_rows, know, read_applied, read_values
from changecapture.bridge.subject import (
    Subject,
    find_subjects,
    hanging,
    leave_spoilt,
    local_parts,
    local_rows,
    record_rows,
    record_subjects,
)
from changecapture.bridge.tables import common_table, crossing_tables, exchanged_tables
from changecapture.bridge.widths import Widths, as_shown, is_cut, read_widths

__all__ = [
    "Crossed",
    "Edit",
    "Subject",
    "Widths",
    "as_shown",
    "common_rows",
    "common_table",
    "crossing_tables",
    "exchanged_tables",
    "find_changes",
    "find_common_rows",
    "find_edits",
    "find_subjects",
    "hanging",
    "is_cut",
    "keep_crossed",
    "know",
    "leave_spoilt",
    "local_parts",
    "local_rows",
    "read_applied",
    "read_values",
    "read_widths",
    "record_rows",
    "record_subjects",
]
