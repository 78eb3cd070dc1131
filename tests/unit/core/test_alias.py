"""Keys that are one row: whatever the order in which aliases, edits and deletes arrive, sites agree (R13)."""

import random

import pytest

from changecapture.core.alias import ALIAS, dump_alias, make_alias, name_alias, read_alias, unite
from changecapture.core.change import ALIVE, Entry, Version, hash_name
from changecapture.core.clock import next_stamp
from changecapture.core.merge import merge_entries, settle, unite_versions
from changecapture.core.values import dump

KEYS = "wxyz"
CONTEXTS = {}


class Place:
    """A site that hears entries and aliases one by one, and knows each joined row by its name only."""

    def __init__(self, origin):
        self.origin = origin
        self.number = 0
        self.heard = set()
        self.names = {}
        self.versions = {}
        self.entries = {}

    def name(self, key):
        return self.names.get(key, key)

    def members(self, name):
        return sorted({key for key, other in self.names.items() if other == name} | {name})

    def hear(self, item):
        if item in self.heard:
            return
        self.heard.add(item)
        if isinstance(item, tuple):
            self._join(item)
        else:
            self.entries.setdefault(item.key, []).append(item)
            name = self.name(item.key)
            self.versions[name] = self.row(name, fresh=item).version

    def _join(self, pair):
        both = {self.name(key) for key in pair}
        before = {key: name for key, name in self.names.items() if name in both}
        self.names.update(unite(before, [pair]))
        parts = [self.versions.pop(name) for name in sorted(both) if name in self.versions]
        if parts:
            self.versions[self.name(pair[0])] = unite_versions(parts)

    def row(self, name, fresh=None):
        entries = [entry for key in self.members(name) for entry in self.entries.get(key, ())]
        names = frozenset([fresh.name] if fresh else [])
        return settle(self.versions.get(name), entries, names, CONTEXTS)

    def write(self, key, clock, **columns):
        name = self.name(key)
        keys = [name] if columns.get(ALIVE, True) else self.members(name)
        made = []
        for one in keys:
            self.number += 1
            version = self.versions.get(name, Version(0, "", False, 0))
            stamp = next_stamp(clock, version.stamp)
            names = self.origin, 1, self.number, self.number
            entry = Entry(*names, stamp, version.seen, "all", "t", one, dump(columns))
            made.append(entry)
            self.hear(entry)
        return made

    def shown(self):
        return {name: (v.alive, v.stamp, v.seen, self.row(name).values) for name, v in self.versions.items()}


def play(rng):
    """Let three sites write, join and hear of each other; return them, and all that was said in order."""
    places = [Place(origin) for origin in "abc"]
    said = []
    for _ in range(rng.randrange(3, 9)):
        place = rng.choice(places)
        known = [key for key in KEYS if key in place.entries or key in place.names]
        act = rng.choice(["insert", "edit", "delete", "join", "hear", "hear"])
        if act == "insert" or not known:
            said += place.write(rng.choice(KEYS), rng.randrange(60), **{ALIVE: True, "v": rng.randrange(99)})
        elif act == "edit":
            said += place.write(rng.choice(known), rng.randrange(60), **{ALIVE: True, "v": rng.randrange(99)})
        elif act == "delete":
            said += place.write(rng.choice(known), rng.randrange(60), **{ALIVE: False})
        elif act == "join":
            pair = tuple(sorted(rng.sample(KEYS, 2)))
            said.append(pair)
            place.hear(pair)
        elif said:
            place.hear(rng.choice(said))
    return places, said


@pytest.mark.parametrize("scenarios", [1000, pytest.param(20_000, marks=pytest.mark.long)])
def test_order_of_arrival_does_not_matter(scenarios):
    joined = 0
    for seed in range(scenarios):
        rng = random.Random(seed)
        places, said = play(rng)
        for place in places:
            for item in rng.sample(said, len(said)):
                place.hear(item)
        first, *others = [place.shown() for place in places]
        assert all(other == first for other in others), seed
        assert len({tuple(sorted(place.names.items())) for place in places}) == 1, seed
        joined += len(places[0].names) > len(set(places[0].names.values())) and len(said) > 2
    assert joined > scenarios / 4


def entry(origin, number, stamp, key, **columns):
    columns = {ALIVE if name == "alive" else name: value for name, value in columns.items()}
    return Entry(origin, 1, number, number, stamp, 0, "all", "t", key, dump(columns))


