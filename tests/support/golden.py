"""Golden files: what a reviewer reads the diff of.

A test compares with tests/golden/<name>. To accept what the code now gives, run it once with
CHANGECAPTURE_WRITE_GOLDEN=1 and look at the diff.
"""

import os
from pathlib import Path

GOLDEN = Path(__file__).parent.parent / "golden"
WRITE = "CHANGECAPTURE_WRITE_GOLDEN"


def assert_golden(name: str, text: str) -> None:
    """Fail with a readable difference when the text is not that of the golden file."""
    path = GOLDEN / name
    if os.environ.get(WRITE):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    found = path.read_text(encoding="utf-8") if path.exists() else ""
    assert text.splitlines() == found.splitlines(), f"{path} differs; to accept: {WRITE}=1"
