"""The two forms of a client's call, XML-RPC and JSON-RPC 2.0: a body in, the calls in it, a body out.

Everything that is read comes from outside. JSON-RPC is spoken as specified: batches, notifications (done, and
not answered), and the codes of its errors, which XML-RPC's faults share. No library for it has had a release
for three years, and its envelope has four fields: it is read and written here.
"""

import json
import xmlrpc.client
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from changecapture.clients import narrow
from changecapture.core.entries import decoder
from changecapture.errors import PeerError
from relay import messages

UNREADABLE, NO_CALL, UNKNOWN, WRONG, BROKEN, BUSY = -32700, -32600, -32601, -32602, -32603, -32001
"""Not text of the form; not a call; no such method; wrong parameters, or what they say cannot be done; a
mistake of ours; try again later."""
NUMBER_LIMIT = 200
"""Characters of the number that a JSON-RPC call gives itself."""
MOST_CALLS = 10
"""In one body."""

Do = Callable[[Any, Any], Awaitable[Any]]
"""What does a call: method and parameters to the answer; raises Refused."""


class Refused(Exception):
    """An answer that is an error: a code and a line."""

    def __init__(self, code: int, text: str) -> None:
        """Say so."""
        super().__init__(text)
        self.code, self.text = code, messages.clean(text)


class Form(Protocol):
    """How calls are written."""

    @property
    def kind(self) -> str:
        """Return the content type."""

    async def answer(self, body: bytes, do: Do) -> bytes:
        """Do what a body asks for; return the body of the answer, b"" where none is wanted."""


class XmlForm:
    """XML-RPC."""

    kind = "text/xml"

    async def answer(self, body: bytes, do: Do) -> bytes:
        """See Form."""
        try:
            try:
                parameters, method = messages.read_any(body)
            except PeerError as error:
                raise Refused(UNREADABLE, str(error)) from error
            said = narrow(await do(method, list(parameters)))
        except Refused as error:
            return messages.write_fault(error.code, error.text)
        return xmlrpc.client.dumps((said,), methodresponse=True, allow_none=True).encode()


class JsonForm:
    """JSON-RPC 2.0."""

    kind = "application/json"

    async def answer(self, body: bytes, do: Do) -> bytes:
        """See Form."""
        try:
            calls = _read_json(body)
            many = isinstance(calls, list)
            if many and not 0 < len(calls) <= MOST_CALLS:
                raise Refused(NO_CALL, f"1 to {MOST_CALLS} calls at once")
        except Refused as error:
            return json.dumps(_fail(None, error)).encode()
        answers = [await _answer_one(call, do) for call in (calls if many else [calls])]
        wanted = [answer for answer in answers if answer is not None]
        if not wanted:
            return b""
        return json.dumps(wanted if many else wanted[0]).encode()


@dataclass(frozen=True, slots=True)
class _Call:
    """``quiet``: a notification, which nobody waits for the answer of."""

    number: Any
    method: str
    parameters: Any
    quiet: bool


async def _answer_one(call: Any, do: Do) -> dict[str, Any] | None:
    try:
        read = _read_call(call)
    except Refused as error:
        return _fail(_number_of(call), error)
    try:
        said = {"jsonrpc": "2.0", "id": read.number, "result": await do(read.method, read.parameters)}
    except Refused as error:
        said = _fail(read.number, error)
    return None if read.quiet else said


def _read_json(body: bytes) -> Any:
    try:
        found = decoder.decode(body.decode())
        if b"\\u" in body:
            # Half of a surrogate pair can hide in an escape.
            json.dumps(found, ensure_ascii=False).encode()
        return found
    except (ValueError, RecursionError) as error:
        raise Refused(UNREADABLE, "not JSON in UTF-8") from error


def _read_call(call: Any) -> _Call:
    """Return a call of the specified form; raise Refused."""
    if not isinstance(call, dict) or call.get("jsonrpc") != "2.0":
        raise Refused(NO_CALL, 'not a JSON-RPC call: it says no "jsonrpc": "2.0"')
    method, parameters = call.get("method"), call.get("params", [])
    if not isinstance(method, str) or not isinstance(parameters, list | dict):
        raise Refused(NO_CALL, "not a JSON-RPC call: method is a text, params a list or an object")
    if "id" in call and not _is_number(call["id"]):
        raise Refused(NO_CALL, "not a JSON-RPC call: id is a short text or a number")
    return _Call(call.get("id"), method, parameters, quiet="id" not in call)


def _number_of(call: Any) -> Any:
    """Return what a call that is none calls itself, null where that cannot be told."""
    return call["id"] if isinstance(call, dict) and "id" in call and _is_number(call["id"]) else None


def _is_number(number: Any) -> bool:
    return number is None or (type(number) in (str, int, float) and len(str(number)) <= NUMBER_LIMIT)


def _fail(number: Any, error: Refused) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": error.code, "message": error.text}}
