"""What the relay asks of a database: the seam between the network and changecapture.

The verbs of a ``Connection`` block and run in a database thread (``relay.worker``), never in the
reactor. Each may raise RetryLater (busy, or the connection is lost) and PeerError (what came from the
peer is malformed); ``open`` may raise ConfigError and DriftError too. ``relay.connection`` has the
real one; tests bring their own.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from changecapture.compact import Step
from changecapture.core.scopes import Scopes, Terms
from changecapture.core.vector import Vector
from changecapture.greeting import Greeting, Measured
from changecapture.status import Status
from changecapture.store.records import Instance
from changecapture.sync import PullRequest, Received
from relay.journal import Ended, Stepped


class Answer(Protocol):
    """What the relay needs to know of sync.Answer, which says more."""

    @property
    def payload(self) -> bytes:
        """Return what is shipped."""

    @property
    def entries(self) -> int:
        """Return how many entries it carries."""

    @property
    def last(self) -> bool:
        """Return whether there was no more when it was made."""

    @property
    def raises(self) -> bool:
        """Return whether the asking site will hold more by it, even without entries."""

    @property
    def third(self) -> bool:
        """Return whether all of it is of third sites."""

    @property
    def offer(self) -> Vector:
        """Return what of that the asking site has not heard of."""

    @property
    def end(self) -> int:
        """Return how far the log reached for which it was made."""


class Connection(Protocol):
    """One connection to one database, used by one thread at a time."""

    def close(self) -> None:
        """Give it back; never fails."""

    def publish(self) -> int:
        """Put captured changes into the changelog; return how many. Bounded: again while > 0.

        It is not 0 either when another verb or program published since the last call: that is news too.
        """

    def greet(self, to: str) -> Greeting:
        """Return who this site is, now, for a peer ('' when it is not known who answers)."""

    def meet(self, theirs: Greeting, measured: Measured | None) -> list[str]:
        """Take note of a peer's greeting; return what a person should know."""

    def note_copy(self, whose: str) -> str:
        """Take note that a copy of a site is alive beside it; return what a person should know."""

    def next_request(self, peer: str, terms: Terms) -> PullRequest:
        """Return what to ask the peer for, of what may be exchanged with it."""

    def answer(self, request: PullRequest, terms: Terms) -> Answer:
        """Return what the asking site lacks: one payload of bounded size."""

    def offer(self, request: PullRequest) -> Vector:
        """Return what the asking site lacks and has not heard of."""

    def receive(self, peer: str, payload: bytes, terms: Terms) -> Received:
        """Make a payload of the peer durable here, and show what can be shown."""

    def expect(self, payload: bytes) -> None:
        """This payload is received next: it may be read while the database works. Called by any thread."""

    def retry(self) -> int:
        """Try to show parked rows again; return how many are still parked."""

    def compact(self, keep: int) -> Step | None:
        """Give up some of what is overtaken and older than ``keep`` microseconds; None when all is done."""

    def look_for_drift(self) -> str:
        """Return what the application has changed since the installation, as one line, else nothing."""

    def write_journal(
        self, ended: Sequence[Ended], met: Sequence[Instance], steps: Sequence[Stepped]
    ) -> None:
        """Keep which exchanges have ended, what peers say of themselves, and who is in step."""

    def find_unfinished(self) -> str:
        """Return what an installation has not finished yet, as one line, else nothing."""

    def modules(self) -> list[str]:
        """Return the names of the modules that are synced here."""

    def read_status(self) -> Status:
        """Return how the site stands, without counting what grows."""

    def get_changes(self, client: str, since: str, send: Scopes, limit: int) -> dict[str, Any]:
        """Return what a client has not been told (``changecapture.clients``)."""

    def put_changes(self, client: str, changes: Sequence[Any], since: str, accept: Scopes) -> dict[str, Any]:
        """Take changes of a client."""


class Exchange(Protocol):
    """One database. The readers of what arrived do not block."""

    def open(self) -> Connection:
        """Return a new connection."""

    def read_greeting(self, text: str) -> Greeting:
        """Return a greeting that arrived; raise PeerError."""

    def read_request(self, text: str) -> PullRequest:
        """Return a request that arrived; raise PeerError."""

    def follow_request(self, request: PullRequest, payload: bytes) -> PullRequest | None:
        """Return what to ask for while an answer is still being received, None when it is the last."""

    def follow_backlog(self, request: PullRequest, payload: bytes, least: int) -> PullRequest | None:
        """Return what to ask for while the last answer about a backlog, of ``least`` entries or so, is still
        being received, None when it is another; ``request``: what would be asked for without it."""

    def read_vector(self, text: str) -> Vector:
        """Return a vector that arrived, or is to be sent, to be compared with others; raise PeerError."""

    def write_vector(self, vector: Vector) -> str:
        """Return a vector as it is sent."""
