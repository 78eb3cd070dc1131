"""The worked examples of ARCHITECTURE.md, and the counterexamples of the design's review that the pure
merge answers: each is a few entries by hand, and fails when its rule is taken out."""

from itertools import permutations

import pytest

from changecapture.core.change import ALIVE, UNSEEN, Entry, Version, hash_name
from changecapture.core.clock import LATEST_STAMP, next_stamp
from changecapture.core.merge import Cell, extend, find_alive, find_conflicts, follows, merge_entries, settle
from changecapture.core.tree import Edge, find_latest
from changecapture.core.values import dump

SEEN_A1 = {("a", 1, "pr"): 1}
"""The context of one who has pulled the first entry of a."""


def entry(origin, number, stamp, *, epoch=1, base=(), key="k", **columns):
    """Return an entry in a pass of its own; ``base``: the names merged into the author's row before."""
    seen = 0
    for name in base:
        seen ^= hash_name(*name)
    columns = {{"alive": ALIVE, "unseen": UNSEEN}.get(name, name): value for name, value in columns.items()}
    return Entry(origin, epoch, number, number, stamp, seen, "pr", "t", key, dump(columns))


def decide(entries, contexts):
    """Settle all entries in every order of arrival; return the one decision that they all come to."""
    names = frozenset(one.name for one in entries)
    found = [settle(None, order, names, contexts) for order in permutations(entries)]
    for decision in found:
        assert (decision.values, decision.alive, decision.version) == (
            found[0].values,
            found[0].alive,
            found[0].version,
        )
        assert set(map(str, decision.conflicts)) == set(map(str, found[0].conflicts))
    return found[0]


def lost(decision):
    return sorted((c.column, c.kept.value, c.lost.value) for c in decision.conflicts)


BORN = entry("a", 1, 100, alive=True, name="Ana", camp="North")


# The worked examples


def test_two_editors():
    """One mends the name, one the camp, neither has seen the other: both edits stay. Of two names the
    later stays and the other is kept."""
    name = entry("a", 2, 200, base=[("a", 1, 1)], alive=True, name="Anna")
    camp = entry("b", 1, 150, base=[("a", 1, 1)], alive=True, camp="South")
    contexts = {("b", 1, 1): SEEN_A1, ("b", 1, 2): SEEN_A1}
    decision = decide([BORN, name, camp], contexts)
    assert (decision.values, decision.conflicts) == ({"name": "Anna", "camp": "South"}, ())
    other = entry("b", 2, 250, base=[("a", 1, 1), ("b", 1, 1)], alive=True, name="Anne")
    assert lost(decide([BORN, name, camp, other], contexts)) == [("name", "Anne", "Anna")]


def test_delete_against_edit():
    """The later wins, whether it is the edit or the delete; what lost is kept, and nothing is dropped."""
    deleted = entry("a", 2, 200, base=[("a", 1, 1)], alive=False)
    contexts = {("b", 1, 1): SEEN_A1}
    edited = entry("b", 1, 300, base=[("a", 1, 1)], alive=True, name="Anna")
    decision = decide([BORN, deleted, edited], contexts)
    assert (decision.alive, decision.values) == (True, {"name": "Anna", "camp": "North"})
    assert lost(decision) == [(ALIVE, True, False)]
    earlier = entry("b", 1, 150, base=[("a", 1, 1)], alive=True, name="Anna")
    decision = decide([BORN, deleted, earlier], contexts)
    assert not decision.alive
    assert lost(decision) == [(ALIVE, False, True)]


def test_late_third_site():
    """c comes a year later with an old edit of a row that was deleted meanwhile: the delete stays, the edit
    is kept; and c, who gets everything at once, comes to what the others have had all along."""
    deleted = entry("b", 1, 5000, base=[("a", 1, 1)], alive=False)
    late = entry("c", 1, 200, base=[("a", 1, 1)], alive=True, name="Anna")
    contexts = {("b", 1, 1): SEEN_A1, ("c", 1, 1): SEEN_A1}
    decision = decide([BORN, deleted, late], contexts)
    assert not decision.alive
    assert lost(decision) == [(ALIVE, False, True)]
    here = settle(None, [BORN, deleted], frozenset([BORN.name, deleted.name]), contexts)
    then = settle(here.version, [BORN, deleted, late], frozenset([late.name]), contexts)
    assert then.version == decision.version
    assert lost(then) == lost(decision)


