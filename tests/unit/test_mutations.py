"""The list of what must be noticed (scripts/mutations.py) keeps step with the source."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MUTATIONS = runpy.run_path(str(ROOT / "scripts" / "mutations.py"))["MUTATIONS"]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.rule.replace(" ", "-"))
def test_what_a_mutation_breaks_stands_once_in_the_source(mutation):
    assert (ROOT / mutation.file).read_text().count(mutation.text) == 1


def test_each_rule_is_taken_out_once_at_least():
    rules = {f"R{number}" for number in range(1, 22)}
    assert rules <= set(re.findall(r"^\| (R\d+) \|", (ROOT / "ARCHITECTURE.md").read_text(), re.M))
    assert rules == {mutation.rule.partition(":")[0] for mutation in MUTATIONS if ":" in mutation.rule}


def test_each_rule_has_a_test_of_its_number():
    names = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    for number in range(1, 22):
        assert f"def test_r{number}_" in names
