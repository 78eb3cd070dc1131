# mypy: untyped-calls-exclude=twisted
"""The service for programs with a token: ``sync.get_changes``, ``sync.put_changes``, by XML-RPC and JSON-RPC.

| call                                                | answer                                              |
|-----------------------------------------------------|-----------------------------------------------------|
| sync.get_changes(base_uuid, since, limit = 500)     | base_uuid, changes, until, more                     |
| sync.put_changes(base_uuid, changes, since = "")    | taken, shown, parked                                |

POST to /RPC2 (text/xml) or /jsonrpc (application/json), with ``Authorization: Bearer TOKEN``, or Basic with
the token as the password. ``changecapture.clients`` says what the structures are, ``relay.rpc`` the forms.
``base_uuid`` names the installation that calls; a token serves so many that put changes, since each is an
origin that every site has to know for ever.

On loopback it is plain HTTP, for a program of this machine; on any other address it is TLS with this
device's certificate, whose fingerprint the client pins (its SHA-256 is shown by ``token add``). Without a
token in its head a request is refused before its body is read (``relay.porch``).
"""

import base64
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from twisted.internet.defer import CancelledError, Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from changecapture.errors import PeerError, RetryLater
from relay import messages
from relay.address import Address, is_loopback
from relay.clock import cancelled
from relay.database import Database
from relay.door import HANDSHAKE_S
from relay.log import Log
from relay.pace import Pace
from relay.porch import Porch
from relay.resource import BoundedRequest
from relay.rpc import BROKEN, BUSY, UNKNOWN, WRONG, Form, JsonForm, Refused, XmlForm
from relay.trust.identity import Identity
from relay.trust.tokens import Token, Tokens

BODY_LIMIT = 8 * 1024 * 1024
MAX_CONNECTIONS = 32
"""Of one token: one more is told to come again, none that is open is cut."""


class Clients:
    """The calls, on a port of their own."""

    def __init__(
        self,
        address: Address,
        *,
        tokens: Tokens,
        database: Database,
        identity: Identity,
        reactor: Any,
        log: Log,
    ) -> None:
        """Nothing is opened before ``start``."""
        self._tokens = tokens
        self._database = database
        self._pace = Pace(reactor)
        self._log = log
        self._plain = is_loopback(address.host)
        self._porch = Porch(
            address,
            {"RPC2": _Page(self, XmlForm()), "jsonrpc": _Page(self, JsonForm())},
            setting="[clients]",
            reactor=reactor,
            request=self._make_request,
            life_s=HANDSHAKE_S,
            identity=None if self._plain else identity,
        )

    def start(self) -> None:
        """Listen; raise ConfigError when the port cannot be had."""
        where = self._porch.start()
        self._log.info(
            f"programs with a token call {'http' if self._plain else 'https'}://{where}/jsonrpc or /RPC2"
        )

    async def stop(self) -> None:
        """Hear no more."""
        await self._porch.stop()

    def _make_request(self, *given: Any) -> "_Request":
        return _Request(self, *given)

    def know(self, request: Request) -> Token | None:
        """Return whose token a request shows, and let its connection stay; one is of one token only."""
        token = self.find(request)
        guest: Any = request.channel.transport
        if token is None or guest.device not in (None, token.name):
            return None
        if guest.device is None and self._porch.door.count(token.name) < MAX_CONNECTIONS:
            self._porch.door.know(guest, token.name)
            guest.limit = BODY_LIMIT
        return token

    def find(self, request: Request) -> Token | None:
        """Return whose token a request shows."""
        # As bytes: whoever calls may send any.
        shown = request.requestHeaders.getRawHeaders(b"authorization") or [b""]
        kind, _, text = shown[0].decode("latin-1").partition(" ")
        if kind.lower() == "basic":
            try:
                text = base64.b64decode(text).decode().partition(":")[2]
            except ValueError:
                return None
        return self._tokens.find(text.strip()) if kind.lower() in ("basic", "bearer") else None

    async def answer(self, form: Form, token: Token, body: bytes) -> bytes:
        """Return the body of the answer to what is in ``body``, whatever that is."""

        async def do(method: Any, parameters: Any) -> dict[str, Any]:
            return await self.call(token, method, parameters)

        return await form.answer(body, do)

    async def call(self, token: Token, method: Any, parameters: Any) -> dict[str, Any]:
        """Return the answer to a call; raise Refused."""
        try:
            await self._pace.wait(token.name)
            return await self._pace.turn(token.name, self._call(token, method, parameters))
        except (Refused, CancelledError):
            raise
        except PeerError as error:
            raise Refused(WRONG, str(error)) from error
        except RecursionError as error:
            raise Refused(WRONG, "too deeply nested") from error
        except RetryLater as error:
            raise Refused(BUSY, "the database is busy or away: try again later") from error
        except Exception as error:
            self._log.failure("a mistake in the relay, while it answered a client")
            raise Refused(BROKEN, "a mistake at this site, see its log") from error

    async def _call(self, token: Token, method: Any, parameters: Any) -> dict[str, Any]:
        if method == "sync.get_changes":
            client, since, limit = _fit(parameters, (str, str, int), ("", "", 500))
            name = f"{token.name} {client}"
            return await self._database.get_changes(name, since, token.send, limit)
        if method == "sync.put_changes":
            client, changes, since = _fit(parameters, (str, list, str), ("", [], ""))
            name = f"{token.name} {client}"
            self._tokens.admit(token.name, client)
            return await self._database.put_changes(name, changes, since, token.accept)
        raise Refused(UNKNOWN, "no such method: there are sync.get_changes and sync.put_changes")


