"""Greetings: what two sites say of themselves before they exchange anything, and what each learns from it.

That a site lost a part of its past, or has a copy that is alive, shows here: a greeting carries digests of
what its sender holds under everybody's names, most of them under the addressee's. So does how far a clock
is off: the sender's clock is read between the call and its answer.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

from changecapture.clocks import correct_own_stamps, describe_offset, judge_clock, learn_offset
from changecapture.core.change import digest_entry
from changecapture.core.codec import PROTOCOL
from changecapture.core.table import digest_shape
from changecapture.core.vector import dump_vector
from changecapture.core.wire import check_number, check_text
from changecapture.epochs import is_remembered, recall
from changecapture.errors import PeerError
from changecapture.lives import NEAR, Samples, heal, sample_entries
from changecapture.store.interface import Store
from changecapture.store.records import Met

MOST_EPOCHS = 256
"""Of (origin, epoch) pairs, those of which a greeting carries a digest."""
MOST_SAMPLES = 2 * NEAR
"""Of one epoch, those that are looked at."""
LIVES = 8
"""Epochs of a peer that are remembered."""
TOLD_US = 3_600_000_000
"""How long it is told that a peer had a copy alive beside it, after that was last seen."""

Digests = dict[str, dict[int, Samples]]
"""Origin to epoch to samples."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a site says of itself. ``clock``: microseconds since 1970 UTC.

    ``digests``: what it holds under the names of each origin and epoch (JSON). ``copied``: whether it saw two
    lives of the addressee go on beside each other. ``run``: of the program that greets (``relay.runs``).
    """

    site: str
    epoch: int
    vector: str
    clock: int
    protocol: int = PROTOCOL
    shape: str = ""
    """Digest of the tables and columns that it syncs (core.table.digest_shape)."""
    digests: str = "{}"
    copied: bool = False
    run: str = ""

    def to_json(self) -> str:
        """Return JSON text; ``from_json`` is its inverse."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Greeting":
        """Return the greeting; raise PeerError when it is none."""
        greeting = cls(**read_fields(text, cls))
        load_digests(greeting.digests)
        return greeting


@dataclass(frozen=True, slots=True)
class Measured:
    """A peer's clock against ours, by one call: our clock before it, and how long it took until the answer
    (microseconds)."""

    sent_at: int
    took: int


def greet(store: Store, to: str = "") -> Greeting:
    """Return what this site says of itself to a peer, to anyone when it is not known who answers.

    A database that was put back begins its new epoch before: a peer that heard the past one again would take
    it for a copy that is alive.
    """
    if not is_remembered(store):
        with store.lock():
            recall(store)
    site, vector = store.read_site(), store.read_vector()
    last: dict[tuple[str, int], int] = {}
    for (origin, epoch, _), number in vector.items():
        last[origin, epoch] = max(number, last.get((origin, epoch), 0))
    claimed = dict(last)
    # Of the addressee also what is claimed not yet: a pull that was cut brought it, and it would be refused.
    last |= {(to, epoch): number for epoch, number in store.read_last_numbers(to).items()}
    digests: dict[str, dict[int, Samples]] = {}
    clock = store.read_clock()
    for origin, epoch in sorted(last, key=lambda pair: pair[0] != to)[:MOST_EPOCHS]:
        upto, sure = last[origin, epoch], claimed.get((origin, epoch), 0)
        samples = sample_entries(store, origin, epoch, upto, deep=origin == to, claimed=sure)
        digests.setdefault(origin, {})[epoch] = samples[:MOST_SAMPLES]
    return Greeting(
        site.origin,
        site.epoch,
        dump_vector(vector),
        clock,
        shape=digest_shape(store.tables.values()),
        digests=json.dumps(digests),
        copied=bool(to) and _is_recent(store.read_met(to).copied_at, clock),
    )


