"""Break each merge rule on purpose, one at a time, and see that the fast tests notice.

Each mutation is a line of the core, of publish, apply or sync and what it becomes. It is made in a copy of
the source in a scratch directory; then the counterexamples and the tests of the core run there and must
fail. A mutation that they survive, or whose line is no longer in the source, makes the exit status 1: a rule
without a test, or a stale list.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("changecapture", "relay", "triggers", "migrations", "tests", "setup.cfg", "pyproject.toml")
TESTS = (
    *(f"tests/unit/core/test_{name}.py" for name in ("counterexamples", "clock", "vector", "alias")),
    "tests/unit/test_counterexamples.py",
    "tests/unit/core/test_merge.py",
)
LIMIT = 300
"""Seconds for one run of the tests."""


class Mutation(NamedTuple):
    """A rule, the file that has it, a piece of its text, and the text that breaks it."""

    rule: str
    file: str
    text: str
    broken: str


MERGE, CHANGE, CLOCK, VECTOR, TREE = (
    f"changecapture/core/{name}.py" for name in ("merge", "change", "clock", "vector", "tree")
)
PUBLISH, SYNC, SHOW, REMOVE, WRITE, LOCALISE, SESSION = (
    f"changecapture/{name}.py"
    for name in (
        "publish",
        "sync",
        "apply/show",
        "apply/remove",
        "apply/write",
        "apply/localise",
        "store/session",
    )
)
LOG, ALIAS = "changecapture/store/log.py", "changecapture/core/alias.py"
EPOCHS, LIVES, COMPACT, CLOCKS = (
    f"changecapture/{name}.py" for name in ("epochs", "lives", "compact", "clocks")
)
LATER = "cell.entry.order < entry.order"
MUTATIONS = (
    Mutation("the later entry wins a column", MERGE, LATER, "entry.order < cell.entry.order"),
    Mutation("order decides, not arrival", MERGE, LATER, "True"),
    Mutation("equal stamps are told apart", MERGE, LATER, "cell.entry.stamp < entry.stamp"),
    Mutation(
        "the epoch is part of the order",
        CHANGE,
        "Order(self.stamp, self.origin, self.epoch, self.number)",
        "Order(self.stamp, self.origin, 0, 0)",
    ),
    Mutation("@unseen is no column", MERGE, "if column == UNSEEN:", "if False:"),
    Mutation("an author has seen its own", MERGE, "return name.number <= author.number", "return False"),
    Mutation("an author sees not its future", MERGE, "return name.number <= author.number", "return True"),
    Mutation("another epoch is another author", MERGE, " and author.epoch == name.epoch", ""),
    Mutation(
        "no context, nothing seen",
        MERGE,
        "if context is None or not covers_name(",
        "if context is not None and not covers_name(",
    ),
    Mutation(
        "contexts tell who saw what",
        MERGE,
        " or not covers_name(context, name.origin, name.epoch, scope, name.number)",
        "",
    ),
    Mutation("what was parked was not seen", MERGE, "not in read_columns(author).get(UNSEEN, ())", "!= ''"),
    Mutation("equal values are no conflict", MERGE, "if lost.value == kept.value:", "if False:"),
    Mutation("a conflict is found once", MERGE, "if lost.entry.name not in fresh and", "if False and"),
    Mutation("a conflict is found", MERGE, "found.append(Conflict(column, kept, lost))", "pass"),
    Mutation("the kept value is the latest", MERGE, "kept = max(cells", "kept = min(cells"),
    Mutation(
        "what was replaced knowingly is older",
        MERGE,
        "            if any(\n",
        "            if False and any(\n",
    ),
    Mutation("the fast path asks what was seen", MERGE, "entry.base_seen != seen or ", ""),
    Mutation("the fast path asks the stamp", MERGE, " or entry.stamp <= stamp", ""),
    Mutation(
        "the fast path adds names",
        MERGE,
        "            seen = _add_names(seen, entries[place - 1 : place])",
        "            pass",
    ),
    Mutation("the fast path takes later values", MERGE, "values.update(read_columns(entry))", "pass"),
    Mutation("an update leaves a dead row dead", MERGE, "version is not None and version.alive))", "True))"),
    Mutation("columns alone make no row", MERGE, "else version is not None and version.alive", "else True"),
    Mutation("a thing lives as one", MERGE, "if thing is not None:", "if False:"),
    Mutation("the version is the latest entry's", MERGE, "last = max(entries", "last = min(entries"),
    Mutation(
        "what is merged is counted once",
        MERGE,
        "for entry in entries if entry.name in fresh",
        "for entry in entries",
    ),
    Mutation("names hash apart", CHANGE, "_seed(origin, epoch) + number *", "_seed(origin, 0) + number *"),
    Mutation("an edit beats what it saw", CLOCK, "max(captured_at, previous + 1, 1)", "max(captured_at, 1)"),
    Mutation("a tie is no victory", CLOCK, "previous + 1", "previous"),
    Mutation("a vector covers all or not", VECTOR, "return all(", "return any("),
    Mutation("a vector ends at its number", VECTOR, "scope), 0) >= number", "scope), 0) >= number - 1"),
    Mutation(
        "scopes are counted apart",
        VECTOR,
        "vector.get((origin, epoch, scope), 0)",
        "max([0, *(n for c, n in vector.items() if c[:2] == (origin, epoch))])",
    ),
    Mutation("the latest edge of a cycle goes", TREE, "cut[cycle[-1]]", "cut[cycle[0]]"),
    Mutation("only the cycle is cut", TREE, "return rows[rows.index(key) :]", "return rows"),
    Mutation(
        "R2: an update of an archived row is none of its life",
        PUBLISH,
        "    change.columns.update(columns)\n    if not _is_deleted(change):",
        "    change.columns.update(columns)\n    if True:",
    ),
    Mutation(
        "R3: what archiving nulls is no change",
        PUBLISH,
        "            change.alive = False\n            return\n",
        "            change.alive = False\n            change.columns.update(columns)\n            return\n",
    ),
    Mutation(
        "R3: what comes back is read whole",
        PUBLISH,
        "        if _is_deleted(change):\n            change.whole, change.alive = True, True",
        "        if _is_deleted(change):\n            change.alive = True",
    ),
    Mutation(
        "R4: children leave before their parent",
        REMOVE,
        "    leaving = [*gone, *_part(store, waiting, held)]",
        "    leaving = [*gone]",
    ),
    Mutation(
        "R4: children of the same batch leave too",
        REMOVE,
        "    find_inserted(store, [held[row] for row in waiting])\n",
        "",
    ),
    Mutation(
        "R4: whoever must refer to what is gone leaves",
        WRITE,
        "            work.stray = work.row not in rows and work.parked is None",
        "            if work.row not in rows and work.parked is None:\n                park_reference(work)",
    ),
    Mutation(
        "R4: what waits is shown when its row is",
        SHOW,
        "for row in store.read_waiting_for(",
        "for row in set() & set(",
    ),
    Mutation(
        "R6: captured changes of held rows are published first",
        SHOW,
        "    touched = _publish_held(store, [*active, *doomed])",
        "    touched: list[Work] = []",
    ),
    Mutation(
        "R6: what was published is merged again",
        SHOW,
        "    _decide(store, touched)\n",
        "",
    ),
    Mutation(
        "R10: another database than the one remembered", EPOCHS, "    if not held and (", "    if False and ("
    ),
    Mutation("R10: digests tell two lives apart", LIVES, "        if strange:", "        if False:"),
    Mutation(
        "R10: they parted before the first difference",
        LIVES,
        "if agrees and number < min(strange))",
        "if agrees)",
    ),
    Mutation(
        "R10: a name in its other sense gets a new one",
        LIVES,
        "if name in known and there[name] != digest:",
        "if False:",
    ),
    Mutation(
        "R10: what was meant here is published anew",
        LIVES,
        "    if not entries:\n        return\n",
        "    return\n",
    ),
    Mutation(
        "R10: positions of a log that was put back are void",
        SYNC,
        '(request.mark != "" and request.mark == store.read_stretch(reached))',
        "True",
    ),
    Mutation(
        "R10: a log that was put back begins a stretch",
        LOG,
        "if newest == [(self._stretch[0],)] and end == self._stretch[1]:",
        "if newest == [(self._stretch[0],)]:",
    ),
    Mutation(
        "R11: a vector is raised at the end of a pull",
        SYNC,
        "        if head.last:\n            claim_target",
        "        if True:\n            claim_target",
    ),
    Mutation(
        "R11: the target is that of the beginning",
        SYNC,
        "target = load_vector(progress.target) if resumed else head.target",
        "target = head.target",
    ),
    Mutation(
        "R11: no range above what is here",
        SYNC,
        "    if not covers_vector(store.read_vector(), head.since):",
        "    if False:",
    ),
    Mutation(
        "R13: a joined row lives under any key",
        MERGE,
        "key=lambda cell: (bool(cell.value), cell.entry.order)",
        "key=lambda cell: cell.entry.order",
    ),
    Mutation("R13: the smallest key is the name", ALIAS, "name = min(left, right)", "name = left"),
    Mutation("R13: what was seen under any key", MERGE, "        seen ^= version.seen", "        pass"),
    Mutation(
        "R14: a placeholder first",
        WRITE,
        "for swapped in swap_values(store, table, clashing):",
        "for swapped in ():",
    ),
    Mutation(
        "R15: what was shipped keeps its stamp",
        CLOCKS,
        'first = max(life["shipped"], life["corrected"], above)',
        'first = life["corrected"]',
    ),
    Mutation("R15: rows are shown by corrected stamps", CLOCKS, "    if done:\n        retry(store)\n", ""),
    Mutation(
        "R15: others' entries of the row count too", CLOCKS, "for row in mixed})", "for row in mixed[:0]})"
    ),
    Mutation(
        "R16: existence counts among the columns",
        MERGE,
        "for cell in merge_entries(entries).values()}",
        "for column, cell in merge_entries(entries).items() if column != ALIVE}",
    ),
    Mutation(
        "R16: an entry stays for one column",
        MERGE,
        "if entry.name not in needed]",
        "if entry is not max(entries, key=lambda e: e.order)]",
    ),
    Mutation("R16: what is parked stays", COMPACT, "rows - store.read_parked(rows)", "rows"),
    Mutation(
        "R17: all that any change wrote",
        PUBLISH,
        "    change.columns.update(columns)\n    if not",
        "    change.columns = columns\n    if not",
    ),
    Mutation(
        "R18: what cannot be deleted was published",
        LOG,
        "        if deleted != len(ids):",
        "        if False:",
    ),
    Mutation("R19: whole transactions", LOG, "if chosen and taken + count > limit:", "if False:"),
    Mutation(
        "R19: parents before children",
        PUBLISH,
        "return (True, -rank) if change.alive is False else (False, rank)",
        "return (False, 0)",
    ),
    Mutation(
        "R20: a new key is an insert",
        PUBLISH,
        "            change.whole, change.alive = True, True\n            for other",
        "            change.alive = True\n            for other",
    ),
    Mutation(
        "R20: what named the former key is left behind",
        PUBLISH,
        "for left in _left_behind(store, captured):",
        "for left in ():",
    ),
    Mutation(
        "R20: who refers is published again",
        PUBLISH,
        "                changes.setdefault(other.row, other).whole = True",
        "                pass",
    ),
    Mutation(
        "R21: whole transactions in mid-apply",
        SHOW,
        "[c for c in captured if c.transaction_id in transactions]",
        "[c for c in captured if c.key in {work.local_key for work in touched.values()}]",
    ),
    Mutation("no conflict without a record", SHOW, "    store.write_conflicts([", "    list(["),
    Mutation(
        "the applier is not captured",
        "changecapture/store/memory.py",
        '        self.execute("BEGIN")\n        self._capturing = False',
        '        self.execute("BEGIN")',
    ),
)


def copy_source(target: Path) -> None:
    """Copy what the tests of the core need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)


def run_tests(where: Path) -> bool:
    """Return whether the tests of the core pass on that source."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *TESTS]
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
        return not run_tests(where)
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
        if not run_tests(where):
            sys.exit("the tests fail before anything is broken")
        for mutation in chosen:
            noticed = is_noticed(where, mutation)
            survived += not noticed
            print(f"{'noticed ' if noticed else 'SURVIVED'}  {mutation.rule}", flush=True)
    print(f"{len(chosen) - survived} of {len(chosen)} broken rules were noticed")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
