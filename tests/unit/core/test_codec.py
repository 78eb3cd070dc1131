"""Batches: what is sent reads back, and what a stranger sends is a batch or a PeerError."""

import json
import zlib
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changecapture.core import codec
from changecapture.core.change import Entry
from changecapture.core.clock import LATEST_STAMP
from changecapture.core.codec import Batch, Head, decode_batch, encode_batch, read_head
from changecapture.core.values import dump
from changecapture.core.vector import digest_vector
from changecapture.errors import PeerError

storable = st.characters(exclude_characters="\0", exclude_categories=("Cs",))
words = st.text(storable, min_size=1, max_size=8)
numbers = st.integers(0, 2**53 - 1)
any_text = st.text(st.characters(exclude_categories=("Cs",)))
column_values = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | any_text
    | st.builds(lambda text: {"base64": text}, any_text)
    | st.lists(any_text, max_size=2)
)
columns = st.dictionaries(any_text.filter(lambda name: name[:1] != "@"), column_values, max_size=4)
vectors = st.dictionaries(st.tuples(words, numbers, words), numbers, max_size=3)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def entries(draw):
    return Entry(
        origin=draw(words),
        epoch=draw(numbers),
        number=draw(numbers),
        pass_number=draw(numbers),
        stamp=draw(st.integers(1, LATEST_STAMP)),
        base_seen=draw(st.integers(-(2**63), 2**63 - 1)),
        scope=draw(words),
        table=draw(words),
        key=draw(words),
        columns=dump(draw(columns)),
    )


@st.composite
def batches(draw):
    some = draw(st.lists(entries(), max_size=4))
    context = draw(vectors)
    digest = digest_vector(context)
    after, position, end = sorted(draw(st.tuples(numbers, numbers, numbers)))
    position = end if position == after else position
    return Batch(
        Head(draw(words), draw(numbers), draw(vectors), draw(vectors), after, position, end),
        tuple(some),
        {(e.origin, e.epoch, e.pass_number): digest for e in some},
        {digest: context} if some else {},
    )


@cache
def an_encoded_batch():
    """Return the text of a batch with two entries, one pass and one context."""
    head = Head("site", 1, {("b", 1, "pr"): 4}, {("b", 1, "pr"): 9}, 3, 5, 5)
    context = {("c", 2, "org"): 7}
    digest = digest_vector(context)
    two = tuple(
        Entry("b", 1, n, 3, 1_700_000_000_000_000 + n, -5, "pr", "pr_person", f"urn:{n}", '{"@alive":true}')
        for n in (5, 6)
    )
    return zlib.decompress(encode_batch(Batch(head, two, {("b", 1, 3): digest}, {digest: context}))).decode()


def pack(text):
    return zlib.compress(text.encode())


def assert_refused_or_usable(payload):
    """A decoded batch can be encoded again and holds nothing that a database cannot store."""
    try:
        batch = decode_batch(payload)
    except PeerError as error:
        assert str(error)
        return
    again = decode_batch(encode_batch(batch))
    assert again == batch
    for entry in batch.entries:
        dump(json.loads(entry.columns)).encode()
        assert entry.stamp <= LATEST_STAMP
        assert -(2**63) <= entry.base_seen < 2**63


@given(batches())
def test_batch_reads_back(batch):
    assert decode_batch(encode_batch(batch)) == batch


@given(batches())
def test_columns_travel_as_the_text_that_was_stored(batch):
    decoded = decode_batch(encode_batch(batch))
    assert [e.columns for e in decoded.entries] == [e.columns for e in batch.entries]


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(payload):
    with pytest.raises(PeerError):
        decode_batch(payload)


@given(st.text(max_size=200))
def test_random_text_is_refused(text):
    with pytest.raises(PeerError):
        decode_batch(zlib.compress(text.encode("utf-8", "surrogatepass")))


def test_batch_that_is_cut_anywhere_is_refused():
    payload = pack(an_encoded_batch())
    for length in range(len(payload)):
        with pytest.raises(PeerError):
            decode_batch(payload[:length])


@given(st.data())
def test_batch_with_a_wrong_byte_is_refused_or_usable(data):
    payload = bytearray(pack(an_encoded_batch()))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] ^= data.draw(st.integers(1, 255))
    assert_refused_or_usable(bytes(payload))


@given(st.data())
def test_text_with_a_wrong_character_is_refused_or_usable(data):
    text = an_encoded_batch()
    place = data.draw(st.integers(0, len(text) - 1))
    wrong = data.draw(st.sampled_from(list('[]{}",:\\\n0-e.x\0')) | st.characters(exclude_categories=("Cs",)))
    assert_refused_or_usable(pack(text[:place] + wrong + text[place + 1 :]))


def replace_somewhere(draw, value, new):
    """Return a JSON value with one of its parts replaced."""
    if isinstance(value, dict | list) and value and draw(st.booleans()):
        places = list(value) if isinstance(value, dict) else range(len(value))
        place = draw(st.sampled_from(list(places)))
        changed = value.copy()
        changed[place] = replace_somewhere(draw, value[place], new)
        return changed
    return new