def _fit(parameters: Any, types: Sequence[type], defaults: Sequence[Any]) -> list[Any]:
    """Return positional or named parameters with what is left out; raise PeerError."""
    names = ("base_uuid", "since", "limit") if types[2] is int else ("base_uuid", "changes", "since")
    if isinstance(parameters, dict) and set(parameters) <= set(names):
        parameters = [parameters.get(name, default) for name, default in zip(names, defaults, strict=True)]
    if not isinstance(parameters, list | tuple) or not 1 <= len(parameters) <= len(types):
        raise PeerError(f"the parameters are {', '.join(names)}")
    found = [*parameters, *defaults[len(parameters) :]]
    if [type(value) for value in found] != list(types) or not found[0] or len(found[0]) > messages.NAME_LIMIT:
        raise PeerError(f"the parameters are {', '.join(names)}", why="base_uuid is a text, not empty")
    return found


def fingerprint(identity: Identity) -> str:
    """Return what a client pins: SHA-256 of the certificate, in hexadecimal."""
    return identity.certificate.fingerprint(SHA256()).hex()


class _Request(BoundedRequest):
    """A request whose body is refused unread unless its head shows a token."""

    def __init__(self, clients: Clients, *given: Any) -> None:
        make: Any = BoundedRequest.__init__
        make(self, *given)
        self._clients = clients
        self.token: Token | None = None

    def refuse(self, length: int | None) -> bytes:
        """See BoundedRequest."""
        self.token = self._clients.know(self)
        if self.token is None:
            return b"401 Unauthorized\r\nWWW-Authenticate: Bearer"
        guest: Any = self.channel.transport
        if guest.device is None:
            return b"503 Service Unavailable\r\nRetry-After: 1"
        return BoundedRequest.refuse(self, length)


class _Page(Resource):
    """One of the two forms."""

    isLeaf = True

    def __init__(self, clients: Clients, form: Form) -> None:
        Resource.__init__(self)
        self._clients = clients
        self._form = form

    def render_POST(self, request: Any) -> int | bytes:
        """Answer a call, now or later."""
        body = request.content.read()
        answering = Deferred.fromCoroutine(self._clients.answer(self._form, request.token, body))
        gone: Deferred[Any] = request.notifyFinish()
        gone.addErrback(lambda _: answering.cancel())
        answering.addCallbacks(self._send, cancelled, callbackArgs=(request,))
        return NOT_DONE_YET

    def _send(self, said: bytes, request: Request) -> None:
        if said:
            request.setHeader("Content-Type", self._form.kind)
            request.setHeader("Content-Length", str(len(said)))
            request.write(said)
        else:
            request.setResponseCode(204)  # nobody waits for a notification's answer
        request.finish()
