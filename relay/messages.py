"""What is said between two relays: XML-RPC methods whose parameters are strings and one Binary.

| method | parameters                     | answer                                                 |
|--------|--------------------------------|--------------------------------------------------------|
| hello  | greeting, card, introduction   | greeting, card, introduction                           |
| pull   | request (JSON), exchange, wait_s | payload; empty: "I have news, ask again in a moment"; |
|        |                                | "!": "ask again at once"; "?" and a vector: an offer,  |
|        |                                | "this I have of third sites, should they not tell you" |
| push   | site, exchange, payload        | what the called site lacks, as the request (JSON) that |
|        |                                | it would pull with; empty: "I pull from you myself"    |
| verify | question (JSON)                | answer (JSON; ``changecapture.verify.questions``)      |
| poke   | site                           | true: heard ("I have news" or "try me again")          |
| pair   | message, name                  | message, name, proof (``relay.trust.pairing``)         |
| confirm | proof                         | true: paired                                           |

Greetings and cards (``relay.card``) are JSON; an introduction is a signed text, or empty. ``site`` is the
caller's. ``exchange`` is a uuid for the journals of both ends; the payload of a push may be empty. Who is
not paired may call pair and confirm only, and only while a code is shown; who has our own key may greet, so
that a copy of this machine is noticed (``relay.runs``). 64-bit numbers stand inside
the JSON texts (XML-RPC has 32 bits).

Everything here comes from outside: a document type is refused (entities could expand it without
bound), so are deep nesting and anything but the types above. The size is bounded by who reads the
body (``BODY_LIMIT``). Reading 8 MiB takes about 25 ms, writing it 15 ms.
"""

import re
import xmlrpc.client
from dataclasses import dataclass
from typing import Any
from xml.parsers import expat

from changecapture.errors import PeerError, RetryLater

BODY_LIMIT = 40 * 1024 * 1024
"""Bytes of a call or an answer: a batch may hold one large entry (publish.LARGEST_ROW), which may not
compress."""
PATH = b"/RPC2"
NESTING_LIMIT = 24
NAME_LIMIT = 64
TEXT_LIMIT = 500

WRONG = 1
BUSY = 2
BROKEN = 3
GREET = 4
"""Fault codes: you sent what you must not; try again later; a mistake of ours; greet, what was said when
you did holds no longer."""

Parameters = tuple[Any, ...]
CALLS: dict[str, tuple[type, ...]] = {
    "hello": (str, str, str),
    "pull": (str, str, int),
    "push": (str, str, bytes),
    "poke": (str,),
    "verify": (str,),
    "pair": (str, str),
    "confirm": (str,),
}
ASK, ASK_NOW = b"", b"!"
"""Answers to a pull that are no payload."""
OFFER = b"?"
OFFER_LIMIT = 64 * 1024
"""Bytes of an offer: who lacks so much is sent it."""
PAIRING = ("pair", "confirm")
"""The calls of who is not paired."""
STRANGER_LIMIT = 64 * 1024
"""Bytes of a call of who is not paired."""
SITE = re.compile(r"[0-9a-f]{32}")
DEVICE = re.compile(r"[0-9a-f]{64}")


class GreetAnew(RetryLater):
    """The other site wants to be greeted before it answers anything else."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that has the form of CALLS."""

    method: str
    parameters: Parameters


class _Parser:
    """Expat without document types and without depth; otherwise xmlrpc.client's own."""

    def __init__(self, target: Any) -> None:
        self._target = target
        self._depth = 0
        self._expat = expat.ParserCreate(None, None)
        self._expat.StartDoctypeDeclHandler = self._refuse
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = target.data

    def parse(self, body: bytes) -> None:
        # Expat has decoded it: without this the target would do so again.
        self._target.xml(None, None)
        try:
            self._expat.Parse(body, True)
        finally:
            # It knows us by its handlers: a cycle that would keep the whole text until it is collected.
            del self._expat

    def _refuse(self, *_: object) -> None:
        raise PeerError("a document type is not allowed")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > NESTING_LIMIT:
            raise PeerError("too deeply nested")
        self._target.start(tag, attributes)

    def _end(self, tag: str) -> None:
        self._depth -= 1
        self._target.end(tag)


def clean(text: str, limit: int = TEXT_LIMIT) -> str:
    """Return foreign text as one printable line of bounded length, fit for a log or for XML."""
    return "".join(c if c.isprintable() else " " for c in text[:limit]).strip()


def check_site(text: str) -> str:
    """Return a site's id; raise PeerError when it is not one."""
    if not SITE.fullmatch(text):
        raise PeerError("not a site id", why=clean(repr(text), 40))
    return text


