"""Lives: what becomes of names that a site gave twice, before and after it lost a part of its past.

A restored backup that was not noticed in time (``epochs``), or a copy that is alive beside its original,
gives names of this site to changes that others do not mean by them. It is found by digests: a peer says
which contents it holds under our names. After the last number on which both agree they are *contested*:

- what they mean here is published anew, under new names in a new epoch, with the old stamps;
- this site claims them no more, and so receives what they mean elsewhere: names that are free here as they
  are, contested ones under new names again, in an epoch of their own, as that life had not seen this one.
  Those that compaction gave up are not free: whoever claims them from before is not sent them again.

So whatever a contested name meant anywhere, it is in the world under a name that only it has. Nothing is
taken back: who holds the old entries as well sees the same values with the same stamps. What was published
anew is noted (``contested``), so that it happens once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from random import Random

from changecapture.author import claim_entries
from changecapture.core.change import Entry, Row, Version, add_names, digest_entry
from changecapture.core.codec import Batch, PassName
from changecapture.core.vector import Vector, digest_vector, dump_vector
from changecapture.epochs import begin_epoch, new_epoch, recall, remember
from changecapture.store.interface import Store
from changecapture.store.records import Site

Samples = Sequence[tuple[int, str]]
"""(number, digest of the entry of that number), of one origin and epoch."""

CHUNK = 1000
NEAR = 64
"""Entries before the last that are sampled one by one."""


@dataclass(frozen=True, slots=True)
class Healed:
    """What was done about contested names: the epoch that was begun for it, entries published anew."""

    epoch: int | None = None
    anew: int = 0


def sample_entries(
    store: Store, origin: str, epoch: int, last: int, *, deep: bool, claimed: int = 0
) -> Samples:
    """Return samples of what is held under an origin's names up to a number, the latest first.

    ``deep``: also of the ``NEAR`` entries before it, one by one (a life that began from a backup publishes
    what waited in it once more, and of that pass only one entry need be another), and of those twice, four
    times, .. as far back, so that a point at which two lives part is found to within as many entries as came
    after it.
    """
    found: dict[int, str] = {}
    back = 0
    while back < last:
        entry = store.read_last_named(origin, epoch, last - back)
        if entry is None:
            break
        found[entry.number] = digest_entry(entry)
        if not deep:
            break
        passed = last - entry.number
        back = passed + 1 if len(found) <= NEAR else 2 * passed
    noted = store.read_contested(origin, epoch, found)
    # What was published anew is not sent; but what is claimed would be refused by who has not given it.
    return [sample for sample in found.items() if sample[0] <= claimed or sample not in noted]


def leave_out_contested(store: Store, entries: Sequence[Entry]) -> Sequence[Entry]:
    """Return the entries without those that were published anew: nobody needs what a contested name meant
    under that name, and the site whose it is may not have given it yet."""
    noted: set[tuple[str, int, int, str]] = set()
    for origin, epoch in store.read_contested_epochs() if entries else ():
        numbers = [e.number for e in entries if (e.origin, e.epoch) == (origin, epoch)]
        noted |= {(origin, epoch, *one) for one in store.read_contested(origin, epoch, numbers)}
    return [e for e in entries if (*e.name, digest_entry(e)) not in noted] if noted else entries


def heal(store: Store, claims: Mapping[int, Samples], rng: Random | None = None) -> Healed:
    """Deal with what a peer holds under names of this site: {epoch: samples}."""
    with store.lock():
        recall(store)
        site = store.read_site()
        parted = {epoch: agreed for epoch, agreed in _find_parted(store, site, claims)}
        if not parted:
            return Healed()
        with store.snapshot():
            begun = begin_epoch(store, rng) if site.epoch in parted else None
            anew = sum(_publish_anew(store, epoch, agreed) for epoch, agreed in sorted(parted.items()))
            for epoch, agreed in parted.items():
                store.lower_vector(site.origin, epoch, agreed)
            store.restart_pulls()
            _note_common(store)
        remember(store)
    return Healed(begun, anew)


def _find_parted(store: Store, site: Site, claims: Mapping[int, Samples]) -> Iterable[tuple[int, int]]:
    """Yield (epoch, last number on which both agree) of the epochs in which something differs."""
    common = store.read_life()["corrected"]
    for epoch, samples in claims.items():
        present = epoch == site.epoch
        if present and _is_unused(store, site):
            continue  # else who lies could have epochs begun without end; who does not shows its names
        noted = store.read_contested(site.origin, epoch, [number for number, _ in samples])
        verdicts = {
            number: (number, digest) in noted or _agrees(store, site, epoch, number, digest)
            for number, digest in samples
        }
        strange = [number for number, agrees in verdicts.items() if agrees is False]
        if strange:
            # What came after it may be the same again: another peer gave it back.
            same = (number for number, agrees in verdicts.items() if agrees and number < min(strange))
            agreed = max(same, default=0)
            yield epoch, max(agreed, common) if present else agreed


def leave_unused(store: Store) -> bool:
    """Begin another epoch where no name that is this life's alone was given in the present one: a copy of
    this database gave names in it. Return whether that is so; the writers' lock must be held."""
    if not _is_unused(store, store.read_site()):
        return False
    with store.snapshot():
        begin_epoch(store)
    remember(store)
    return True


