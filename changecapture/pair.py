"""Two databases brought in step by one program, without a network (``changecapture sync``).

What the relays of two sites do, minus the wire: each site in turn is the source of a pull. The source
publishes what waits and makes the next batch ready while the last one is applied, in a thread; or, where
much is to travel, in a process of its own with a connection of its own, as two relays would: one Python
process uses one processor.
"""

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from time import monotonic
from typing import Protocol

from changecapture.apply import retry
from changecapture.bridge import exchanged_tables
from changecapture.config import DatabaseURL
from changecapture.errors import ConfigError, Gone, PeerError
from changecapture.greeting import Measured, greet, meet
from changecapture.memo import Memo
from changecapture.memory import spare_collector
from changecapture.patience import patiently
from changecapture.publish import publish
from changecapture.store import open_store
from changecapture.store.interface import Store
from changecapture.store.records import InStep
from changecapture.store.sqlstore import SqlStore
from changecapture.sync import Answer, PullRequest, Received, answer, next_request, receive

PASSES_AHEAD = 2
"""Passes that a source publishes before each answer, at most."""
READY_ENTRIES = 2500
"""None is published while as many wait in its log: the other site is to work meanwhile, not after it."""
MANY = 5000
"""Changes that wait, above which a process of its own pays: it takes a second to start."""
ROUNDS = 50
"""Far more than two sites need at rest: each brings what both held when it began."""
ENDING_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Made:
    """A batch, and the least and the greatest id of what its site has captured and not published."""

    answer: Answer
    first: int = 0
    last: int = 0


class Source(Protocol):
    """Who answers a pull: asked for one batch at a time, which it makes while the caller goes on."""

    def ask(self, request: PullRequest) -> None:
        """Begin to make a batch."""

    def take(self) -> Made:
        """Return the batch that was asked for, waiting for it; raise what it failed with."""


class NearSource:
    """A source in a thread, on a store that is not used meanwhile."""

    def __init__(self, store: Store, threads: ThreadPoolExecutor) -> None:
        """Answer from this store, in the one thread of ``threads``."""
        self._store, self._threads = store, threads
        self._made: Future[Made] | None = None

    def ask(self, request: PullRequest) -> None:
        """See Source."""
        self._made = self._threads.submit(_make_answer, self._store, request)

    def take(self) -> Made:
        """See Source."""
        assert self._made is not None
        return self._made.result()


class ApartSource:
    """A source in a process of its own, which ends when this object's end of the pipe does."""

    def __init__(self, pipe: Connection) -> None:
        """Answer through the process at the other end of the pipe."""
        self._pipe = pipe

    def ask(self, request: PullRequest) -> None:
        """See Source."""
        self._pipe.send(request)

    def take(self) -> Made:
        """See Source."""
        try:
            made = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise Gone("the process that reads the source has ended", why=str(error)) from error
        if isinstance(made, Exception):
            raise made
        assert isinstance(made, Made)
        return made


@contextmanager
def near_source(store: Store) -> Iterator[Source]:
    """Give a source in a thread."""
    with ThreadPoolExecutor(1) as threads:
        yield NearSource(store, threads)


@contextmanager
def apart_source(store: SqlStore) -> Iterator[Source]:
    """Give a source on a store's database in a new process, and end the process afterwards."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(store.url, store.memo, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ApartSource(ours)
    finally:
        ours.close()
        process.join(ENDING_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()


def _serve(url: DatabaseURL, memo: Memo | None, pipe: Connection) -> None:
    """Answer until the other end of the pipe is closed, by its program or by the end of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the caller, who closes the pipe
    spare_collector()
    store: Store | None = None
    try:
        while True:
            request = pipe.recv()
            try:
                store = store or open_store(url, memo=memo)
                made: Made | Exception = _make_answer(store, request)
            except Exception as error:
                made = error
            pipe.send(made)
    except (EOFError, ConnectionError):
        return
    finally:
        if store is not None:
            store.close()


def _make_answer(store: Store, request: PullRequest) -> Made:
    for _ in range(PASSES_AHEAD):
        ready = store.last_position() - request.after
        if ready >= READY_ENTRIES or not patiently(partial(publish, store)):
            break
    return Made(answer(store, request), *store.captured_range())