def meet(
    store: Store, theirs: Greeting, measured: Measured | None = None, rng: Random | None = None
) -> list[str]:
    """Take note of a peer's greeting; return what a person should know.

    Where the peer holds something else under this site's names, a new epoch begins and what was meant is
    published anew (``lives``).
    """
    own = store.read_site()
    if theirs.site == own.origin:
        return [_meet_copy(store)]  # whoever finds that it called itself does not ask
    told: list[str] = []
    met, now = store.read_met(theirs.site), store.read_clock()
    digests = load_digests(theirs.digests)
    healed = heal(store, digests.get(own.origin, {}), rng)
    if healed.epoch is not None or healed.anew:
        told.append(
            f"{theirs.site} holds changes of this site that are not known here: this database was restored "
            f"or copied; {healed.anew} changes are published anew, under names of a new epoch"
        )
    if theirs.copied:
        told.append(_meet_copy(store))
    after = _note_life(met, theirs.epoch, now)
    if _is_recent(after.copied_at, now) and not _is_recent(met.copied_at, now):
        told.append(_say_copied(theirs.site))
    told += _find_strange(store, digests, {own.origin, theirs.site})
    if measured is not None:
        offset = theirs.clock - (measured.sent_at + measured.took // 2)
        after = replace(after, clock_offset=offset, clock_error=measured.took // 2, clock_at=now)
    store.write_met(after)
    return told + _look_at_clock(store, after, fresh=measured is not None)


def note_copy(store: Store, whose: str) -> str:
    """Take note that two machines are alive beside each other that are both this site, or both a peer;
    return what a person should know."""
    if whose == store.read_site().origin:
        return _meet_copy(store)
    store.write_met(replace(store.read_met(whose), copied_at=store.read_clock()))
    return _say_copied(whose)


def _is_recent(at: int | None, now: int) -> bool:
    return at is not None and now - at < TOLD_US


def _note_life(met: Met, epoch: int, now: int) -> Met:
    """Note in which epoch a peer was met. One that comes back after another was met is a life that goes on
    beside it: epochs only follow each other."""
    lives = dict(met.lives)
    back = epoch in lives and any(at > lives[epoch] for at in lives.values())
    lives[epoch] = now
    kept = sorted(lives.items(), key=lambda item: item[1])[-LIVES:]
    return replace(met, lives=dict(kept), copied_at=now if back else met.copied_at)


def _look_at_clock(store: Store, met: Met, *, fresh: bool) -> list[str]:
    """Say how far a peer's clock is off ours; where enough peers say that it is ours that is off, stamp anew
    what they do not have."""
    ahead = judge_clock(met) if fresh else None
    if ahead is None:
        return []
    told = [f"the clock of {met.site} is {describe_offset(ahead)} ours"]
    offset = learn_offset(store, met)
    if offset is not None:
        number = correct_own_stamps(store, offset)
        told.append(
            f"the clock of this site is {describe_offset(-offset)} that of its peers: set it; "
            f"{number} changes that nobody has yet were stamped anew"
        )
    return told


def _meet_copy(store: Store) -> str:
    store.note_copied(store.read_clock())
    return _say_copied("this site")


def _say_copied(whose: str) -> str:
    return (
        f"a copy of the database of {whose} is alive beside it: run changecapture site renew in one of them, "
        "and start its relay again"
    )


def _find_strange(store: Store, digests: Digests, met: set[str]) -> list[str]:
    """Return what to say of others' names that mean something else at the peer."""
    strange: list[str] = []
    for origin, epochs in digests.items():
        if origin in met:
            continue
        for epoch, samples in epochs.items():
            held = store.read_named([(origin, epoch, number) for number, _ in samples[:1]])
            if any(digest_entry(e) != digest for e in held.values() for _, digest in samples[:1]):
                strange.append(f"names of {origin} mean something else there: it must be met to mend that")
    return strange


def load_digests(text: str) -> Digests:
    """Return the digests in a greeting; raise PeerError when they are none."""
    digests: Digests = {}
    try:
        for origin, epochs in json.loads(text).items():
            for epoch, samples in epochs.items():
                digests.setdefault(check_text(origin), {})[check_number(int(epoch))] = [
                    (check_number(number), check_text(digest)) for number, digest in samples[:MOST_SAMPLES]
                ]
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise PeerError("malformed digests", why=str(error)) from error
    return digests


def read_fields(text: str, kind: type) -> dict[str, Any]:
    """Return the fields of a message, those with a default where they are there; raise PeerError."""
    types: Mapping[str, type] = kind.__annotations__
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise PeerError("malformed message", why=str(error)) from error
    needed = {name for name in types if name not in _DEFAULTED}
    if not isinstance(data, dict) or not set(data) >= needed:
        raise PeerError("malformed message", why=f"it must have {', '.join(sorted(needed))}")
    # What a later version adds is not for us.
    given = {name: type_ for name, type_ in types.items() if name in data}
    for name, type_ in given.items():
        if type(data[name]) is not type_:
            raise PeerError("malformed message", why=f"{name} is not a {type_.__name__}")
        try:
            if type_ is int:
                check_number(data[name])
            elif name == "site":
                check_text(data[name])
        except ValueError as error:
            raise PeerError("malformed message", why=f"{name}: {error}") from error
    return {name: data[name] for name in given}


_DEFAULTED = frozenset({"shape", "digests", "copied", "mark", "run"})
"""Fields that an older version does not send."""
