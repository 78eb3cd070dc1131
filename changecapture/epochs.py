"""Epochs: a site that lost part of its past gives no name a second time.

Names are counted within an epoch. A database that is not the one that this site remembers (``memo``) begins
a new epoch before it publishes: the old one's entries, which others may hold, come back from them like
anyone's. An epoch is one more than all that are known of the site, and chance on top: two lives that begin
from the same backup do not take the same.
"""

from random import Random, SystemRandom
from uuid import uuid4

from changecapture.core.change import digest_entry
from changecapture.core.wire import LARGEST
from changecapture.memo import Remembered
from changecapture.store.interface import Store

CHANCE = 2**32
FORGED = LARGEST // 2
"""An epoch above it was given by who lies: a site would have had to live a million times."""


def begin_epoch(store: Store, rng: Random | None = None) -> int:
    """Give names in a new epoch from now on; return it. The writers' lock must be held."""
    origin = store.read_site().origin
    epoch = new_epoch(store, origin, rng)
    store.begin_epoch(origin, epoch)
    return epoch


def new_epoch(store: Store, origin: str, rng: Random | None = None) -> int:
    """Return an epoch of an origin, this site or what it was a copy of, that no life of it has had."""
    known = [epoch for name, epoch, _ in store.read_vector() if name == origin and epoch <= FORGED]
    return max(store.read_site().epoch, *known, 1) + 1 + (rng or SystemRandom()).randrange(CHANCE)


def renew(store: Store, origin: str | None = None) -> str:
    """Make this database a site of its own, apart from the one that it is a copy of; return its name.

    All that it holds stays under the old name; what is captured and not published becomes its own.
    """
    name = origin or uuid4().hex
    with store.lock():
        with store.snapshot():
            store.begin_epoch(name, 1)
            store.note_copied(None)
        remember(store)
    return name


def recall(store: Store) -> None:
    """Begin a new epoch when the database is not the one that is remembered; the lock must be held.

    To be called before anything is published, outside a transaction.
    """
    memo = store.memo
    if memo is None or is_remembered(store):
        return
    memo.read_again()
    if is_remembered(store):
        return
    known, site = memo.remembered, store.read_site()
    if known is None:
        _begin(store)
        return
    same = (known.origin, known.epoch) == (site.origin, site.epoch)
    held = _holds(store, known) if known.number else same
    if not held and (site.last_number or known.origin == site.origin):
        begin_epoch(store)
    _begin(store)


def is_remembered(store: Store) -> bool:
    """Return whether the database is known to be the one that is remembered; so it is where nothing is kept
    outside of it."""
    memo = store.memo
    if memo is None:
        return True
    known, site = memo.remembered, store.read_site()
    if known is None or not memo.trusted:
        return False
    same = (known.origin, known.epoch) == (site.origin, site.epoch)
    return same and site.last_number >= known.number


def _begin(store: Store) -> None:
    """Remember where the database stands before this program publishes anything."""
    remember(store)
    if store.memo is not None:
        site = store.read_site()
        store.memo.begun = (site.epoch, site.last_number)


def remember(store: Store) -> None:
    """Keep what the site published last, which must be committed, where the database does not reach."""
    if store.memo is None:
        return
    site = store.read_site()
    last = store.read_named([(site.origin, site.epoch, site.last_number)]).values()
    digest = next(map(digest_entry, last), "")
    store.memo.keep(Remembered(site.origin, site.epoch, site.last_number if digest else 0, digest))


def _holds(store: Store, known: Remembered) -> bool:
    found = store.read_named([(known.origin, known.epoch, known.number)])
    return any(digest_entry(entry) == known.digest for entry in found.values())