def pull(source: Store, target: Store, report: Callable[[Received], None] = lambda received: None) -> int:
    """Pull from a store into another all that it holds; return how many entries were new."""
    introduce(source, target)
    with near_source(source) as near:
        return pull_from(near, source.read_site().origin, target, report)


def pull_from(source: Source, peer: str, target: Store, report: Callable[[Received], None]) -> int:
    """Pull from a source, the site ``peer``, into a store; return how many entries were new.

    What it captures meanwhile is for another pull: beside an application that never rests there would be
    no end.
    """
    total, upto = 0, None
    request = next_request(target, peer)
    source.ask(request)
    while True:
        made = source.take()
        batch = made.answer
        upto = made.last if upto is None else upto
        more = 0 < made.first <= upto
        if more or not batch.last:
            end = 0 if batch.last else batch.end
            request = replace(request, epoch=batch.epoch, after=batch.position, end=end, mark=batch.mark)
            source.ask(request)
        received = patiently(partial(receive, target, peer, batch.payload))
        total += received.entries
        report(received)
        if batch.last and not more:
            return total


def introduce(left: Store, right: Store) -> list[str]:
    """Let two sites greet each other, as relays do before they exchange; return what a person should know.

    Raises PeerError when both are one site.
    """
    names = left.read_site().origin, right.read_site().origin
    if names[0] == names[1]:
        raise PeerError(
            "both databases are the same site",
            why="one is a copy of the other",
            mend="run changecapture site renew URL in the copy",
        )
    return [*_meet(left, right, names[0]), *_meet(right, left, names[1])]


def check_shared(left: SqlStore, right: SqlStore) -> None:
    """Refuse two sites of which neither could show a row of the other: their logs would be mixed for good."""
    ours, theirs = exchanged_tables(left), exchanged_tables(right)
    if not ours or not theirs or ours & theirs:  # without any the installation has not come to its end
        return
    raise ConfigError(
        f"{left.url} and {right.url} have no table in common",
        why="these are two applications, and no mapping that is installed stands between them",
        mend="correct the URL, or install a mapping: changecapture install URL --mapping NAME",
    )


def _meet(here: Store, there: Store, own: str) -> list[str]:
    began, sent_at = monotonic(), here.read_clock()
    theirs = replace(greet(there, own), clock=there.read_clock())
    return meet(here, theirs, Measured(sent_at, int((monotonic() - began) * 1_000_000)))


def synchronise(
    left: Store, right: Store, report: Callable[[str, Received], None] = lambda site, received: None
) -> int:
    """Exchange until both sites hold the same and nothing waits; return how many entries travelled.

    ``report(site, received)`` is told what arrived where: "left" or "right".
    """
    with near_source(left) as first, near_source(right) as second:
        return _exchange((left, first), (right, second), report)


def synchronise_apart(
    left: SqlStore, right: SqlStore, report: Callable[[str, Received], None] = lambda site, received: None
) -> int:
    """Do what ``synchronise`` does with a source from which much is to travel in a process of its own, on a
    connection of its own."""
    with _choose_source(left, right) as first, _choose_source(right, left) as second:
        return _exchange((left, first), (right, second), report)


def _choose_source(source: SqlStore, target: SqlStore) -> AbstractContextManager[Source]:
    first, last = source.captured_range()
    sent = next_request(target, source.read_site().origin).after
    waiting = last - first + source.last_position() - sent
    return apart_source(source) if waiting > MANY else near_source(source)


def note_in_step(left: SqlStore, right: SqlStore) -> None:
    """Keep at both sites that they hold the same now, as relays do."""
    for here, there in ((left, right), (right, left)):
        peer, now = there.read_site().origin, here.read_clock()
        steps = [InStep(peer, "in", now), InStep(peer, "out", now, here.last_position())]
        here.write_in_step(steps)


def _exchange(
    left: tuple[Store, Source], right: tuple[Store, Source], report: Callable[[str, Received], None]
) -> int:
    (left_store, left_source), (right_store, right_source) = left, right
    introduce(left_store, right_store)
    origins = left_store.read_site().origin, right_store.read_site().origin
    total = 0
    for _ in range(ROUNDS):
        moved = pull_from(left_source, origins[0], right_store, lambda got: report("right", got))
        moved += pull_from(right_source, origins[1], left_store, lambda got: report("left", got))
        total += moved
        if not moved and left_store.read_vector() == right_store.read_vector():
            break
    for store in (left_store, right_store):
        patiently(partial(retry, store))
    return total
