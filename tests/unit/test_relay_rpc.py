"""The forms of clients' calls, by the examples of the JSON-RPC 2.0 specification (section 7)."""

import json
import xmlrpc.client
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from relay.rpc import (
    BROKEN,
    BUSY,
    MOST_CALLS,
    NO_CALL,
    UNKNOWN,
    UNREADABLE,
    WRONG,
    JsonForm,
    Refused,
    XmlForm,
)
from tests.unit.relay_fake import result


class Service:
    """Subtracts, and remembers what it was asked."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    async def do(self, method: Any, parameters: Any) -> Any:
        self.done.append(method)
        if method != "subtract":
            raise Refused(UNKNOWN, "no such method")
        if isinstance(parameters, dict):
            parameters = [parameters["minuend"], parameters["subtrahend"]]
        if len(parameters) != 2:
            raise Refused(WRONG, "two numbers")
        return parameters[0] - parameters[1]

    def ask(self, body: str | bytes) -> Any:
        """Return the answer, None for none; errors by their code alone."""
        body = body.encode() if isinstance(body, str) else body
        said = result(Deferred.fromCoroutine(JsonForm().answer(body, self.do)))
        found = json.loads(said) if said else None
        for one in found if isinstance(found, list) else [found] if found else []:
            assert one.pop("jsonrpc") == "2.0"
            if "error" in one:
                assert one["error"]["message"]
                one["error"] = one["error"]["code"]
        return found


@pytest.fixture
def service() -> Service:
    return Service()


CALL = '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}'
NOTICE = '{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23]}'


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (CALL, {"id": 1, "result": 19}),
        (CALL.replace("[42, 23]", '{"subtrahend": 23, "minuend": 42}'), {"id": 1, "result": 19}),
        (CALL.replace('"id": 1', '"id": "a"'), {"id": "a", "result": 19}),
        (CALL.replace('"id": 1', '"id": null'), {"id": None, "result": 19}),
        (CALL.replace("[42, 23]", "[1]"), {"id": 1, "error": WRONG}),
        (CALL.replace("subtract", "foobar"), {"id": 1, "error": UNKNOWN}),
        (NOTICE, None),
        (NOTICE.replace("subtract", "foobar"), None),
        ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', {"id": None, "error": UNREADABLE}),
        ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', {"id": None, "error": NO_CALL}),
        ('{"method": "subtract", "params": [42, 23], "id": 1}', {"id": 1, "error": NO_CALL}),
        (CALL.replace("[42, 23]", '"bar"'), {"id": 1, "error": NO_CALL}),
        (CALL.replace('"id": 1', '"id": [1]'), {"id": None, "error": NO_CALL}),
        ("1", {"id": None, "error": NO_CALL}),
        ("[]", {"id": None, "error": NO_CALL}),
        ("[1, 2]", [{"id": None, "error": NO_CALL}] * 2),
        (
            f"[{CALL}, {NOTICE}, 1, {CALL.replace('1}', '2}')}]",
            [{"id": 1, "result": 19}, {"id": None, "error": NO_CALL}, {"id": 2, "result": 19}],
        ),
        (f"[{NOTICE}, {NOTICE}]", None),
        (f"[{', '.join([CALL] * (MOST_CALLS + 1))}]", {"id": None, "error": NO_CALL}),
        (CALL.encode("utf-16"), {"id": None, "error": UNREADABLE}),
    ],
)
def test_calls_are_answered_as_the_specification_of_json_rpc_says(service, body, answer):
    assert service.ask(body) == answer


def test_a_notification_is_done(service):
    service.ask(NOTICE)
    assert service.done == ["subtract"]


def test_the_codes_are_those_of_the_specification():
    assert (UNREADABLE, NO_CALL, UNKNOWN, WRONG, BROKEN) == (-32700, -32600, -32601, -32602, -32603)
    assert -32099 <= BUSY <= -32000


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (xmlrpc.client.dumps((1, 2), "foobar").encode(), UNKNOWN),
        (xmlrpc.client.dumps((1,), "subtract").encode(), WRONG),
        (b"<methodCall>", UNREADABLE),
    ],
)
def test_faults_of_xml_rpc_have_the_same_codes(service, body, code):
    said = result(Deferred.fromCoroutine(XmlForm().answer(body, service.do)))
    with pytest.raises(xmlrpc.client.Fault) as raised:
        xmlrpc.client.loads(said)
    assert raised.value.faultCode == code
