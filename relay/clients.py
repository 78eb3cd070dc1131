# mypy: untyped-calls-exclude=twisted
"""The service for programs with a token: ``sync.get_changes``, ``sync.put_changes``, by XML-RPC and JSON-RPC.

| call                                                | answer                                              |
|-----------------------------------------------------|-----------------------------------------------------|
| sync.get_changes(base_uuid, since, limit = 500)     | base_uuid, changes, until, more                     |
| sync.put_changes(base_uuid, changes, since = "")    | taken, shown, parked                                |

POST to /RPC2 (text/xml) or /jsonrpc (application/json), with ``Authorization: Bearer TOKEN``, or Basic with
the token as the password. ``changecapture.clients`` says what the structures are. ``base_uuid`` names the
installation that calls. XML-RPC has numbers of 32 bits: greater ones are texts there. The envelope of
JSON-RPC 2.0 has four fields: it is read and written here, a library would be more to keep than it spares.

On loopback it is plain HTTP, for a program of this machine; on any other address it is TLS with this
device's certificate, whose fingerprint the client pins (its SHA-256 is shown by ``token add``).
"""

import base64
import json
import xmlrpc.client
from collections.abc import Sequence
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from OpenSSL import crypto
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from changecapture.errors import ConfigError, PeerError, RetryLater
from relay import messages
from relay.address import ANY, Address, is_loopback
from relay.clock import cancelled
from relay.database import Database
from relay.log import Log
from relay.pace import Pace
from relay.trust.identity import Identity
from relay.trust.tokens import Token, Tokens

BODY_LIMIT = 8 * 1024 * 1024
IDLE_S = 60
WRONG, BUSY, BROKEN = -32602, -32001, -32603
"""Error codes of both: what was sent is wrong, try again later, a mistake of ours."""
INT32 = 2**31


class Refused(Exception):
    """An answer that is an error: a code and a line."""

    def __init__(self, code: int, text: str) -> None:
        """Say so."""
        super().__init__(text)
        self.code, self.text = code, messages.clean(text)


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
        self._address = address
        self._tokens = tokens
        self._database = database
        self._identity = identity
        self._pace = Pace(reactor)
        self._reactor = reactor
        self._log = log
        self._port: Any = None

    def start(self) -> None:
        """Listen; raise ConfigError when the port cannot be had."""
        make_root: Any = Resource
        root = make_root()
        root.putChild(b"RPC2", _Page(self, _Xml()))
        root.putChild(b"jsonrpc", _Page(self, _Json()))
        make_site: Any = Site
        site = make_site(root, requestFactory=_Bounded, timeout=IDLE_S, reactor=self._reactor)
        site.noisy, site.displayTracebacks, site.log = False, False, lambda request: None
        host = "0.0.0.0" if self._address.host == ANY else self._address.host
        plain = is_loopback(host)
        try:
            if plain:
                self._port = self._reactor.listenTCP(self._address.port, site, interface=host)
            else:
                options = make_tls(self._identity)
                self._port = self._reactor.listenSSL(self._address.port, site, options, interface=host)
        except CannotListenError as error:
            raise ConfigError(
                f"cannot listen on {self._address}",
                why=str(error.socketError),
                mend="set another [clients] port",
            ) from error
        where = Address(host, self._port.getHost().port)
        self._log.info(
            f"programs with a token call {'http' if plain else 'https'}://{where}/jsonrpc or /RPC2"
        )

    async def stop(self) -> None:
        """Hear no more."""
        if self._port is not None:
            await self._port.stopListening()

    def find(self, request: Request) -> Token | None:
        """Return whose token a request shows."""
        kind, _, text = (request.getHeader("authorization") or "").partition(" ")
        if kind.lower() == "basic":
            try:
                text = base64.b64decode(text).decode().partition(":")[2]
            except ValueError:
                return None
        return self._tokens.find(text.strip()) if kind.lower() in ("basic", "bearer") else None

    async def call(self, token: Token, method: Any, parameters: Any) -> dict[str, Any]:
        """Return the answer to a call; raise Refused."""
        try:
            await self._pace.wait(token.name)
            return await self._pace.turn(token.name, self._call(token, method, parameters))
        except (Refused, CancelledError):
            raise
        except PeerError as error:
            raise Refused(WRONG, str(error)) from error
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
            return await self._database.put_changes(name, changes, since, token.accept)
        raise PeerError("no such method", why="there are sync.get_changes and sync.put_changes")


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


