"""The merge rules, each with a piece of the source that it stands on, and what breaks it (mutate.py).

Every rule of ARCHITECTURE.md is here under its number. That each piece still stands in the source, once, is a
test of its own (tests/unit/test_mutations.py): the list cannot grow stale unnoticed.
"""

from typing import NamedTuple

TESTS = (
    *(f"tests/unit/core/test_{name}.py" for name in ("counterexamples", "clock", "vector", "alias")),
    "tests/unit/test_counterexamples.py",
    "tests/unit/core/test_merge.py",
)
"""What must notice, unless a mutation says otherwise."""
BESIDE = tuple(
    f"tests/database/test_{name}.py"
    for name in ("apply", "apply_deletes", "apply_meanwhile", "cascade_sessions", "publish")
)
"""What two sessions at once are needed for, on real servers: those of their tests that bear the number."""

BULK = ("tests/property/test_plain.py",)
"""What must notice that a row is written in bulk which needs a closer look."""
FILES = ("tests/unit/test_joined_files.py",)
"""What must notice that a file is mistaken."""
THINGS = ("tests/unit/test_things.py",)
"""What must notice that rows which are one thing are taken for several."""

MAPPED = ("tests/database/test_mapping_waits.py",)
"""What must notice that an application with a mapping is not heard while records are brought across."""


class Mutation(NamedTuple):
    """A rule, the file that has it, a piece of its text, and the text that breaks it."""

    rule: str
    file: str
    text: str
    broken: str
    tests: tuple[str, ...] = TESTS

    @property
    def word(self) -> str:
        """What is in the names of the tests that must notice, a rule's number; '' where it is any of them."""
        number, colon, _ = self.rule.partition(":")
        return f"test_{number.lower()}_" if colon else ""


