"""What the relay asks of a database, done by changecapture over its store (``relay.exchange`` says what)."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

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
from relay.exchange import Answer
from relay.journal import Ended, Stepped
from relay.trust.owner import check_owner

PRUNE_US = 3_600_000_000


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
        waits, last = self._store.read_news()
        taken = 0
        if waits:
            taken = publish.publish(self._store)
            _, last = self._store.read_news()
        # To receive and to retry is to publish as well, and so do commands beside the relay.
        told, self._last_told = self._last_told, last
        return taken or int(told != last)

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

    def follow_backlog(self, request: PullRequest, payload: bytes, least: int) -> PullRequest | None:
        """See Exchange."""
        return sync.follow_backlog(request, payload, least)

    def read_vector(self, text: str) -> Vector:
        """See Exchange."""
        return load_vector(text)

    def write_vector(self, vector: Vector) -> str:
        """See Exchange."""
        return dump_vector(vector)
