# mypy: untyped-calls-exclude=twisted
"""The page on a port of this machine, over the sites of a relay that runs."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredList, DeferredLock
from twisted.internet.error import CannotListenError
from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from changecapture.errors import ChangeCaptureError, ConfigError
from changecapture.store.sqlstore import SqlStore
from relay.address import Address
from relay.config import PageConfig, ProgramConfig, RelayConfig
from relay.connection import open_site
from relay.log import Log
from relay.orders import Orders
from relay.page.forms import Pairing
from relay.page.guard import LONGEST_S, Guard
from relay.page.pages import Pages
from relay.page.password import check_password, digest_password, has_password
from relay.page.views.tables import Counted
from relay.page.visit import Reply, Visit
from relay.resource import BoundedRequest
from relay.worker import Worker

T = TypeVar("T")
BODY_LIMIT = 64 * 1024
IDLE_CONNECTION_S = 60
PASSWORD_S = 2.0
"""Between two looks whether there is a password by now."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class PageSite:
    """One site; see forms.Site."""

    def __init__(
        self, config: RelayConfig, orders: Orders, speaking: Callable[[], set[str]], reactor: Any
    ) -> None:
        """``speaking`` tells which sites are spoken to now."""
        self.name = config.name
        self.orders = orders
        self.speaking = speaking
        self.pairing: Pairing | None = None
        self.counted: Counted | None = None
        opener: Any = lambda: open_site(config)  # noqa: E731
        self._worker = Worker(f"page of {config.name}", opener, reactor)
        self._showing: Deferred[None] | None = None

    def start(self) -> None:
        """Start the thread; the database is opened when somebody looks."""
        self._worker.start()

    async def stop(self) -> None:
        """Show no code, close the connection."""
        if self._showing is not None:
            self._showing.cancel()
        await self._worker.stop()

    async def work(self, job: Callable[[SqlStore], T]) -> T:
        """See forms.Site."""
        task: Any = job
        done: T = await self._worker.call(task)
        return done

    async def show_code(self) -> None:
        """See forms.Site."""
        if self._showing is not None:
            self._showing.cancel()
        shown: Deferred[None] = Deferred()
        self._showing = Deferred.fromCoroutine(self._show(shown))
        self._showing.addErrback(lambda failure: failure.trap(CancelledError))
        await shown

    async def _show(self, shown: "Deferred[None]") -> None:
        pairing = Pairing("", [])
        try:
            async for said in self.orders.carry_out({"order": "pair"}):
                if "code" in said:
                    pairing = self.pairing = Pairing(said["code"], said["addresses"])
                    shown.callback(None)
                else:
                    pairing.outcome = f"paired with {said['done']['name']}"
        except ChangeCaptureError as error:
            pairing.outcome = str(error)


class PageServer:
    """The page of a whole relay, from ``start`` to ``stop``."""

    def __init__(
        self, config: PageConfig, sites: Sequence[PageSite], state: Path, *, reactor: Any, log: Log
    ) -> None:
        """``state``: where the password is kept."""
        self._config, self._sites, self._state = config, sites, state
        self._reactor, self._log = reactor, log
        self._lock = DeferredLock()
        guard = Guard(
            reactor,
            names=config.names,
            trust_local=config.trust_local,
            key=lambda: digest_password(state),
        )
        self.pages = Pages(sites, guard, self._check, log)
        self._port: Any = None
        self._waiting: Any = None

    def start(self) -> None:
        """Serve, if it is wanted, as soon as somebody could enter; raise ConfigError when the port is taken
        by then, and say so when it is taken later."""
        config = self._config
        if not config.enabled:
            return
        if config.trust_local or has_password(self._state):
            self._serve()
        else:
            self._waiting = self._reactor.callLater(PASSWORD_S, self._look)

    def _look(self) -> None:
        self._waiting = None
        try:
            self.start()
        except ConfigError as error:
            self._log.warning(f"page: {error}")

    def _serve(self) -> None:
        config = self._config
        factory: Any = Site
        site = factory(
            PageResource(self.pages, self._log), requestFactory=SmallRequest, timeout=IDLE_CONNECTION_S
        )
        site.noisy = site.displayTracebacks = False
        site.log = lambda _: None
        try:
            self._port = self._reactor.listenTCP(config.port, site, interface=config.host)
        except CannotListenError as error:
            where = Address(config.host, config.port)
            raise ConfigError(
                f"cannot serve the page on {where}",
                why=str(error.socketError),
                mend="set another [page] port, or [page] enabled = false",
            ) from error
        for one in self._sites:
            one.start()
        self._log.info(f"page: http://{Address(config.host, self._port.getHost().port)}/")

    async def stop(self) -> None:
        """Serve no more."""
        if self._waiting is not None:
            self._waiting.cancel()
        if self._port is not None:
            await self._port.stopListening()
            await DeferredList([Deferred.fromCoroutine(site.stop()) for site in self._sites])

    async def _check(self, password: str) -> bool:
        """Look at one guess at a time: each takes 32 MiB."""
        return bool(await self._lock.run(deferToThread, check_password, self._state, password))