def make_tls(identity: Identity) -> Any:
    """Return what a TLS server needs to show a device's certificate; clients show none."""
    make: Any = CertificateOptions
    return make(
        privateKey=crypto.PKey.from_cryptography_key(identity.key),
        certificate=crypto.X509.from_cryptography(identity.certificate),
        raiseMinimumTo=TLSVersion.TLSv1_2,
    )


def fingerprint(identity: Identity) -> str:
    """Return what a client pins: SHA-256 of the certificate, in hexadecimal."""
    return identity.certificate.fingerprint(SHA256()).hex()


class _Xml:
    """XML-RPC: bodies to calls and back."""

    kind = "text/xml"

    def read(self, body: bytes) -> tuple[Any, Any, Any]:
        parameters, method = messages.read_any(body)
        return None, method, list(parameters)

    def write(self, _: Any, answer: Any) -> bytes:
        return xmlrpc.client.dumps((_narrow(answer),), methodresponse=True, allow_none=True).encode()

    def fail(self, _: Any, error: Refused) -> bytes:
        return messages.write_fault(error.code, error.text)


class _Json:
    """JSON-RPC 2.0, a call a request."""

    kind = "application/json"

    def read(self, body: bytes) -> tuple[Any, Any, Any]:
        try:
            call = json.loads(body)
            return call.get("id"), call.get("method"), call.get("params", [])
        except (ValueError, AttributeError, RecursionError) as error:
            raise PeerError("not a JSON-RPC call") from error

    def write(self, number: Any, answer: Any) -> bytes:
        return json.dumps({"jsonrpc": "2.0", "id": number, "result": answer}).encode()

    def fail(self, number: Any, error: Refused) -> bytes:
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
        return "".join(c if c >= " " or c in "\t\n\r" else "\ufffd" for c in value)
    return str(value) if type(value) is int and not -INT32 <= value < INT32 else value


class _Bounded(Request):
    """A request whose body is refused unread when it is too long or of unknown length."""

    _refused = False

    def gotLength(self, length: int | None) -> None:
        """Answer 413 and hang up, or prepare for the body."""
        self._refused = length is None or length > BODY_LIMIT
        Request.gotLength(self, 0 if self._refused else length)
        if self._refused:
            channel: Any = self.channel
            channel.transport.write(
                b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            channel.loseConnection()

    def handleContentChunk(self, data: bytes) -> None:
        """Take a piece of the body, unless it was refused."""
        if not self._refused:
            Request.handleContentChunk(self, data)

    def process(self) -> None:
        """Answer, unless it was refused."""
        if not self._refused:
            Request.process(self)


class _Page(Resource):
    """One of the two forms."""

    isLeaf = True

    def __init__(self, clients: Clients, form: _Xml | _Json) -> None:
        Resource.__init__(self)
        self._clients = clients
        self._form = form

    def render_POST(self, request: Request) -> int | bytes:
        """Answer a call, now or later."""
        token = self._clients.find(request)
        if token is None:
            request.setResponseCode(401)
            request.setHeader("WWW-Authenticate", "Bearer")
            return b""
        body = request.content.read() if request.content is not None else b""
        answering = Deferred.fromCoroutine(self._answer(token, body, request))
        gone: Deferred[Any] = request.notifyFinish()
        gone.addErrback(lambda _: answering.cancel())
        answering.addErrback(cancelled)
        return NOT_DONE_YET

    async def _answer(self, token: Token, body: bytes, request: Request) -> None:
        number: Any = None
        try:
            try:
                number, method, parameters = self._form.read(body)
            except PeerError as error:
                raise Refused(WRONG, str(error)) from error
            said = self._form.write(number, await self._clients.call(token, method, parameters))
        except Refused as error:
            said = self._form.fail(number, error)
        request.setHeader("Content-Type", self._form.kind)
        request.setHeader("Content-Length", str(len(said)))
        request.write(said)
        request.finish()
