"""Break each merge rule on purpose, one at a time, and see that the fast tests notice.

Each mutation (mutations.py) is a piece of the source and what it becomes. It is made in a copy of the source
in a scratch directory; then the counterexamples and the tests of the core run there and must fail, or those
on real servers that bear the rule's number. A mutation that they survive, or whose text is no longer in the
source, makes the exit status 1: a rule without a test, or a stale list. Words given choose rules.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("changecapture", "relay", "triggers", "migrations", "tests", "setup.cfg", "pyproject.toml")
LIMIT = 300
"""Seconds for one run of the tests."""


def copy_source(target: Path) -> None:
    """Copy what the tests of the core need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)


def run_tests(where: Path, tests: tuple[str, ...], word: str) -> bool:
    """Return whether the tests, those whose name has the word, pass on that source."""
    chosen = ["-n", "0", "-m", "not long", "-k", word, *tests]
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *chosen]
    environ = {**os.environ, "PYTHONPATH": str(where), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=where, env=environ, capture_output=True, timeout=LIMIT, check=False)
    if done.returncode not in (0, 1, 2):
        sys.exit(f"the tests could not be run: {done.stdout.decode()[-2000:]}")
    return done.returncode == 0


def is_noticed(where: Path, mutation: Mutation) -> bool:
    """Break a rule in the copy, run the tests, mend it; return whether they failed."""
    path = where / mutation.file
    whole = path.read_text()
    if whole.count(mutation.text) != 1:
        sys.exit(f"'{mutation.rule}': its text stands {whole.count(mutation.text)} times in {mutation.file}")
    path.write_text(whole.replace(mutation.text, mutation.broken))
    try:
        return not run_tests(where, mutation.tests, mutation.word)
    finally:
        path.write_text(whole)


def main() -> int:
    """Try all mutations, or those whose rule contains a word that was given."""
    word = " ".join(sys.argv[1:])
    chosen = [mutation for mutation in MUTATIONS if word in mutation.rule]
    survived = 0
    with tempfile.TemporaryDirectory() as scratch:
        where = Path(scratch)
        copy_source(where)
        for tests, name in sorted({(mutation.tests, mutation.word) for mutation in chosen}):
            if not run_tests(where, tests, name):
                sys.exit(f"the tests {name} fail before anything is broken")
        for mutation in chosen:
            noticed = is_noticed(where, mutation)
            survived += not noticed
            print(f"{'noticed ' if noticed else 'SURVIVED'}  {mutation.rule}", flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} broken rules were noticed")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