@pytest.mark.parametrize("clock", [0, 50, LATEST_STAMP - 10])
def test_wrong_clocks(clock):
    """a's clock is in the year 2199. b edits what it has seen, with a clock that stands anywhere: it wins,
    and is no conflict."""
    ahead = entry("a", 1, LATEST_STAMP - 1000, alive=True, name="Ana")
    after = entry("b", 1, next_stamp(clock, ahead.stamp), base=[("a", 1, 1)], alive=True, name="Anna")
    decision = decide([ahead, after], {("b", 1, 1): SEEN_A1})
    assert (decision.values, decision.conflicts) == ({"name": "Anna"}, ())


# The counterexamples


def test_r2_update_of_an_archived_row_does_not_revive_it():
    deleted = entry("a", 2, 200, base=[("a", 1, 1)], alive=False)
    linked = entry("a", 3, 300, base=[("a", 1, 1), ("a", 1, 2)], camp="South")
    decision = decide([BORN, deleted, linked], {})
    assert (decision.alive, decision.values["camp"]) == (False, "South")
    assert not extend(Version(200, "a", False, linked.base_seen), [linked]).alive


def test_r2_row_of_key_columns_only_exists():
    link = entry("a", 1, 100, alive=True)
    assert decide([link], {}).alive
    assert extend(None, [link]).alive


def test_r3_revive_writes_every_column():
    """A delete took the references away at home; the revive brings the whole row from the merge."""
    deleted = entry("a", 2, 200, base=[("a", 1, 1)], alive=False)
    revived = entry("b", 1, 300, base=[("a", 1, 1)], alive=True, name="Anna")
    decision = decide([BORN, deleted, revived], {("b", 1, 1): SEEN_A1})
    assert (decision.whole, decision.values) == (True, {"name": "Anna", "camp": "North"})


def test_r9_what_the_author_had_not_seen_is_never_overwritten_unrecorded():
    """The stamp alone says that the row is as the author knew it; what was seen tells that it is not."""
    here = settle(None, [BORN], frozenset([BORN.name]), {}).version
    unseen = entry("b", 1, 103, base=[("a", 1, 1)], alive=True, name="Anna")
    then = extend(here, [unseen]).version
    later = entry("a", 2, 106, base=[("a", 1, 1)], alive=True, name="Anne")
    assert follows(here, [unseen])
    assert not follows(then, [later])
    names = frozenset([later.name])
    decision = settle(then, [BORN, unseen, later], names, {("b", 1, 1): SEEN_A1})
    assert lost(decision) == [("name", "Anne", "Anna")]


def test_r9_later_of_two_values_that_came_together_is_taken_unseen():
    later = entry("a", 2, 200, base=[("a", 1, 1)], alive=True, name="Anna")
    assert follows(None, [BORN, later])
    assert extend(None, [BORN, later]).values == {"name": "Anna", "camp": "North"}


def test_r9_entry_with_the_right_base_and_an_older_stamp_is_not_taken_unseen():
    old = entry("b", 1, 99, base=[("a", 1, 1)], alive=True, name="Anna")
    version = extend(None, [BORN]).version
    assert not follows(version, [old])


def test_r9_value_that_was_parked_where_the_winner_was_written_is_recorded():
    """The winner's context covers it, but no application there could see it."""
    winner = entry("b", 1, 200, alive=True, name="Anna", unseen=["a/1/1"])
    decision = decide([BORN, winner], {("b", 1, 1): SEEN_A1})
    assert decision.values["name"] == "Anna"
    assert UNSEEN not in decision.values
    assert (("name", "Anna", "Ana")) in lost(decision)


def test_value_that_a_third_had_replaced_knowingly_is_no_conflict():
    replaced = entry("a", 2, 200, base=[("a", 1, 1)], alive=True, name="Anna")
    other = entry("b", 1, 300, alive=True, name="Anne")
    assert lost(decide([BORN, replaced, other], {})) == [("name", "Anne", "Anna")]


def test_conflict_that_was_found_before_is_not_found_again():
    other = entry("b", 1, 200, alive=True, name="Anna")
    more = entry("b", 2, 300, base=[("b", 1, 1)], alive=True, camp="South")
    assert [c.column for c in find_conflicts([BORN, other], frozenset([other.name]), {})] == ["name"]
    assert [c.column for c in find_conflicts([BORN, other, more], frozenset([more.name]), {})] == ["camp"]


