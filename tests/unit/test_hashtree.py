"""The hash tree: two sites find the rows that differ in few bytes."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from changecapture.core.hashtree import HashTree, find_differing, hash_place, hash_row
from changecapture.verify import CountedSide

ROWS = 300_000


def make_tree(rows):
    tree = HashTree()
    for place, content in rows.items():
        tree.add(place, content)
    return tree


def test_one_row_of_many_is_found_in_few_kilobytes():
    rng = Random(1)
    rows = {rng.getrandbits(64): rng.getrandbits(64) for _ in range(ROWS)}
    other = dict(rows)
    place = rng.choice(list(other))
    other[place] ^= 1
    side = CountedSide(make_tree(other))
    assert find_differing(make_tree(rows), side) == [place]
    assert side.bytes < 3072


@given(
    st.dictionaries(st.integers(0, 40), st.integers(0, 3)),
    st.dictionaries(st.integers(0, 40), st.integers(0, 3)),
)
def test_what_differs_is_what_is_found(left, right):
    def spread(rows):
        return {hash_place("t", str(k)): hash_row("t", str(k), str(v)) for k, v in rows.items()}

    expected = {k for k in left.keys() | right.keys() if left.get(k) != right.get(k)}
    found = find_differing(make_tree(spread(left)), make_tree(spread(right)))
    assert found == sorted(hash_place("t", str(k)) for k in expected)
