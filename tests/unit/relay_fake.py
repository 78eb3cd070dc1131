"""Stand-ins for the relay's tests: a site in memory, a log in a list, a reactor without threads."""

import json
import threading
import zlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from changecapture.compact import Step
from changecapture.core.codec import PROTOCOL
from changecapture.core.scopes import Terms, load_scopes
from changecapture.errors import PeerError, RetryLater
from changecapture.greeting import Greeting, Measured
from changecapture.store.records import Instance
from changecapture.sync import PullRequest, Received
from relay.journal import Ended, Stepped
from relay.trust.identity import Identity, make_identity, read_identity

T = TypeVar("T")
NO_TERMS = Terms()
PAGE = 10
HELD_S = 10.0


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    payload: bytes
    entries: int
    last: bool
    raises: bool
    third: bool
    offer: dict[tuple[str, int, str], int]
    end: int


@dataclass
class FakePeers:
    """Paired devices and the sites that they speak for, kept nowhere."""

    paired: set[str] = field(default_factory=set)
    sites: dict[str, str] = field(default_factory=dict)
    own: str = "0" * 64
    brought: dict[str, int] = field(default_factory=dict)

    def is_paired(self, device: str) -> bool:
        return device in self.paired

    def may_greet(self, device: str) -> bool:
        return device == self.own or device in self.paired

    def terms(self, device: str) -> Terms:
        return NO_TERMS

    def note_brought(self, device: str, number: int) -> None:
        self.brought[device] = self.brought.get(device, 0) + number

    def claim(self, device: str, site: str) -> None:
        if self.sites.setdefault(site, device) != device:
            raise PeerError("another device speaks for this site")