def _is_unused(store: Store, site: Site) -> bool:
    """Return whether the present epoch was begun by chance and has only names that all lives share."""
    return site.epoch > 1 and site.last_number <= store.read_life()["corrected"]


def _note_common(store: Store) -> None:
    """Note that up to here the names of the present epoch mean the same in all lives that have them."""
    site, life = store.read_site(), store.read_life()
    store.write_life(site.epoch, shipped=life["shipped"], corrected=site.last_number)


def _agrees(store: Store, site: Site, epoch: int, number: int, digest: str) -> bool | None:
    """Return whether a name means the same here; None when that cannot be told: it was given up."""
    held = store.read_named([(site.origin, epoch, number)])
    for entry in held.values():
        return digest_entry(entry) == digest
    return False if epoch == site.epoch and number > site.last_number else None


def _publish_anew(store: Store, epoch: int, agreed: int) -> int:
    """Give new names to what an epoch's names above a number mean here; return how many that were."""
    origin = store.read_site().origin
    prefix = {c: min(n, agreed) for c, n in store.read_vector().items() if c[:2] == (origin, epoch)}
    done, after = 0, agreed
    while entries := store.read_numbered(origin, epoch, after, CHUNK):
        after = entries[-1].number
        noted = store.read_contested(origin, epoch, [entry.number for entry in entries])
        anew = [entry for entry in entries if (entry.number, digest_entry(entry)) not in noted]
        _append_anew(store, anew, prefix)
        done += len(anew)
    return done


def _append_anew(store: Store, entries: Sequence[Entry], prefix: Vector) -> None:
    """Append entries of this site once more, as the next of the present epoch, in passes like theirs."""
    if not entries:
        return
    site = store.read_site()
    old = store.read_contexts({(e.origin, e.epoch, e.pass_number) for e in entries})
    named, contexts = _rename(entries, old, prefix, site.epoch, site.last_number, site.last_pass)
    digests = {name: digest_vector(context) for name, context in contexts.items()}
    store.write_contexts({digests[name]: dump_vector(context) for name, context in contexts.items()})
    store.write_passes(digests)
    parked = store.read_parked({entry.row for entry in named})
    shown = [e for e in named if e.row not in parked and e.table in store.tables_by_wire]
    store.append_entries(shown, applied=True)
    held = [e for e in named if e.row in parked or e.table not in store.tables_by_wire]
    store.append_entries(held, applied=False)
    _add_seen(store, shown)
    store.write_vector(claim_entries(named))
    store.write_site(last_number=named[-1].number, last_pass=named[-1].pass_number)
    store.write_contested({(e.origin, e.epoch, e.number): digest_entry(e) for e in entries})


def _rename(
    entries: Sequence[Entry],
    contexts: Mapping[PassName, Vector],
    prefix: Vector,
    epoch: int,
    number: int,
    pass_number: int,
) -> tuple[list[Entry], dict[PassName, Vector]]:
    """Return the entries under the names that follow ``number`` and ``pass_number`` in an epoch, and the
    contexts of their passes: what those had seen, and of the old names no more than ``prefix``."""
    named: list[Entry] = []
    seen: dict[PassName, Vector] = {}
    for old, of_pass in groupby(entries, key=lambda e: (e.origin, e.epoch, e.pass_number)):
        pass_number += 1
        seen[old[0], epoch, pass_number] = {**contexts.get(old, {}), **prefix}
        for entry in of_pass:
            number += 1
            named.append(
                replace(entry, epoch=epoch, number=number, pass_number=pass_number, parsed=entry.parsed)
            )
    return named, seen


