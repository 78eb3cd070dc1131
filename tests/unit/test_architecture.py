"""ARCHITECTURE.md tells a newcomer where everything is, and cites what exists."""

import ast
import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
TEXT = (TOP / "ARCHITECTURE.md").read_text(encoding="utf-8")
_, _, _after = TEXT.partition("## Where things are")
PLACES, _, _ = _after.partition("\n## ")
OWN = {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("package", ["changecapture", "relay"])
def test_every_module_and_folder_of_a_package_has_its_place(package):
    here = TOP / package
    found = {f"{place.name}/" for place in here.iterdir() if (place / "__init__.py").exists()}
    found |= {place.name for place in here.glob("*.py")} - OWN
    assert {name for name in found if name not in PLACES} == set()


def test_every_place_that_is_named_exists():
    named = set(re.findall(r"\b[a-z_0-9]+\.py\b", PLACES))
    there = {
        place.name
        for package in ("changecapture", "relay", "migrations")
        for place in (TOP / package).rglob("*.py")
    }
    assert named - there == set()


SQL = ("changecapture/store/", "changecapture/catalogue/", "changecapture/dialect/", "changecapture/doctor/")
INSTALLING = (
    "account",
    "wanted",
    "rights",
    "indexes",
    "catchup",
    "steps",
    "drift",
    "renames",
    "install",
    "script",
)
ASKED = {"query", "execute", "execute_many", "cursor"}


def test_sql_stands_in_the_store_and_where_the_database_itself_is_the_subject():
    """Whoever publishes, applies, shows or carries calls the store by a method that has a name."""
    allowed = (*SQL, *(f"changecapture/{name}.py" for name in INSTALLING))
    found = {
        f"{place.relative_to(TOP)}:{node.lineno}"
        for package in ("changecapture", "relay")
        for place in (TOP / package).rglob("*.py")
        if not str(place.relative_to(TOP)).startswith(allowed)
        for node in ast.walk(ast.parse(place.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ASKED)
        or (isinstance(node, ast.Attribute) and ast.unparse(node).endswith("store.prefix"))
    }
    assert found == set()


def test_every_rule_that_is_cited_is_written_down():
    rules = set(re.findall(r"^\| (R\d+) \|", TEXT, re.MULTILINE))
    cited: set[str] = set()
    for folder in ("changecapture", "relay", "triggers", "scripts", "tests"):
        for place in (TOP / folder).rglob("*.*"):
            if place.suffix in {".py", ".sql"}:
                cited |= set(re.findall(r"\bR\d+\b", place.read_text(encoding="utf-8")))
    assert cited - rules == set()


def test_decisions_are_numbered_without_a_gap():
    numbers = [int(number) for number in re.findall(r"^(\d+)\. \*\*", TEXT, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