class FakeManners:
    """Tells nothing, and hears what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def write(self, device: str) -> str:
        return ""

    def read(self, device: str, text: str) -> None:
        self.told.append((device, text))


def new_identity() -> Identity:
    """Return the identity of a device that nobody knows."""
    return read_identity(make_identity())


def write_pem(identity: Identity) -> bytes:
    """Return key and certificate as other TLS libraries read them."""
    key = identity.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key + identity.certificate.public_bytes(Encoding.PEM)


def device_id(letter: str) -> str:
    """Return the id of device "a" to "f"."""
    return letter * 64


def site_id(letter: str) -> str:
    """Return the id of site "a" to "f"."""
    return letter * 32


@dataclass
class FakeSite:
    """A site: what its application wrote, and its changelog of [origin, number, text]."""

    id: str
    protocol: int = PROTOCOL
    captured: list[str] = field(default_factory=list)
    changelog: list[tuple[str, int, str]] = field(default_factory=list)
    sent: int = 0
    """Entries that were put into answers, the ones sent twice included."""
    taken: int = 0
    """Entries that have arrived, the ones that were here included."""
    journal: list[Ended] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """The modules of each request."""
    away: bool = False
    unfinished: str = ""
    opened: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def write(self, *texts: str) -> None:
        with self.lock:
            self.captured.extend(texts)

    @property
    def texts(self) -> set[str]:
        with self.lock:
            return {text for _, _, text in self.changelog}

    @property
    def vector(self) -> dict[str, int]:
        with self.lock:
            return {origin: number for origin, number, _ in sorted(self.changelog)}

    def open(self) -> "FakeConnection":
        self.check()
        self.opened += 1
        return FakeConnection(self)

    def read_greeting(self, text: str) -> Greeting:
        try:
            return Greeting(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise PeerError("not a greeting") from error

    def read_request(self, text: str) -> PullRequest:
        try:
            return PullRequest(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise PeerError("not a request") from error

    def follow_request(self, request: PullRequest, payload: bytes) -> PullRequest | None:
        try:
            content = json.loads(zlib.decompress(payload))
        except (ValueError, zlib.error):
            return None
        if content["last"]:
            return None
        vector = json.loads(request.vector)
        vector.update({origin: number for origin, number, _ in sorted(content["entries"])})
        return replace(request, vector=json.dumps(vector))

    def follow_backlog(self, request: PullRequest, payload: bytes, least: int) -> PullRequest | None:
        try:
            content = json.loads(zlib.decompress(payload))
        except (ValueError, zlib.error):
            return None
        if not content["last"] or len(content["entries"]) < least:
            return None
        vector = json.loads(request.vector)
        vector.update({origin: number for origin, number, _ in sorted(content["entries"])})
        return replace(request, vector=json.dumps(vector))

    def read_vector(self, text: str) -> dict[tuple[str, int, str], int]:
        return {(origin, 1, ""): number for origin, number in json.loads(text).items()}

    def write_vector(self, vector: Mapping[tuple[str, int, str], int]) -> str:
        return json.dumps({part[0]: number for part, number in vector.items()})

    def check(self) -> None:
        if self.away:
            raise RetryLater("connection refused")


class FakeConnection:
    """The verbs over a FakeSite."""

    def read_status(self) -> Any:
        """See Connection; nothing is known of it in memory."""
        raise RetryLater("a site in memory has no status")

    def __init__(self, site: FakeSite) -> None:
        self.site = site
        self.closed = False

    def close(self) -> None:
        self.closed = True

    def publish(self) -> int:
        self.site.check()
        with self.site.lock:
            batch, self.site.captured = self.site.captured[:PAGE], self.site.captured[PAGE:]
            number = self.site.vector.get(self.site.id, 0)
            for offset, text in enumerate(batch, 1):
                self.site.changelog.append((self.site.id, number + offset, text))
            return len(batch)

    def meet(self, theirs: Greeting, measured: Measured | None) -> list[str]:
        self.site.check()
        return []

    def greet(self, to: str = "") -> Greeting:
        self.site.check()
        return Greeting(self.site.id, 1, json.dumps(self.site.vector), 0, self.site.protocol)

    def next_request(self, peer: str, terms: Terms = NO_TERMS) -> PullRequest:
        self.site.check()
        vector = json.dumps(self.site.vector)
        return PullRequest(self.site.id, 1, vector, 0, 0, scopes=terms.asked.dump())

    def answer(self, request: PullRequest, terms: Terms = NO_TERMS) -> FakeAnswer:
        self.site.check()
        if request.protocol != PROTOCOL:
            raise PeerError("another protocol")
        self.site.asked.append(request.scopes)
        if not terms.send.covers(load_scopes(request.scopes)):
            raise PeerError("modules that are not sent")
        vector = json.loads(request.vector)
        with self.site.lock:
            wanted = [e for e in self.site.changelog if e[1] > vector.get(e[0], 0)]
            page, last = wanted[:PAGE], len(wanted) <= PAGE
            self.site.sent += len(page)
        body = json.dumps({"entries": page, "last": last}).encode()
        third = bool(page) and all(origin != self.site.id for origin, _, _ in page)
        return FakeAnswer(
            zlib.compress(body),
            len(page),
            last,
            last and bool(page),
            third,
            self.offer(request),
            len(self.site.changelog),
        )

    def offer(self, request: PullRequest) -> dict[tuple[str, int, str], int]:
        since, heard = json.loads(request.vector), json.loads(request.heard)
        held = self.site.vector.items()
        return {(o, 1, ""): n for o, n in held if n > max(since.get(o, 0), heard.get(o, 0))}

    def receive(self, peer: str, payload: bytes, terms: Terms = NO_TERMS) -> Received:
        self.site.check()
        try:
            content = json.loads(zlib.decompress(payload))
        except (ValueError, zlib.error) as error:
            raise PeerError("not a payload") from error
        with self.site.lock:
            new = [tuple(e) for e in content["entries"] if tuple(e) not in self.site.changelog]
            self.site.changelog.extend(new)
            self.site.taken += len(content["entries"])
        return Received(len(new), len(new), 0, content["last"], len(content["entries"]), len(new))

    def expect(self, payload: bytes) -> None:
        pass

    def compact(self, keep: int) -> Step | None:
        self.site.check()
        return None

    def retry(self) -> int:
        self.site.check()
        return 0

    def look_for_drift(self) -> str:
        self.site.check()
        return ""

    def write_journal(
        self, ended: Sequence[Ended], met: Sequence[Instance], steps: Sequence[Stepped]
    ) -> None:
        self.site.check()
        self.site.journal.extend(ended)

    def find_unfinished(self) -> str:
        self.site.check()
        return self.site.unfinished

    def modules(self) -> list[str]:
        return ["cr", "pr"]


@dataclass
class FakeLog:
    """Lines, as (level, text)."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def info(self, text: str) -> None:
        self.lines.append(("info", text))

    def warning(self, text: str) -> None:
        self.lines.append(("warning", text))

    def failure(self, text: str) -> None:
        import traceback

        self.lines.append(("failure", f"{text}\n{traceback.format_exc()}"))

    def count(self, part: str) -> int:
        return sum(part in text for _, text in self.lines)


class FakeReactor(Clock):
    """A clock that takes calls from threads at once."""

    def callFromThread(self, callable: Callable[..., Any], *args: Any) -> None:
        callable(*args)


def result(work: Coroutine[Deferred[Any], Any, T] | Deferred[T]) -> T:
    """Return what work ended in that needs nobody else; raise what it raised."""
    done = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)
    outcome: list[Any] = []
    done.addBoth(outcome.append)
    assert outcome, "it waits for something"
    if isinstance(outcome[0], Failure):
        outcome[0].raiseException()
    return outcome[0]


class Held:
    """A job that runs until it is let go."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, _: object) -> None:
        self.running.set()
        assert self.go_on.wait(HELD_S)