def _add_seen(store: Store, entries: Iterable[Entry]) -> None:
    """Count entries among those that are merged: their values are, under older names."""
    known = store.read_versions({entry.row for entry in entries})
    versions: dict[Row, Version] = dict(known)
    for entry in entries:
        if (version := versions.get(entry.row)) is not None:
            seen = add_names(version.seen, [entry])
            versions[entry.row] = version._replace(seen=seen)
    store.write_versions(versions, dict(known))


def _find_former(store: Store, epochs: Collection[tuple[str, int]]) -> dict[tuple[str, int], int]:
    """Return those (origin, epoch) in which this database gave names that it gives no more: former epochs of
    this site, and those of the site that it was a copy of in which names were given twice; and the last
    contested number of each."""
    if not epochs:
        return {}
    site, contested = store.read_site(), store.read_contested_epochs()
    former = {pair: contested.get(pair, 0) for pair in epochs if pair[0] == site.origin or pair in contested}
    former.pop((site.origin, site.epoch), None)
    return former


@dataclass(frozen=True, slots=True)
class Renamed:
    """A batch in which contested names are replaced; ``contested`` is what is to be noted of it."""

    batch: Batch
    claimed: Vector
    contested: Mapping[PassName, str]


def rename_contested(store: Store, batch: Batch, rng: Random | None = None) -> Renamed:
    """Give entries that mean something else under their names here, names of this database, new names.

    What was given a new name before is left out. The writers' lock must be held.
    """
    former = _find_former(store, {(e.origin, e.epoch) for e in batch.entries})
    ours = [e for e in batch.entries if (e.origin, e.epoch) in former]
    known = store.find_names({(e.origin, e.epoch, e.number) for e in ours}) if ours else set()
    there = {name: digest_entry(entry) for name, entry in store.read_named(known).items()}
    anew: list[Entry] = []
    dropped: set[int] = set()
    for entry in ours:
        name, digest = (entry.origin, entry.epoch, entry.number), digest_entry(entry)
        # What is held no more and was given before the last contested name may have meant anything here.
        given_up = name not in there and entry.number <= former[name[:2]]
        if given_up or there.get(name, digest) != digest:
            dropped.add(id(entry))
            if (entry.number, digest) not in store.read_contested(entry.origin, entry.epoch, [entry.number]):
                anew.append(entry)
    if not dropped:
        return Renamed(batch, {}, {})
    named: list[Entry] = []
    contexts: dict[PassName, Vector] = {}
    for origin in sorted({entry.origin for entry in anew}):
        more = _name_apart(store, origin, [e for e in anew if e.origin == origin], batch, rng)
        named, contexts = named + more[0], contexts | more[1]
    digests = {name: digest_vector(context) for name, context in contexts.items()}
    kept = [entry for entry in batch.entries if id(entry) not in dropped]
    entire = replace(
        batch,
        entries=(*kept, *named),
        passes={**batch.passes, **digests},
        contexts={**batch.contexts, **{digests[name]: context for name, context in contexts.items()}},
    )
    notes = {(e.origin, e.epoch, e.number): digest_entry(e) for e in anew}
    return Renamed(entire, claim_entries(named), notes)


def _name_apart(
    store: Store, origin: str, entries: Sequence[Entry], batch: Batch, rng: Random | None
) -> tuple[list[Entry], dict[PassName, Vector]]:
    """Give entries names in an epoch of their own: the life that wrote them has seen none of this one."""
    vector = store.read_vector()
    epochs = {entry.epoch for entry in entries}
    prefix = {c: n for c, n in vector.items() if c[0] == origin and c[1] in epochs}
    contexts = {name: batch.contexts[digest] for name, digest in batch.passes.items()}
    ordered = sorted(entries, key=lambda e: (e.epoch, e.number))
    return _rename(ordered, contexts, prefix, new_epoch(store, origin, rng), 0, 0)