MERGE, CHANGE, CLOCK, VECTOR, TREE = (
    f"changecapture/core/{name}.py" for name in ("merge", "change", "clock", "vector", "tree")
)
COALESCE, APPEND, SENDER, RECEIVER = (
    f"changecapture/{name}.py"
    for name in ("publish/coalesce", "publish/append", "sync/sender", "sync/receiver")
)
SHOW, REMOVE, WRITE = (f"changecapture/apply/{name}.py" for name in ("show", "remove", "write"))
MYSQL, SESSION = "changecapture/store/mysql.py", "changecapture/store/session.py"
CASCADE = "triggers/mysql/cascade.sql"
LOG, ALIAS = "changecapture/store/log.py", "changecapture/core/alias.py"
EPOCHS, LIVES, COMPACT, CLOCKS = (
    f"changecapture/{name}.py" for name in ("epochs", "lives", "compact", "clocks")
)
PLAIN, ALIKE = "changecapture/apply/plain.py", "changecapture/apply/alike.py"
NEW_ROWS, EDITS = "changecapture/publish/plain.py", "changecapture/publish/edits.py"
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
    Mutation("a note is no column", MERGE, "if column in NOTES:", "if False:"),
    Mutation(
        "who carries a file is not its author",
        MERGE,
        ".get(FROM, entry.origin)",
        ".get('', entry.origin)",
        FILES,
    ),
    Mutation("an author has seen its own", MERGE, "return name.number <= author.number", "return False"),
    Mutation("an author sees not its future", MERGE, "return name.number <= author.number", "return True"),
    Mutation("another epoch is another author", MERGE, " and author.epoch == name.epoch", ""),
    Mutation(
        "R9: no context, nothing seen",
        MERGE,
        "if context is None or not covers_name(",
        "if context is not None and not covers_name(",
    ),
    Mutation(
        "R9: contexts tell who saw what",
        MERGE,
        " or not covers_name(context, name.origin, name.epoch, scope, name.number)",
        "",
    ),
    Mutation(
        "R9: what was parked was not seen", MERGE, "not in read_columns(author).get(UNSEEN, ())", "!= ''"
    ),
    Mutation("equal values are no conflict", MERGE, "if lost.value == kept.value:", "if False:"),
    Mutation("a conflict is found once", MERGE, "if lost.entry.name not in fresh and", "if False and"),
    Mutation("a conflict is found", MERGE, "found.append(Conflict(column, kept, lost))", "pass"),
    Mutation("the kept value is the latest", MERGE, "kept = max(cells", "kept = min(cells"),
    Mutation(
        "what was replaced knowingly is older",
        MERGE,
        "            if _is_replaced(lost.entry, cells, latest, contexts):",
        "            if False:",
    ),
    Mutation("R9: the fast path asks what was seen", MERGE, "entry.base_seen != seen or ", ""),
    Mutation("the fast path asks the stamp", MERGE, " or entry.stamp <= stamp", ""),
    Mutation(
        "the fast path adds names",
        MERGE,
        "            seen = add_names(seen, entries[place - 1 : place])",
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
        "R1: what a cascade takes is recorded",
        CASCADE,
        "            CALL {{announce}}({{table_id}}, 'd', named, NULL, NULL, image);",
        "            DO 0;",
        BESIDE,
    ),
    Mutation(
        "R1: a cascade is walked beyond the application's snapshot",
        CASCADE,
        "            WHERE {{matching}} FOR UPDATE;",
        "            WHERE {{matching}};",
        BESIDE,
    ),
    Mutation(
        "R1: the same where the statement reads the child",
        CASCADE,
        "            WHERE {{matching}} LOCK IN SHARE MODE;",
        "            WHERE {{matching}};",
        BESIDE,
    ),
    Mutation(
        "R2: an update of an archived row is none of its life",
        COALESCE,
        "    change.columns.update(columns)\n    if not is_deleted(change):",
        "    change.columns.update(columns)\n    if True:",
    ),
    Mutation(
        "R3: what archiving nulls is no change",
        COALESCE,
        "            change.alive = False\n            return\n",
        "            change.alive = False\n            change.columns.update(columns)\n            return\n",
    ),
    Mutation(
        "R3: what comes back is read whole",
        COALESCE,
        "        if is_deleted(change):\n            change.whole, change.alive = True, True",
        "        if is_deleted(change):\n            change.alive = True",
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
        "R5: one writer of the log at a time",
        SESSION,
        "if self._lock_depth == 0 and not self._take_lock():",
        "if False:",
        BESIDE,
    ),
    Mutation(
        "R4: it is shown whole, whatever came of it beside",
        SHOW,
        "if row in again or row in anew:",
        "if row in again or row in everything and everything[row].parked is None:",
    ),
    Mutation(
        "R6: captured changes of held rows are published first",
        SHOW,
        "    touched = publish_held(store, [*active, *doomed])",
        "    touched: list[Work] = []",
    ),
    Mutation(
        "R6: what was published is merged again",
        SHOW,
        "    _decide(store, touched)\n",
        "",
    ),
    Mutation(
        "R7: captured is read as it is once the rows are held",
        MYSQL,
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        BESIDE,
    ),
    Mutation(
        "R8: absent rows are inserted before others change",
        SHOW,
        "    insert_absent(store, [work for work in active if _is_absent(work)])",
        "    update_present(store, [w for w in active if w.local_key and not must_go(w)])\n"
        "    insert_absent(store, [work for work in active if _is_absent(work)])",
    ),
    Mutation(
        "R10: another database than the one remembered", EPOCHS, "    if not held and (", "    if False and ("
    ),
    Mutation("R10: digests tell two lives apart", LIVES, "        if strange:", "        if False:"),
    Mutation(
        "R10: each of the latest names is compared",
        LIVES,
        "passed + 1 if len(found) <= NEAR else 2 * passed",
        "max(1, 2 * passed)",
    ),
    Mutation(
        "R10: they parted before the first difference",
        LIVES,
        "if agrees and number < min(strange))",
        "if agrees)",
    ),
    Mutation(
        "R10: a name in its other sense gets a new one",
        LIVES,
        "if given_up or there.get(name, digest) != digest:",
        "if given_up:",
    ),
    Mutation(
        "R10: a name that was given up is not free",
        LIVES,
        "if given_up or there.get(name, digest) != digest:",
        "if there.get(name, digest) != digest:",
    ),
    Mutation(
        "R10: what was meant here is published anew",
        LIVES,
        "    if not entries:\n        return\n",
        "    return\n",
    ),
    Mutation(
        "R10: positions of a log that was put back are void",
        SENDER,
        '(mark != "" and mark == store.read_stretch(reached))',
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
        RECEIVER,
        "        if head.last:\n            store.write_vector(target)",
        "        if True:\n            store.write_vector(target)",
    ),
    Mutation(
        "R11: the target is that of the beginning",
        RECEIVER,
        "target = load_vector(progress.target) if resumed else head.target",
        "target = head.target",
    ),
    Mutation(
        "R11: no range above what is here",
        RECEIVER,
        "    if not covers_vector(store.read_vector(), head.since):",
        "    if False:",
    ),
    Mutation(
        "R12: what is not to be had is not sent",
        SENDER,
        "if entry.scope in scopes and not",
        "if not",
    ),
    Mutation(
        "R12: what was not sent is not claimed",
        SENDER,
        "scopes.of(store.read_vector())",
        "store.read_vector()",
    ),
    Mutation(
        "R12: other modules are another pull",
        RECEIVER,
        "    name = name_progress(peer, terms.asked) + way",
        "    name = peer + way",
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
        COALESCE,
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
        APPEND,
        "return (True, -rank) if change.alive is False else (False, rank)",
        "return (False, 0)",
    ),
    Mutation(
        "R20: a new key is an insert",
        COALESCE,
        "        change.whole, change.alive = True, True\n        self._again",
        "        change.alive = True\n        self._again",
    ),
    Mutation(
        "R20: what named the former key is left behind",
        COALESCE,
        "for left in left_behind(store, every):",
        "for left in ():",
    ),
    Mutation(
        "R20: who refers is published again",
        COALESCE,
        "        self._again += referring(store, table, item.key, named[item.key])\n",
        "",
    ),
    Mutation(
        "R20: nobody wrote the other columns",
        COALESCE,
        "change.whole = change.whole or change.version is None\n    change.columns = {name",
        "change.whole = True\n    change.columns = {name",
    ),
    Mutation(
        "R21: whole transactions in mid-apply",
        SHOW,
        "[c for c in captured if c.transaction_id in transactions]",
        "[c for c in captured if c.key in {work.local_key for work in touched.values()}]",
    ),
    Mutation(
        "R20: what is published for a new key is merged again",
        SHOW,
        "if now.get(row) != work.version)",
        "if False)",
    ),
    Mutation(
        "in bulk, what somebody has to decide is left",
        PLAIN,
        "    odd |= {row for _, row, *_ in store.read_open_conflicts(group.versions)}\n",
        "",
        BULK,
    ),
    Mutation("in bulk, several entries of a row are left", PLAIN, "if times > 1}", "if False}", BULK),
    Mutation(
        "in bulk, who had not seen all is left",
        PLAIN,
        "entry.base_seen == version.seen and entry.stamp",
        "entry.stamp",
        BULK,
    ),
    Mutation(
        "in bulk, what the application touched is left",
        PLAIN,
        "touched = {row.key for row in plain.stirred if row.table == group.table.wire}",
        "touched: set[str] = set()",
    ),
    Mutation("in bulk, absent rows first", PLAIN, "if _brings_absent(store, plain.left):", "if False:"),
    Mutation(
        "in bulk, what waited for a row is shown with it",
        PLAIN,
        "    plain.stirred.update(store.read_waiting_for([row for part in new for row in part.rows]))\n",
        "",
    ),
    Mutation("in bulk, whoever names what is not here is left", ALIKE, "here[place] = False", "pass", BULK),
    Mutation(
        "in bulk, a row that is known is not new", NEW_ROWS, " or store.read_versions(rows) or", " or", BULK
    ),
    Mutation("in bulk, a row that is parked is not new", NEW_ROWS, " or store.read_parked(rows):", ":", BULK),
    Mutation(
        "in bulk, an edit that decides is left", EDITS, " or store.read_open_conflicts(rows):", ":", BULK
    ),
    Mutation(
        "in bulk, an edit of a reference is left",
        EDITS,
        "unclear = {column.wire for column in table.local_references}",
        "unclear: set[str] = set()",
        BULK,
    ),
    Mutation(
        "in bulk, a new row whose thing is dead is left",
        NEW_ROWS,
        "    if store.find_dead([Row(kin, key) for kin in table.kin for key in keys]):",
        "    if False:",
        THINGS,
    ),
    Mutation(
        "in bulk, nothing is left of rows that are all left",
        PLAIN,
        "    return [part for part in parts if part.entries]",
        "    return parts",
        THINGS,
    ),
    Mutation(
        "what is merged is logged before it is merged once more",
        SHOW,
        "        work.fresh = _resume(store, everything.get(work.row))\n",
        "",
        THINGS,
    ),
    Mutation(
        "rows of a thing that say otherwise are shown anew",
        APPEND,
        "if alive.get(other, said[one]) is not said[one]",
        "if False",
        THINGS,
    ),
    Mutation(
        "what is archived before anybody hears of it is read whole",
        "changecapture/publish/late.py",
        "(change.alive is not False or _is_archived_new(change))",
        "change.alive is not False",
        THINGS,
    ),
    Mutation(
        "R6: records that came meanwhile are brought across once more",
        "changecapture/apply/mapped_write.py",
        "    if any(work.local_key is not None for work in refused):\n",
        "    if False:\n",
        MAPPED,
    ),
    Mutation("no conflict without a record", SHOW, "    store.write_conflicts([", "    list(["),
    Mutation(
        "the applier is not captured",
        "changecapture/store/memory.py",
        '        self.execute("BEGIN")\n        self._capturing = False',
        '        self.execute("BEGIN")',
    ),
)
