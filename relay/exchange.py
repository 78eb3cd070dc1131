"""What the relay asks of a database: the seam between the network and changecapture.

The verbs of a ``Connection`` block and run in a database thread (``relay.database``), never in the
reactor. Each may raise RetryLater (busy, or the connection is lost) and PeerError (what came from the
peer is malformed); ``open`` may raise ConfigError and DriftError too. ``DatabaseExchange`` is the
real one; tests bring their own.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

from changecapture import clients, publish, sync
from changecapture.apply import retry
from changecapture.coming import Coming
from changecapture.compact import Step, compact
from changecapture.config import DatabaseURL, parse_url
from changecapture.core.scopes import Scopes, Terms
from changecapture.core.vector import Vector, dump_vector, load_vector
from changecapture.drift import describe_drift
from changecapture.errors import ChangeCaptureError, ConfigError, NotInstalled
from changecapture.greeting import Greeting, Measured, greet, meet, note_copy
from changecapture.memo import Memo, find_memo
from changecapture.status import Status, read_status
from changecapture.store import open_store
from changecapture.store.records import Exchanged, Instance, InStep
from changecapture.store.sqlstore import SqlStore
from changecapture.sync import PullRequest, Received
from relay.config import RelayConfig
from relay.journal import Ended, Stepped
from relay.trust.owner import check_owner

PRUNE_US = 3_600_000_000


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

    def read_vector(self, text: str) -> Vector:
        """Return a vector that arrived, or is to be sent, to be compared with others; raise PeerError."""

    def write_vector(self, vector: Vector) -> str:
        """Return a vector as it is sent."""


class DatabaseConnection:
    """The verbs over a store."""

    def __init__(self, store: SqlStore) -> None:
        """Take an open store; ``close`` closes it."""
        self._store = store
        self._prune_at = 0
        self._last_told = (0, 0)
        self._steps: Iterator[Step] | None = None
        self._expected: dict[bytes, Coming] = {}

    def close(self) -> None:
        """See Connection."""
        self._store.close()

    def publish(self) -> int:
        """See Connection."""
        taken = publish.publish(self._store)
        site = self._store.read_site()
        # To receive and to retry is to publish as well, and so do commands beside the relay.
        told, self._last_told = self._last_told, (site.epoch, site.last_number)
        return taken or int(told != self._last_told)

    def greet(self, to: str) -> Greeting:
        """See Connection."""
        return greet(self._store, to)

    def meet(self, theirs: Greeting, measured: Measured | None) -> list[str]:
        """See Connection."""
        return meet(self._store, theirs, measured)

    def note_copy(self, whose: str) -> str:
        """See Connection."""
        return note_copy(self._store, whose)

    def next_request(self, peer: str, terms: Terms) -> PullRequest:
        """See Connection."""
        return sync.next_request(self._store, peer, terms)

    def answer(self, request: PullRequest, terms: Terms) -> Answer:
        """See Connection."""
        return sync.answer(self._store, request, terms)

    def offer(self, request: PullRequest) -> Vector:
        """See Connection."""
        return sync.offer(self._store, request)

    def receive(self, peer: str, payload: bytes, terms: Terms) -> Received:
        """See Connection."""
        expected = self._expected.pop(payload, None)
        if expected is None:  # others may never be received
            self._store.spare.drop(self._expected.values())
            self._expected = {}
        return sync.receive(self._store, peer, expected or payload, terms)

    def expect(self, payload: bytes) -> None:
        """See Connection."""
        if not self._expected:
            self._expected = {payload: sync.expect(self._store, payload)}

    def retry(self) -> int:
        """See Connection."""
        return retry(self._store)

    def compact(self, keep: int) -> Step | None:
        """See Connection."""
        if self._steps is None:
            self._steps = compact(self._store, keep)
        step = next(self._steps, None)
        if step is None:
            self._steps = None
        return step

    def look_for_drift(self) -> str:
        """See Connection."""
        return describe_drift(self._store)

    def write_journal(
        self, ended: Sequence[Ended], met: Sequence[Instance], steps: Sequence[Stepped]
    ) -> None:
        """See Connection."""
        for instance in met:
            self._store.write_instance(instance)
        now = self._store.read_clock()
        self._store.write_exchanges(
            [
                Exchanged(
                    e.exchange,
                    e.peer,
                    e.direction,
                    e.entries,
                    e.bytes,
                    now - int(e.started_ago * 1_000_000),
                    now - int(e.ended_ago * 1_000_000),
                    e.outcome,
                )
                for e in ended
            ]
        )
        self._store.write_in_step(
            [InStep(s.peer, s.direction, now - int(s.ago * 1_000_000), s.position) for s in steps]
        )
        if now >= self._prune_at:
            self._store.prune_exchanges()
            self._prune_at = now + PRUNE_US

    def find_unfinished(self) -> str:
        """See Connection."""
        tables, to_backfill = self._store.count_tables()
        if tables and not to_backfill:
            return ""
        left = f"{to_backfill} of {tables} tables are not taken in yet" if tables else "no table is captured"
        return f"the installation is not finished, {left} (changecapture install URL finishes it)"

    def modules(self) -> list[str]:
        """See Connection."""
        return sorted({table.scope for table in self._store.tables.values()})

    def read_status(self) -> Status:
        """See Connection."""
        return read_status(self._store, counted=False)

    def get_changes(self, client: str, since: str, send: Scopes, limit: int) -> dict[str, Any]:
        """See Connection."""
        return clients.get_changes(self._store, client, since, send, limit)

    def put_changes(self, client: str, changes: Sequence[Any], since: str, accept: Scopes) -> dict[str, Any]:
        """See Connection."""
        return clients.put_changes(self._store, client, changes, since, accept)


def _explain(error: NotInstalled, memo: Memo) -> ConfigError:
    """Return what a person has to know where a site was, and nothing is installed any more."""
    if memo.remembered is None:
        return error
    return ConfigError(
        error.what,
        why=f"site {memo.remembered.origin} was here: it was uninstalled, or this is another database",
        mend="put the database back, or make a new site of it: changecapture install URL",
    )


def open_site(config: RelayConfig) -> SqlStore:
    """Return the store of a relay's site, for what is done beside the relay's own two connections."""
    url = parse_url(config.url)
    return open_store(url, memo=find_memo(url, config.state))


class DatabaseExchange:
    """The database at a URL, with changecapture installed in it."""

    def __init__(self, url: str | DatabaseURL, state: Path | None = None) -> None:
        """Nothing is opened yet. ``state``: where the memo is kept, None: where this user keeps such."""
        self._url, self._state = url, state
        self._opening = Lock()

    def open(self) -> DatabaseConnection:
        """See Exchange."""
        url = parse_url(self._url) if isinstance(self._url, str) else self._url
        memo = find_memo(url, self._state)
        try:
            store = open_store(url, memo=memo)
        except NotInstalled as error:
            raise _explain(error, memo) from error
        try:
            if self._state is not None:
                with self._opening:
                    check_owner(self._state, store.read_site(), store.read_vector())
            store.show_relay()
        except ChangeCaptureError:
            store.close()
            raise
        return DatabaseConnection(store)

    def read_greeting(self, text: str) -> Greeting:
        """See Exchange."""
        return Greeting.from_json(text)

    def read_request(self, text: str) -> PullRequest:
        """See Exchange."""
        return PullRequest.from_json(text)

    def follow_request(self, request: PullRequest, payload: bytes) -> PullRequest | None:
        """See Exchange."""
        return sync.follow_request(request, payload)

    def read_vector(self, text: str) -> Vector:
        """See Exchange."""
        return load_vector(text)

    def write_vector(self, vector: Vector) -> str:
        """See Exchange."""
        return dump_vector(vector)
