"""The two forms of a client's call, XML-RPC and JSON-RPC 2.0: bodies to calls and answers to bodies.

Everything that is read comes from outside: what is read is a method, its parameters and a number that may be
echoed, or PeerError. XML-RPC has numbers of 32 bits: greater ones are texts there. The envelope of JSON-RPC
has four fields: it is read and written here, a library would be more to keep than it spares.
"""

import json
import xmlrpc.client
from typing import Any, Protocol

from changecapture.core.entries import decoder
from changecapture.errors import PeerError
from relay import messages

WRONG, BUSY, BROKEN = -32602, -32001, -32603
"""Error codes of both: what was sent is wrong, try again later, a mistake of ours."""
INT32 = 2**31
NUMBER_LIMIT = 200
"""Characters of the number that a JSON-RPC call gives itself."""


class Refused(Exception):
    """An answer that is an error: a code and a line."""

    def __init__(self, code: int, text: str) -> None:
        """Say so."""
        super().__init__(text)
        self.code, self.text = code, messages.clean(text)


class Form(Protocol):
    """How calls are written. The first of what ``read`` returns is for ``write`` and ``fail``."""

    @property
    def kind(self) -> str:
        """Return the content type."""

    def read(self, body: bytes) -> tuple[Any, Any, Any]:
        """Return the call's number, method and parameters; raise PeerError."""

    def write(self, number: Any, answer: Any) -> bytes:
        """Return the body of an answer."""

    def fail(self, number: Any, error: Refused) -> bytes:
        """Return the body of a refusal."""


class XmlForm:
    """XML-RPC."""

    kind = "text/xml"

    def read(self, body: bytes) -> tuple[Any, Any, Any]:
        """See Form."""
        parameters, method = messages.read_any(body)
        return None, method, list(parameters)

    def write(self, number: Any, answer: Any) -> bytes:
        """See Form."""
        return xmlrpc.client.dumps((_narrow(answer),), methodresponse=True, allow_none=True).encode()

    def fail(self, number: Any, error: Refused) -> bytes:
        """See Form."""
        return messages.write_fault(error.code, error.text)


class JsonForm:
    """JSON-RPC 2.0, a call a request."""

    kind = "application/json"

    def read(self, body: bytes) -> tuple[Any, Any, Any]:
        """See Form."""
        try:
            call = decoder.decode(body.decode())
            if b"\\u" in body:
                json.dumps(
                    call, ensure_ascii=False
                ).encode()  # half of a surrogate pair can hide in an escape
            number, method, parameters = call.get("id"), call.get("method"), call.get("params", [])
        except (ValueError, AttributeError, RecursionError) as error:
            raise PeerError("not a JSON-RPC call") from error
        if not (number is None or type(number) in (str, int)) or len(str(number)) > NUMBER_LIMIT:
            raise PeerError("not a JSON-RPC call", why="id is neither a short text nor a number")
        return number, method, parameters

    def write(self, number: Any, answer: Any) -> bytes:
        """See Form."""
        return json.dumps({"jsonrpc": "2.0", "id": number, "result": answer}).encode()

    def fail(self, number: Any, error: Refused) -> bytes:
        """See Form."""
        said = {"code": error.code, "message": error.text}
        return json.dumps({"jsonrpc": "2.0", "id": number, "error": said}).encode()


def _narrow(value: Any) -> Any:
    """Return a value as XML-RPC can carry it."""
    if isinstance(value, dict):
        return {name: _narrow(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_narrow(each) for each in value]
    if isinstance(value, str):
        # What XML cannot hold, which few texts have, JSON-RPC carries.
        return "".join(c if _is_xml(c) else "\ufffd" for c in value)
    return str(value) if type(value) is int and not -INT32 <= value < INT32 else value


def _is_xml(character: str) -> bool:
    return (character >= " " or character in "\t\n\r") and character not in "\ufffe\uffff"
