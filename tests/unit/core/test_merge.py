"""The merge laws, on histories of one row that sites could really have written.

Authors write, pull and repeat; every author's true knowledge is kept as a set of names, so that what
the merge concludes from contexts can be compared with what was so. Domains are tiny: ties happen.
"""

from dataclasses import dataclass, field
from time import process_time

from hypothesis import given, settings
from hypothesis import strategies as st

from changecapture.core.change import ALIVE, UNSEEN, Entry, Version, hash_name
from changecapture.core.clock import next_stamp
from changecapture.core.merge import (
    extend,
    find_conflicts,
    follows,
    has_seen,
    merge_entries,
    read_columns,
    settle,
)
from changecapture.core.values import dump

ORIGINS = "abc"
COLUMNS = ("x", "y")
SCOPE = "pr"

values = st.integers(0, 1)
written = st.dictionaries(st.sampled_from(COLUMNS), values, max_size=2)
alive = st.none() | st.booleans()


@dataclass
class Author:
    """A site as the merge sees it. ``held``: all entries here; ``hidden``: names parked here."""

    origin: str
    held: dict = field(default_factory=dict)
    hidden: set = field(default_factory=set)
    version: Version | None = None
    number: int = 0
    pass_number: int = 0


@dataclass
class History:
    """What happened. ``seen``: for each entry, the names that its author had really seen."""

    authors: dict
    entries: list = field(default_factory=list)
    contexts: dict = field(default_factory=dict)
    seen: dict = field(default_factory=dict)

    def write(self, author, columns, live, clock, in_same_pass):
        columns = dict(columns)
        if live is not None:
            columns[ALIVE] = live
        if not columns:
            return
        if not in_same_pass or not author.pass_number:
            author.pass_number += 1
        author.number += 1
        if author.hidden:
            columns[UNSEEN] = sorted(f"{n.origin}/{n.epoch}/{n.number}" for n in author.hidden)
        known = author.version or Version(0, "", False, 0)
        entry = Entry(
            author.origin,
            1,
            author.number,
            author.pass_number,
            next_stamp(clock, known.stamp),
            known.seen,
            SCOPE,
            "t",
            "k",
            dump(columns),
        )
        visible = set(author.held) - author.hidden
        self.seen[entry.name] = visible
        self.entries.append(entry)
        context = {}
        for name in author.held:
            if name.origin != author.origin:
                place = name.origin, 1, SCOPE
                context[place] = max(context.get(place, 0), name.number)
        self.contexts[author.origin, 1, author.pass_number] = context
        author.held[entry.name] = entry
        self.merge(author, [entry])

    def pull(self, target, source, park):
        """Give a site all that another holds, in names without a gap, as a finished pull does."""
        fresh = [entry for name, entry in source.held.items() if name not in target.held]
        target.held.update((entry.name, entry) for entry in fresh)
        if park:
            target.hidden.update(entry.name for entry in fresh)
        else:
            fresh += [target.held[name] for name in target.hidden]
            target.hidden.clear()
            self.merge(target, fresh)

    def merge(self, author, fresh):
        if fresh:
            shown = [entry for name, entry in author.held.items() if name not in author.hidden]
            names = frozenset(entry.name for entry in fresh)
            author.version = settle(author.version, shown, names, self.contexts).version

    def was_seen(self, author, other):
        return other.name in self.seen[author.name]


@st.composite
def histories(draw, parked=True):
    history = History({origin: Author(origin) for origin in ORIGINS})
    for _ in range(draw(st.integers(1, 10))):
        author = history.authors[draw(st.sampled_from(ORIGINS))]
        if draw(st.booleans()):
            source = history.authors[draw(st.sampled_from(ORIGINS))]
            history.pull(author, source, parked and draw(st.integers(0, 3)) == 0)
        else:
            # Entries of one pass have one context: nothing may be pulled in between.
            history.write(author, draw(written), draw(alive), draw(st.integers(1, 4)), False)
    return history


def shown(entries):
    return {column: (cell.value, cell.entry.name) for column, cell in merge_entries(entries).items()}


@given(histories(), st.data())
def test_merge_does_not_depend_on_order_or_repetition(history, data):
    mixed = data.draw(st.permutations(history.entries + history.entries[:2]))
    assert shown(mixed) == shown(history.entries)


@given(histories(), st.data())
def test_merge_associates(history, data):
    """Merging parts and then their winners is merging all."""
    part = data.draw(st.sets(st.sampled_from([e.name for e in history.entries]))) if history.entries else ()
    left = [e for e in history.entries if e.name in part]
    right = [e for e in history.entries if e.name not in part]
    winners = {cell.entry.name: cell.entry for half in (left, right) for cell in merge_entries(half).values()}
    assert shown(winners.values()) == shown(history.entries)


