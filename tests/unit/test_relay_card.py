"""What a site says of itself: foreign text where it arrives."""

import json

import pytest

from changecapture.errors import PeerError
from relay.card import FIELD_LIMIT, Card, read_card


def test_a_card_reads_back():
    card = Card("camp north", "Red Cross", "ann@example.org", "http://10.8.0.1/eden")
    assert read_card(card.to_json()) == card


@pytest.mark.parametrize("text", ["", "[]", "1", '{"name": 1}', '{"name": "n", "url": null}', "[" * 100_000])
def test_what_is_no_card_is_refused(text: str):
    with pytest.raises(PeerError, match="not a card"):
        read_card(text)


def test_its_lines_are_one_printable_line_each_and_bounded():
    card = read_card(json.dumps({"name": "a\nb\x1b[31m", "contact": "x" * 10_000, "more": 1}))
    assert card.name == "a b [31m" and len(card.contact) == FIELD_LIMIT and card.owner == ""