def test_r10_two_lives_of_one_origin_never_tie():
    """A restored backup gives the same stamp and number to another value: the epoch decides."""
    first = entry("a", 2, 200, base=[("a", 1, 1)], alive=True, name="Anna")
    second = entry("a", 1, 200, epoch=2, base=[("a", 1, 1)], alive=True, name="Anne")
    decision = decide([BORN, first, second], {})
    assert decision.values["name"] == "Anne"
    assert ("name", "Anne", "Anna") in lost(decision)


def test_r10_same_number_of_two_lives_is_two_names_in_what_was_seen():
    """Else the two would cancel out, and who saw neither would pass for who saw both."""
    assert len({hash_name(origin, epoch, 5) for origin in "ab" for epoch in (1, 2)}) == 4


def test_r10_life_that_began_anew_had_not_seen_what_the_backup_lacked():
    """The new life's number is higher than the lost one's; that says nothing about what it saw."""
    lost_one = entry("a", 2, 200, base=[("a", 1, 1)], alive=True, name="Anna")
    new_life = entry("a", 5, 300, epoch=2, base=[("a", 1, 1)], alive=True, name="Anne")
    contexts = {("a", 2, 5): {("a", 1, "pr"): 1}}
    assert lost(decide([BORN, lost_one, new_life], contexts)) == [("name", "Anne", "Anna")]


def test_r13_stamp_of_an_edit_is_above_all_that_its_author_saw():
    """k1 was stamped by a fast clock: an edit of it by a slow one must not lose."""
    assert next_stamp(45, 50) == 51
    assert next_stamp(60, 50) == 60


def test_r15_stamp_far_ahead_is_merged_like_any_other():
    ahead = entry("b", 1, LATEST_STAMP, alive=True, name="Anna")
    decision = decide([BORN, ahead], {("b", 1, 1): SEEN_A1})
    assert (decision.values["name"], decision.conflicts) == ("Anna", ())


def test_r17_delete_that_carries_an_update_keeps_its_value_for_the_revive():
    """The update and the delete of one pass are one entry; a later edit elsewhere brings its value back."""
    both = entry("a", 2, 200, base=[("a", 1, 1)], alive=False, name="Anna")
    revived = entry("b", 1, 300, base=[("a", 1, 1)], alive=True, camp="South")
    decision = decide([BORN, both, revived], {("b", 1, 1): SEEN_A1})
    assert (decision.alive, decision.values) == (True, {"name": "Anna", "camp": "South"})


def test_rows_of_one_thing_share_the_latest_word_on_their_existence():
    """The person was edited after its super row had been deleted: both live."""
    person = [BORN, entry("b", 1, 300, base=[("a", 1, 1)], alive=True, name="Anna")]
    super_row = [entry("a", 4, 100, alive=True, type="person"), entry("a", 5, 200, alive=False)]
    thing = find_alive([*person, *super_row])
    assert thing is not None and thing.entry.name == ("b", 1, 1)
    names = frozenset(one.name for one in super_row)
    assert settle(None, super_row, names, {}, thing).alive
    assert not settle(None, super_row, names, {}).alive


def edge(parent, number, stamp):
    return Edge(parent, Cell(entry("a", number, stamp, boss=parent), parent))


def test_latest_edge_of_a_cycle_is_cut_and_the_others_stay():
    edges = {
        "x": edge("y", 1, 100),
        "y": edge("z", 2, 300),
        "z": edge("x", 3, 200),
        "leaf": edge("x", 4, 900),
    }
    for start in ("x", "y", "z", "leaf"):
        assert find_latest(edges, [start]) == {"y": edges["z"]}
    assert find_latest({"x": edge("x", 1, 1)}, ["x"]).keys() == {"x"}


def test_edges_to_a_root_are_no_cycle():
    assert find_latest({"x": edge("y", 1, 100), "y": edge("root", 2, 200)}, ["x", "y"]) == {}


def test_merged_row_has_no_column_of_what_was_unseen():
    assert set(merge_entries([entry("a", 1, 1, alive=True, unseen=["b/1/1"])])) == {ALIVE}
