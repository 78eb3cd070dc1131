"""What a third site tells itself in a moment is not asked of others; how long a moment is, is learned."""

from random import Random

from relay.hearsay import ASK_S, FEW, LONGEST_S, Hearsay
from relay.polls import BETWEEN_S


def longest(hearsay: Hearsay) -> float:
    return max(hearsay.pause() for _ in range(200))


def new(sites: int = 1) -> Hearsay:
    return Hearsay(lambda: sites, Random(7))


def test_at_first_it_is_a_moment():
    pauses = [new().pause() for _ in range(200)]
    assert min(pauses) >= ASK_S and max(pauses) <= 3 * ASK_S


def test_among_many_sites_it_is_longer():
    assert 3 * ASK_S < longest(new(2 * FEW)) <= 6 * ASK_S


def test_what_comes_twice_makes_it_longer_and_what_comes_once_shorter_again():
    hearsay = new()
    for _ in range(3):
        hearsay.came(entries=2, known=1)
    busy = longest(hearsay)
    assert busy > 4 * ASK_S
    for _ in range(100):
        hearsay.came(entries=1, known=0)
    assert longest(hearsay) <= 3 * ASK_S


def test_a_payload_without_entries_teaches_nothing():
    hearsay = new()
    hearsay.came(entries=2, known=2)
    before = longest(hearsay)
    for _ in range(100):
        hearsay.came(entries=0, known=0)
    assert longest(hearsay) == before


def test_it_is_never_longer_than_we_are_expected_back():
    hearsay = new(100)
    for _ in range(50):
        hearsay.came(entries=1, known=1)
    assert longest(hearsay) <= LONGEST_S <= BETWEEN_S