@given(st.data())
def test_batch_with_another_value_somewhere_is_refused_or_usable(data):
    lines = an_encoded_batch().split("\n")
    place = data.draw(st.integers(0, len(lines) - 1))
    changed = replace_somewhere(data.draw, json.loads(lines[place]), data.draw(json_values))
    lines[place] = json.dumps(changed)
    assert_refused_or_usable(pack("\n".join(lines)))


@given(st.data())
def test_batch_with_lines_lost_doubled_or_swapped_is_refused_or_usable(data):
    lines = an_encoded_batch().split("\n")
    chosen = data.draw(st.lists(st.sampled_from(lines), max_size=8))
    assert_refused_or_usable(pack("\n".join(chosen)))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"@alive":true', '"a":NaN'),
        ('"@alive":true', '"a":Infinity'),
        ('"@alive":true', '"a":1e999'),
        ('"@alive":true', '"a":"\\ud800"'),
        ('"@alive":true', '"\\udfff":1'),
        ('"@alive":true', '"a":' + "9" * 5000),
        ('"@alive":true', '"a":' + "[" * 100_000 + "]" * 100_000),
        ('{"@alive":true}', "[]"),
        ('{"@alive":true}', "null"),
        ("urn:5", "urn\\u0000"),
        ("urn:5", "urn\\ud800"),
        ("urn:5", "k" * (codec.KEY_LENGTH + 1)),
        ("pr_person", "t" * (codec.TABLE_LENGTH + 1)),
        ("pr_person", ""),
        ('"-5"', "-5"),
        ('"-5"', '"9223372036854775808"'),
        ("1700000000000005", str(LATEST_STAMP + 1)),
        ("1700000000000005", "0"),
        ("1700000000000005", "1.5"),
        ('"protocol":1', '"protocol":2'),
        ('"site":"site"', '"site":5'),
        ('"position":5', '"position":-1'),
        ('"position":5', f'"position":{2**53}'),
        ('{"pass"', '{"pas"'),
        ('"number"', '"nomber"'),
    ],
)
def test_what_no_honest_site_sends_is_refused(old, new):
    text = an_encoded_batch()
    if old in text:
        with pytest.raises(PeerError):
            decode_batch(pack(text.replace(old, new, 1)))


def test_entry_of_a_pass_without_context_is_refused():
    lines = an_encoded_batch().split("\n")
    for place, line in enumerate(lines):
        if "context" in line:
            with pytest.raises(PeerError, match="missing"):
                decode_batch(pack("\n".join(lines[:place] + lines[place + 1 :])))


def test_batch_that_would_fill_the_memory_is_refused_unread():
    bomb = zlib.compressobj(9)
    block = b" " * (1 << 20)
    payload = b"".join(bomb.compress(block) for _ in range(codec.MAX_BYTES // len(block) + 1)) + bomb.flush()
    assert len(payload) < 100_000
    with pytest.raises(PeerError, match="64 MiB"):
        decode_batch(payload)


@pytest.mark.parametrize("piece", ["[],", '"ab",'])
def test_batch_of_countless_small_things_is_refused_unread(piece):
    countless = f"[{piece * (codec.LARGE // len(piece) + 1)}1]"
    with pytest.raises(PeerError, match="no row"):
        decode_batch(pack(an_encoded_batch() + "\n" + countless))


def test_row_of_long_texts_is_taken_whatever_stands_in_them():
    columns = dump({"@alive": True, "note": '\\"[],{}\n\\\\"' * (codec.LARGE // 10)})
    text = an_encoded_batch().replace('{"@alive":true}', columns, 1)
    assert codec.LARGE < len(text) < codec.MAX_BYTES
    assert decode_batch(pack(text)).entries[0].columns == columns


def test_batch_of_another_protocol_says_what_to_do():
    text = an_encoded_batch().replace('"protocol":1', '"protocol":2')
    with pytest.raises(PeerError, match="same version"):
        decode_batch(pack(text))


def test_text_after_the_end_of_a_batch_is_refused():
    with pytest.raises(PeerError):
        decode_batch(pack(an_encoded_batch()) + b"more")


@pytest.mark.parametrize(("after", "position", "end"), [(5, 4, 9), (5, 5, 9), (0, 6, 5)])
def test_batch_that_goes_nowhere_is_refused(after, position, end):
    text = an_encoded_batch().replace(
        '"after":3,"position":5,"end":5', f'"after":{after},"position":{position},"end":{end}'
    )
    with pytest.raises(PeerError):
        decode_batch(pack(text))


@given(batches())
def test_head_is_read_without_the_rest(batch):
    payload = encode_batch(batch)
    assert read_head(payload) == batch.head
    assert read_head(payload[: len(payload) - 4]) == batch.head


@given(st.binary(max_size=200))
def test_head_of_random_bytes_is_refused(payload):
    with pytest.raises(PeerError, match="malformed batch"):
        read_head(payload)


def test_head_that_would_fill_the_memory_is_refused():
    with pytest.raises(PeerError, match="too long"):
        read_head(zlib.compress(b" " * (4 * codec.HEAD_BYTES)))
