"""What two relays say to each other, and what they refuse to hear."""

import gc
import xmlrpc.client

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changecapture.errors import PeerError, RetryLater
from relay import messages

SITE = "a" * 32


@pytest.mark.parametrize(
    "call",
    [
        ("hello", '{"site": "x", "epoch": 1}', "camp ☀ <north>", ""),
        ("pair", "42ab", "north"),
        ("confirm", "42ab"),
        ("pull", "{}", "e" * 32, 25),
        ("poke", SITE),
    ],
)
def test_a_call_reads_as_it_was_written(call):
    read = messages.read_call(messages.write_call(*call))
    assert (read.method, *read.parameters) == call


@given(st.binary(max_size=2000))
def test_a_payload_reads_as_it_was_written(payload):
    assert messages.read_payload(messages.write_answer(payload)) == payload


def test_a_greeting_reads_as_it_was_written():
    answer = messages.write_answer(['{"site": "x"}', "north", "signed"])
    assert messages.read_greeting(answer) == ('{"site": "x"}', "north", "signed")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_document_type_is_refused_in_any_encoding(encoding):
    body = (
        f"<?xml version='1.0' encoding='{encoding}'?><!DOCTYPE m [<!ENTITY a 'aaaa'>]>"
        "<methodCall><methodName>poke</methodName><params><param><value>"
        "<string>&a;</string></value></param></params></methodCall>"
    ).encode(encoding)
    with pytest.raises(PeerError, match="document type"):
        messages.read_call(body)


def test_deep_nesting_is_refused():
    depth = 1000
    body = b"<methodCall><params>" + b"<array>" * depth + b"</array>" * depth
    with pytest.raises(PeerError, match="nested"):
        messages.read_call(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe\x00",
        b"<methodCall>",
        b"<methodCall></methodCall>",
        b"{}",
        xmlrpc.client.dumps((), "system.listMethods").encode(),
        xmlrpc.client.dumps((1,), "poke").encode(),
        xmlrpc.client.dumps((SITE, SITE), "poke").encode(),
        xmlrpc.client.dumps(("{}", True), "pull").encode(),
        xmlrpc.client.dumps(("{}", "25"), "pull").encode(),
        b"<methodCall><methodName>poke</methodName><params><param><value><int>x</int></value>"
        b"</param></params></methodCall>",
    ],
)
def test_what_is_not_a_call_is_refused(body):
    with pytest.raises(PeerError):
        messages.read_call(body)


@given(st.binary(max_size=300))
def test_nonsense_raises_nothing_but_a_peer_error(body):
    for read in (messages.read_call, messages.read_payload, messages.read_greeting):
        with pytest.raises(PeerError):
            read(body)


@given(st.recursive(st.text() | st.integers(-9, 9) | st.booleans(), st.lists, max_leaves=5))
def test_an_answer_of_another_type_is_refused(answer):
    try:
        body = messages.write_answer(answer)
    except (TypeError, ValueError, UnicodeError):
        return
    with pytest.raises(PeerError):
        messages.read_payload(body)


def test_a_fault_says_whose_it_is():
    with pytest.raises(PeerError, match="not a request"):
        messages.read_payload(messages.write_fault(messages.WRONG, "not a request"))
    with pytest.raises(RetryLater, match="later"):
        messages.read_greeting(messages.write_fault(messages.BUSY, "later"))


def test_a_site_id_is_32_hexadecimal_digits():
    assert messages.check_site(SITE) == SITE
    for wrong in ("", "a" * 31, "A" * 32, SITE + "\n", "../" + "a" * 29):
        with pytest.raises(PeerError):
            messages.check_site(wrong)


def test_an_answer_is_forgotten_at_once_without_the_collector_of_cycles():
    body = messages.write_answer(b"payload" * 1000)
    gc.collect()
    gc.disable()
    try:
        messages.read_payload(body)
        left = [o for o in gc.get_objects() if isinstance(o, xmlrpc.client.Unmarshaller)]
    finally:
        gc.enable()
    assert not left