@given(histories(), st.data())
def test_row_is_the_same_however_its_entries_were_batched(history, data):
    entries = data.draw(st.permutations(history.entries))
    if not entries:
        return
    once = settle(None, entries, frozenset(e.name for e in entries), history.contexts)
    held, version = [], None
    while entries:
        size = data.draw(st.integers(1, len(entries)))
        fresh, entries = entries[:size], entries[size:]
        held += fresh
        step = settle(version, held, frozenset(e.name for e in fresh), history.contexts)
        version = step.version
    assert (step.values, step.alive) == (once.values, once.alive)
    assert (version.stamp, version.origin, version.seen) == (
        once.version.stamp,
        once.version.origin,
        once.version.seen,
    )


@given(histories())
def test_applying_the_same_entries_again_changes_nothing(history):
    if history.entries:
        once = settle(None, history.entries, frozenset(e.name for e in history.entries), history.contexts)
        again = settle(once.version, history.entries, frozenset(), history.contexts)
        assert (again.values, again.alive, again.version) == (once.values, once.alive, once.version)
        assert again.conflicts == ()


@settings(max_examples=300)
@given(histories(parked=False), st.data())
def test_fast_path_decides_as_the_slow_path(history, data):
    site = history.authors[data.draw(st.sampled_from(ORIGINS))]
    others = sorted((e for e in history.entries if e.name not in site.held), key=lambda e: e.order)
    fresh = data.draw(st.lists(st.sampled_from(others), max_size=3, unique=True)) if others else []
    fresh.sort(key=lambda e: e.order)
    if not fresh or not follows(site.version, fresh):
        return
    fast = extend(site.version, fresh)
    names = frozenset(e.name for e in fresh)
    slow = settle(site.version, [*site.held.values(), *fresh], names, history.contexts)
    assert fast.values.items() <= slow.values.items()
    assert (fast.alive, fast.version) == (slow.alive, slow.version)
    assert slow.conflicts == ()
    if fast.whole:
        assert fast.values == slow.values


def test_fast_path_is_taken_by_the_next_edit_of_one_author():
    history = History({origin: Author(origin) for origin in ORIGINS})
    a, b = history.authors["a"], history.authors["b"]
    history.write(a, {"x": 0}, True, 5, False)
    history.pull(b, a, False)
    history.write(a, {"x": 1}, True, 3, False)
    history.write(a, {"y": 1}, True, 3, False)
    assert follows(b.version, history.entries[1:])
    assert follows(None, history.entries)
    assert not follows(None, history.entries[1:])
    assert not follows(b.version, history.entries[2:])
    assert not follows(b.version, history.entries[:1])


@given(histories())
def test_contexts_tell_what_an_author_had_seen_its_own_entries_too(history):
    for author in history.entries:
        for other in (one for one in history.entries if one is not author):
            assert has_seen(author, other, history.contexts) == history.was_seen(author, other)


@given(histories())
def test_edit_beats_every_value_that_its_author_had_seen(history):
    for later in history.entries:
        for earlier in history.entries:
            if history.was_seen(later, earlier):
                assert later.order > earlier.order


def writers_of(history, column):
    return [e for e in history.entries if column in read_columns(e)]


@given(histories())
def test_conflicts_are_the_values_that_nobody_replaced_knowingly(history):
    """One found for each lost value that differs from the winner and that no later writer had seen."""
    everything = frozenset(e.name for e in history.entries)
    found = find_conflicts(history.entries, everything, history.contexts)
    expected = set()
    for column in (*COLUMNS, ALIVE):
        cells = writers_of(history, column)
        if cells:
            kept = max(cells, key=lambda e: e.order)
            expected |= {
                (column, lost.name)
                for lost in cells
                if read_columns(lost)[column] != read_columns(kept)[column]
                and not any(history.was_seen(other, lost) for other in cells)
            }
    assert {(c.column, c.lost.entry.name) for c in found} == expected
    assert len(found) == len(expected)


@given(histories(), st.data())
def test_no_concurrent_loser_goes_unrecorded_whatever_the_batches(history, data):
    entries = data.draw(st.permutations(history.entries))
    held, version, recorded = [], None, set()
    while entries:
        size = data.draw(st.integers(1, len(entries)))
        fresh, entries = entries[:size], entries[size:]
        held += fresh
        step = settle(version, held, frozenset(e.name for e in fresh), history.contexts)
        version = step.version
        recorded |= {(c.column, c.lost.entry.name) for c in step.conflicts}
    everything = frozenset(e.name for e in held)
    at_once = find_conflicts(held, everything, history.contexts)
    assert {(c.column, c.lost.entry.name) for c in at_once} <= recorded


def test_row_that_was_written_thousands_of_times_is_merged_in_a_time_that_grows_as_its_entries_do():
    """Each of them asked each other took a minute, in which the row was locked for its application."""
    text = '{"@alive":true,"x":%d,"y":%d}'
    often = [Entry("a", 1, n, n, n, 0, SCOPE, "t", "k", text % (n, n)) for n in range(1, 3001)]
    once = Entry("b", 1, 1, 1, 3001, 0, SCOPE, "t", "k", text % (0, 0))
    contexts = {("a", 1, n): {} for n in range(1, 3001)} | {("b", 1, 1): {("a", 1, SCOPE): 1}}
    began = process_time()
    decision = settle(None, [*often, once], frozenset([once.name]), contexts)
    assert process_time() - began < 5
    assert {(c.column, c.lost.entry.name) for c in decision.conflicts} == {
        ("x", often[-1].name),
        ("y", often[-1].name),
    }