class SmallRequest(BoundedRequest):
    """A request with a short body or none."""

    def gotLength(self, length: int | None) -> None:
        """See BoundedRequest."""
        transport: Any = self.channel.transport
        transport.limit = BODY_LIMIT
        BoundedRequest.gotLength(self, length)


class PageResource(Resource):
    """Requests to visits, replies to answers."""

    isLeaf = True

    def __init__(self, pages: Pages, log: Log) -> None:
        """``pages`` answer."""
        Resource.__init__(self)
        self._pages = pages
        self._log = log

    def render(self, request: Request) -> int:
        """Answer a request, in a while."""
        gone: list[Any] = []
        request.notifyFinish().addErrback(gone.append)
        working = Deferred.fromCoroutine(self._answer(request, gone))
        working.addErrback(lambda failure: failure.trap(CancelledError))
        return NOT_DONE_YET

    async def _answer(self, request: Request, gone: list[Any]) -> None:
        try:
            reply = await self._pages.answer(read_visit(request))
        except Exception:
            self._log.failure("a mistake in the page")
            reply = Reply("a mistake in changecapture: see the relay's log\n", 500, "text/plain")
        if not gone:
            send_reply(request, reply)


def read_visit(request: Any) -> Visit:
    """Return a request as the page sees it."""
    pairs = [part.strip().partition("=") for part in _header(request, "cookie").split(";")]
    path = tuple(_text(part) for part in request.postpath if part)
    return Visit(
        request.method.decode("ascii", "replace"),
        path,
        _header(request, "host"),
        str(getattr(request.getClientAddress(), "host", "")),
        {_text(name): _text(values[-1]) for name, values in request.args.items()},
        {name: value for name, _, value in pairs},
        _header(request, "origin"),
        _header(request, "accept-language")[:200],
        any(_header(request, name) for name in ("x-forwarded-for", "forwarded")),
    )


def send_reply(request: Any, reply: Reply) -> None:
    """Send an answer."""
    body = reply.body.encode()
    request.setResponseCode(reply.status)
    headers = {**HEADERS, "Content-Type": reply.kind, "Content-Length": str(len(body))}
    if reply.location:
        headers["Location"] = reply.location
    for name, value in headers.items():
        request.setHeader(name, value)
    for name, value in reply.cookies.items():
        age = int(LONGEST_S) if value else 0
        cookie = f"{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}"
        request.responseHeaders.addRawHeader("Set-Cookie", cookie)
    if request.method != b"HEAD":
        request.write(body)
    request.finish()


def _text(content: bytes) -> str:
    """Return what a browser has sent; no database has a place for NUL."""
    return content.decode("utf-8", "replace").replace("\0", "")


def _header(request: Any, name: str) -> str:
    """Return a header, "" when it was not sent; whatever bytes it has."""
    return (request.getHeader(name.encode()) or b"").decode("latin-1")


def serve_page(program: ProgramConfig, relay: Any, *, reactor: Any, log: Log) -> PageServer:
    """Start the page over the services of a relay, until the reactor stops; raise ConfigError."""
    sites = [
        PageSite(config, service.orders, service.speaking, reactor)
        for config, service in zip(program.sites, relay, strict=True)
    ]
    server = PageServer(program.page, sites, program.sites[0].state, reactor=reactor, log=log)
    server.start()
    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(server.stop()))
    return server