def check_exchange(text: str) -> str:
    """Return the uuid of an exchange; raise PeerError when it is none."""
    if not SITE.fullmatch(text):
        raise PeerError("not the uuid of an exchange", why=clean(repr(text), 40))
    return text


def write_call(method: str, *parameters: Any) -> bytes:
    """Return the body of a call."""
    return xmlrpc.client.dumps(parameters, method).encode()


def write_answer(answer: Any) -> bytes:
    """Return the body of an answer: strings, a list of strings, a boolean, or bytes (a Binary)."""
    return xmlrpc.client.dumps((answer,), methodresponse=True).encode()


def write_fault(code: int, text: str) -> bytes:
    """Return the body of a refusal."""
    fault = xmlrpc.client.Fault(code, clean(text))
    return xmlrpc.client.dumps(fault, methodresponse=True).encode()


def read_call(body: bytes) -> Call:
    """Return the call in a request's body; raise PeerError for anything but a call of CALLS."""
    parameters, method = _read(body)
    types = CALLS.get(method or "")
    if method is None or types is None:
        raise PeerError("no such method", why=clean(str(method), 40))
    if tuple(type(p) for p in parameters) != types:
        names = ", ".join(t.__name__ for t in types)
        raise PeerError(f"{method} takes ({names})")
    return Call(method, parameters)


def read_payload(body: bytes) -> bytes:
    """Return the payload in the answer to a pull; raise PeerError or RetryLater."""
    answer = _read_answer(body)
    if not isinstance(answer, bytes):
        raise PeerError("the answer to a pull is not a Binary")
    return answer


def write_offer(vector: str) -> bytes | None:
    """Return the answer to a pull that offers what a vector says; None when it is too long for that."""
    offer = OFFER + vector.encode()
    return offer if len(offer) <= OFFER_LIMIT else None


def read_offer(payload: bytes) -> str | None:
    """Return the vector in an offer, None when the payload is none; raise PeerError."""
    if not payload.startswith(OFFER):
        return None
    if len(payload) > OFFER_LIMIT:
        raise PeerError("an offer that is too long")
    try:
        return payload.removeprefix(OFFER).decode()
    except UnicodeDecodeError as error:
        raise PeerError("not an offer", why=str(error)) from error


def read_wants(body: bytes) -> str:
    """Return the request (JSON) in the answer to a push; raise PeerError or RetryLater."""
    answer = _read_answer(body)
    if not isinstance(answer, str):
        raise PeerError("the answer to a push is not a request")
    return answer


def read_told(body: bytes) -> str:
    """Return the answer (JSON) to a question; raise PeerError or RetryLater."""
    answer = _read_answer(body)
    if not isinstance(answer, str):
        raise PeerError("the answer to a question is not a text")
    return answer


def read_greeting(body: bytes) -> tuple[str, str, str]:
    """Return greeting, card and introduction in the answer to a hello; raise PeerError or RetryLater."""
    return _read_texts(body, "hello")


def read_guess(body: bytes) -> tuple[str, str, str]:
    """Return message, name and proof in the answer to a pair; raise PeerError or RetryLater."""
    message, name, proof = _read_texts(body, "pair")
    return message, clean(name, NAME_LIMIT), proof


def _read_texts(body: bytes, method: str) -> tuple[str, str, str]:
    answer = _read_answer(body)
    if not isinstance(answer, list) or [type(a) for a in answer] != [str, str, str]:
        raise PeerError(f"the answer to a {method} is not three texts")
    return answer[0], answer[1], answer[2]


def read_done(body: bytes) -> bool:
    """Return whether a poke or a confirm was answered with true; raise PeerError or RetryLater."""
    return _read_answer(body) is True


def _read_answer(body: bytes) -> Any:
    try:
        parameters, method = _read(body)
    except xmlrpc.client.Fault as fault:
        text = clean(str(fault.faultString))
        if fault.faultCode == GREET:
            raise GreetAnew(text) from None
        if fault.faultCode == BUSY:
            raise RetryLater(text) from None
        raise PeerError(text) from None
    if method is not None or len(parameters) != 1:
        raise PeerError("not an answer")
    return parameters[0]


def read_any(body: bytes) -> tuple[Parameters, str | None]:
    """Return parameters and method of a call of any form; raise PeerError."""
    try:
        return _read(body)
    except xmlrpc.client.Fault as fault:
        raise PeerError("not a call") from fault


def _read(body: bytes) -> tuple[Parameters, str | None]:
    target = xmlrpc.client.Unmarshaller(use_builtin_types=True)
    try:
        _Parser(target).parse(body)
        return tuple(target.close()), target.getmethodname()
    except (PeerError, xmlrpc.client.Fault):
        raise
    except Exception as error:
        # Unmarshaller raises whatever its int(), float() or pop() raise on nonsense.
        raise PeerError("not XML-RPC", why=clean(str(error), 100)) from error