def two_sites():
    """Return a history in which b has pulled what a inserted."""
    history = History({origin: Author(origin) for origin in ORIGINS})
    history.write(history.authors["a"], {"x": 0, "y": 0}, True, 100, False)
    history.pull(history.authors["b"], history.authors["a"], False)
    return history, history.authors["a"], history.authors["b"]


def settled(history):
    return settle(None, history.entries, frozenset(e.name for e in history.entries), history.contexts)


def test_edits_of_different_columns_both_stay():
    history, a, b = two_sites()
    history.write(a, {"x": 1}, True, 101, False)
    history.write(b, {"y": 1}, True, 102, False)
    decision = settled(history)
    assert decision.values == {"x": 1, "y": 1}
    assert decision.conflicts == ()


def test_concurrent_edits_of_one_column_keep_the_later_and_record_the_other():
    history, a, b = two_sites()
    history.write(a, {"x": 1}, True, 101, False)
    history.write(b, {"x": 2}, True, 102, False)
    decision = settled(history)
    assert decision.values == {"x": 2, "y": 0}
    (conflict,) = decision.conflicts
    assert (conflict.column, conflict.kept.value, conflict.lost.value) == ("x", 2, 1)


def test_equal_stamps_are_told_apart_by_the_origin():
    history, a, b = two_sites()
    history.write(a, {"x": 1}, True, 101, False)
    history.write(b, {"x": 2}, True, 101, False)
    assert settled(history).values["x"] == 2


def test_equal_values_are_no_conflict():
    history, a, b = two_sites()
    history.write(a, {"x": 1}, True, 101, False)
    history.write(b, {"x": 1}, True, 102, False)
    assert settled(history).conflicts == ()


def test_value_that_the_winner_had_seen_is_no_conflict():
    history, _, b = two_sites()
    history.write(b, {"x": 1}, True, 50, False)
    decision = settled(history)
    assert decision.values["x"] == 1
    assert decision.conflicts == ()


def test_value_that_was_parked_at_the_winner_is_a_conflict():
    history, a, b = two_sites()
    history.write(a, {"x": 1}, True, 101, False)
    history.pull(b, a, True)
    history.write(b, {"x": 2}, True, 102, False)
    decision = settled(history)
    assert [(c.column, c.lost.value) for c in decision.conflicts] == [("x", 1)]


def test_delete_loses_to_a_later_edit_and_is_recorded():
    history, a, b = two_sites()
    history.write(a, {}, False, 101, False)
    history.write(b, {"x": 1}, True, 102, False)
    decision = settled(history)
    assert decision.alive
    assert [(c.column, c.lost.value) for c in decision.conflicts] == [(ALIVE, False)]


def test_delete_wins_over_an_earlier_edit_and_the_edit_is_recorded():
    history, a, b = two_sites()
    history.write(b, {"x": 1}, True, 101, False)
    history.write(a, {}, False, 102, False)
    decision = settled(history)
    assert not decision.alive
    assert decision.values["x"] == 1
    assert [(c.column, c.lost.value) for c in decision.conflicts] == [(ALIVE, True)]


def test_edit_of_a_deleted_row_does_not_revive_it():
    history, a, b = two_sites()
    history.write(a, {}, False, 101, False)
    history.write(b, {"x": 1}, None, 102, False)
    assert not settled(history).alive


def test_row_of_which_only_columns_came_is_not_alive():
    entry = Entry("a", 1, 1, 1, 5, 0, SCOPE, "t", "k", '{"x":1}')
    assert not extend(None, [entry]).alive
    assert not settle(None, [entry], frozenset([entry.name]), {}).alive


def test_loss_is_recorded_where_one_base_stamp_would_hide_it():
    """R9: b inserts, a pulls; b writes x; a writes y, later; b pulls a; a writes x without b's."""
    history = History({origin: Author(origin) for origin in ORIGINS})
    a, b = history.authors["a"], history.authors["b"]
    history.write(b, {"x": 1, "y": 1}, True, 100, False)
    history.pull(a, b, False)
    history.write(b, {"x": 2}, True, 103, False)
    history.write(a, {"y": 3}, True, 104, False)
    history.pull(b, a, False)
    history.write(a, {"x": 4}, True, 106, False)
    fresh = history.entries[-1]
    assert not follows(b.version, [fresh])
    decision = settle(b.version, [*b.held.values(), fresh], frozenset([fresh.name]), history.contexts)
    assert decision.values == {"x": 4, "y": 3}
    assert [(c.column, c.lost.value) for c in decision.conflicts] == [("x", 2)]


@given(st.sets(st.tuples(st.sampled_from(ORIGINS), st.integers(1, 2), st.integers(1, 9)), max_size=8))
def test_what_was_seen_tells_sets_of_names_apart(names):
    total = 0
    for name in names:
        assert -(2**63) <= hash_name(*name) < 2**63
        total ^= hash_name(*name)
    assert (total == 0) == (not names)