def test_r13_rename_that_arrives_between_two_inserts():
    """k1 Nurse; k2 Nurse, then renamed Staff: one row whether the rename comes last or in between."""
    first, second = (
        entry("a", 1, 50, "k1", alive=True, n="Nurse"),
        entry("b", 1, 60, "k2", alive=True, n="Nurse"),
    )
    rename, pair = entry("b", 2, 70, "k2", alive=True, n="Staff"), ("k1", "k2")
    shown = []
    for order in (
        (first, second, rename, pair),
        (second, rename, first, pair),
        (pair, second, rename, first),
    ):
        place = Place("c")
        for item in order:
            place.hear(item)
        shown.append(place.shown())
    assert all(other == shown[0] for other in shown)
    assert [(name, row[3]) for name, row in shown[0].items()] == [("k1", {"n": "Staff"})]


def test_r13_edit_through_the_joined_row_wins_over_what_its_author_saw():
    """k1 was written by a fast clock; the edit at k2 was made later, and saw it."""
    place = Place("b")
    for item in (
        entry("a", 1, 50, "k1", alive=True, n="fast"),
        entry("b", 9, 10, "k2", alive=True),
        ("k1", "k2"),
    ):
        place.hear(item)
    (edit,) = place.write("k2", 45, n="edit")
    assert (edit.key, edit.stamp) == ("k1", 51)
    assert place.row("k1").values["n"] == "edit"


def test_r13_delete_names_the_keys_that_its_author_knew():
    born = [entry("a", 1, 10, "k1", alive=True), entry("b", 1, 11, "k2", alive=True)]
    before = entry("c", 1, 20, "k2", alive=False)
    assert merge_entries([*born, before])[ALIVE].value is True
    both = [before, entry("c", 2, 21, "k1", alive=False)]
    assert merge_entries([*born, *both])[ALIVE].value is False
    third = entry("d", 1, 5, "k3", alive=True)
    assert merge_entries([*born, *both, third])[ALIVE].value is True


def test_r13_name_is_the_smallest_of_all_keys_however_they_were_joined():
    assert unite({}, [("c", "d"), ("a", "b"), ("b", "c")]) == dict.fromkeys("abcd", "a")
    assert unite({"c": "b", "b": "b"}, [("c", "a")]) == dict.fromkeys("abc", "a")


def test_versions_of_joined_rows_are_one():
    left, right = Version(5, "a", False, 12), Version(4, "b", True, 10)
    assert unite_versions([left, right]) == unite_versions([right, left]) == Version(5, "a", True, 6)


def alias_entry(**changed):
    alias = make_alias("skill", "b", "a")
    fields = {"table": ALIAS, "key": name_alias(alias), "columns": dump_alias(alias)} | changed
    return Entry("a", 1, 1, 1, 1, 0, "all", fields["table"], fields["key"], fields["columns"])


def test_alias_reads_as_it_was_written_at_every_site_alike():
    assert read_alias(alias_entry()) == make_alias("skill", "a", "b") == ("skill", "a", "b")
    assert name_alias(make_alias("skill", "a", "b")) == name_alias(make_alias("skill", "b", "a"))


@pytest.mark.parametrize(
    "changed",
    [
        {"columns": dump({"table": "skill", "keys": ["a"]})},
        {"columns": dump({"table": "skill", "keys": ["a", "a"]})},
        {"columns": dump({"table": "skill", "keys": ["a", 1]})},
        {"columns": dump({"table": "skill", "keys": ["a", "b\0"]})},
        {"columns": dump({"table": "", "keys": ["a", "b"]})},
        {"columns": dump({"keys": ["a", "b"]})},
        {"columns": dump({"table": "other", "keys": ["a", "b"]})},
        {"key": "another"},
        {"table": "skill"},
    ],
)
def test_malformed_alias_is_none(changed):
    assert read_alias(alias_entry(**changed)) is None


def test_seen_of_a_joined_row_counts_every_entry_once():
    place = Place("c")
    items = [entry("a", 1, 1, "k1", alive=True), entry("b", 1, 1, "k2", alive=True), ("k1", "k2")]
    for item in items * 2:
        place.hear(item)
    assert place.versions["k1"].seen == hash_name("a", 1, 1) ^ hash_name("b", 1, 1)
