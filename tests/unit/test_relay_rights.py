"""The relay's rights on our tables are those that the code uses: none is missing, none is too many."""

import re
from collections import defaultdict
from pathlib import Path

import changecapture
from changecapture.doctor.relay_rights import OWN

ROOT = Path(changecapture.__file__).parent
WRITERS = (
    *("store", "apply", "publish", "sync", "faults.py", "review.py", "identify.py", "reconcile.py"),
    *("epochs.py", "lives.py", "greeting.py", "clocks.py", "compact.py"),
)
"""What a relay runs, and a person who settles conflicts or reconciles; installing is left out."""
TABLE = r"\{(?:self|store)\.prefix\}(\w+)"
VERBS = {
    rf"INSERT INTO {TABLE}": {"INSERT"},
    rf"UPDATE {TABLE}": {"UPDATE"},
    rf"DELETE FROM {TABLE}": {"DELETE"},
    rf"STRAIGHT_JOIN {TABLE} AS c": {"DELETE"},
    r'_load(?:_lines)?\(\s*"(\w+)"': {"INSERT"},
    r'_upsert\(\s*"(\w+)"': {"INSERT", "UPDATE"},
}


def used() -> dict[str, set[str]]:
    """Return what the code writes of each table."""
    found: dict[str, set[str]] = defaultdict(set)
    for name in WRITERS:
        for path in sorted((ROOT / name).rglob("*.py")) if (ROOT / name).is_dir() else [ROOT / name]:
            for pattern, verbs in VERBS.items():
                for table in re.findall(pattern, path.read_text(encoding="utf-8")):
                    found[table] |= verbs
    return found


def test_rights_on_our_tables_are_those_that_the_code_uses() -> None:
    written = used()
    assert {table: set(rights) - {"SELECT"} for table, rights in OWN.items()} == {
        table: written[table] for table in OWN
    }
    assert all("SELECT" in rights for rights in OWN.values())
    assert written.keys() <= OWN.keys()
