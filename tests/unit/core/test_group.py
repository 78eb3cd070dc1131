"""Groups of columns: entries that carry whole groups are merged column by column, and one wins them all."""

import random
from itertools import permutations

from changecapture.core.change import ALIVE, Entry
from changecapture.core.group import complete
from changecapture.core.merge import merge_entries
from changecapture.core.values import dump

GROUPS = (("lat", "lon"),)


def write(origin, number, stamp, seen, **columns):
    """Return an entry of one who has merged what he has seen."""
    columns = {ALIVE: True, **columns, **complete(GROUPS, columns, merge_entries(seen))}
    return Entry(origin, 1, number, number, stamp, 0, "all", "place", "p", dump(columns))


def test_group_is_of_one_entry_in_whatever_order_edits_arrive():
    rng = random.Random(1)
    for _ in range(500):
        entries = [write("a", 1, 1, [], lat=0, lon=0, name="")]
        for number in range(2, 6):
            seen = rng.sample(entries, rng.randrange(1, len(entries) + 1))
            seen = [entries[0], *seen]
            columns = {name: number for name in rng.sample(["lat", "lon", "name"], rng.randrange(1, 3))}
            entries.append(write(rng.choice("abc"), number, rng.randrange(2, 9), seen, **columns))
        found = [merge_entries(order) for order in permutations(entries)]
        assert all(one == found[0] for one in found)
        assert found[0]["lat"].entry is found[0]["lon"].entry


def test_entry_carries_only_the_groups_that_it_writes():
    first = write("a", 1, 1, [], lat=1, lon=2, name="n")
    assert complete(GROUPS, {"name"}, merge_entries([first])) == {}
    assert complete(GROUPS, {"lat"}, merge_entries([first])) == {"lon": 2}
    assert complete(GROUPS, {"lat", "lon"}, merge_entries([first])) == {}
    assert complete((("lat", "lon", "wkt"),), {"lat"}, merge_entries([first])) == {"lon": 2}
