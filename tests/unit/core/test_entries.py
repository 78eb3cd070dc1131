"""Entries that are read together are what each is by itself; what is read by itself alone is left to that."""

import json

from hypothesis import given
from hypothesis import strategies as st

from changecapture.core.change import Entry
from changecapture.core.entries import decode_alike, decode_entry, encode_entries
from tests.unit.core.test_codec import entries, json_values, replace_somewhere


def write_lines(found: list[Entry]) -> list[str]:
    return "\n".join(encode_entries(found)).split("\n")


def read_singly(lines: list[str]) -> list[Entry]:
    heads, texts = lines[::2], lines[1::2]
    return [
        decode_entry(json.loads(head), text, json.loads(text))
        for head, text in zip(heads, texts, strict=True)
    ]


@given(st.lists(entries(), min_size=1, max_size=4))
def test_entries_that_are_read_together_are_what_each_is_by_itself(found):
    lines = write_lines(found)
    together = decode_alike(lines)
    assert together is None or together == read_singly(lines) == found


def test_ordinary_entries_are_read_together():
    entry = Entry("o", 1, 2, 3, 4, -5, "s", "t", "k", '{"@alive":true,"note":"é 🙂"}')
    assert decode_alike(write_lines([entry, entry])) == [entry, entry]


@given(st.lists(entries(), min_size=1, max_size=3), st.data())
def test_what_is_wrong_in_one_entry_is_not_read_together(found, data):
    lines = write_lines(found)
    place = data.draw(st.integers(0, len(lines) - 1))
    changed = replace_somewhere(data.draw, json.loads(lines[place]), data.draw(json_values))
    lines[place] = json.dumps(changed, ensure_ascii=False)
    together = decode_alike(lines)
    if together is not None:
        assert together == read_singly(lines)
