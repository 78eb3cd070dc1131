"""Compaction: the log is bounded by rows and columns, not by history (R16).

An applied entry goes when each of its columns has a later applied one: merging comes to the same without it.
That needs no knowledge of who the peers are and how long they stay away. What stays:

- entries of parked rows and carried ones, whatever came after them;
- what is younger here than the history that is kept: age counts from arrival (``tide``), since a stamp is
  what some clock said;
- the last entry of each origin and epoch, by which lives are told apart; versions and images of deleted rows;
- where a profile names a natural key, what each site said last of whether a row exists: by that, rows which
  one site wrote side by side are told from rows that were seeded twice (apply/match.py).

It goes along the changelog by position and looks at each row when an entry of it is passed, at nothing
beyond; so all that is passed is compact, and each entry is looked at once. From time to time it begins anew,
for what was parked when it was passed. Each step is one short transaction under the writers' lock.

A pull may be under way whose end was named before an entry came that others were given up for: the pull
would raise the receiver's vector over a hole. So ``reached`` is kept, and ``sync`` names a new end for it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from changecapture.core.codec import PassName
from changecapture.core.merge import find_last_words, find_overtaken
from changecapture.store.interface import Store
from changecapture.store.records import Compaction, Place

DAY = 86_400_000_000
"""Microseconds."""
KEEP = 30 * DAY
STEP = 1000
"""Entries that are passed in one transaction."""
STEP_CHARACTERS = 4 * 1024 * 1024
PASS_STEP = 5000
LAST = 2**62


@dataclass(frozen=True, slots=True)
class Step:
    """What one transaction came to: entries given up, and how far it is of how far it goes."""

    removed: int
    position: int
    end: int


def compact(store: Store, keep: int = KEEP, *, anew: bool = False) -> Iterator[Step]:
    """Compact what is older than ``keep`` microseconds; yield after each short transaction.

    ``anew``: from the first entry on; else from where it came last time.
    """
    end = _begin(store, keep, anew=anew)
    removed = 0
    while (step := _compact_step(store, end)) is not None:
        removed += step.removed
        yield step
    if removed:
        yield from _sweep_passes(store, end)


def _begin(store: Store, keep: int, *, anew: bool) -> int:
    """Note how far the log reaches, return how far it is old enough."""
    with store.lock(), store.snapshot():
        now, state = store.read_clock(), store.read_compaction()
        store.note_tide(now)
        end = store.read_tide(now - keep) if keep > 0 else store.last_position()
        store.forget_stretches(end)
        if anew or not state.swept_at <= now < state.swept_at + max(keep, DAY):
            store.write_compaction(Compaction(0, state.reached, now))
    return end


def _compact_step(store: Store, end: int) -> Step | None:
    with store.lock(), store.snapshot():
        state = store.read_compaction()
        places = _cut(store.read_places(state.scanned, end, STEP))
        if not places:
            return None
        upto = places[-1].position
        gone = _find_gone(store, places, upto)
        store.delete_entries(gone)
        reached = max(state.reached, upto) if gone else state.reached
        store.write_compaction(replace(state, scanned=upto, reached=reached))
    return Step(len(gone), upto, end)


def _cut(places: Sequence[Place]) -> Sequence[Place]:
    """Return as many as fit into one step by their size, one at least."""
    size = 0
    for number, place in enumerate(places):
        size += place.size
        if number and size > STEP_CHARACTERS:
            return places[:number]
    return places


def _find_gone(store: Store, places: Sequence[Place], upto: int) -> list[int]:
    """Return the positions of what may go, of the rows that stand at these places."""
    rows = {place.row for place in places}
    logged = store.read_applied(rows - store.read_parked(rows), upto)
    gone: dict[PassName, int] = {}
    for row, placed in logged.items():
        if len(placed) > 1:
            positions = {entry.name: position for position, entry in placed.items()}
            gone.update((e.name, positions[e.name]) for e in find_overtaken(list(placed.values())))
            if (table := store.tables_by_wire.get(row.table)) is not None and table.natural:
                for entry in find_last_words(placed.values()).values():
                    gone.pop(entry.name, None)
    for origin, epoch in {name[:2] for name in gone}:
        last = store.read_last_named(origin, epoch, LAST)
        if last is not None:
            gone.pop(last.name, None)
    return list(gone.values())


def _sweep_passes(store: Store, end: int) -> Iterator[Step]:
    """Delete the passes that no entry is of, and the contexts that no pass has.

    The passes of an origin and epoch ascend with its numbers: both are gone along side by side.
    """
    for origin, epoch in store.list_epochs():
        after, passed = 0, -1
        while after < LAST:
            with store.lock(), store.snapshot():
                after, passed = _sweep_step(store, origin, epoch, after, passed)
            yield Step(0, end, end)


def _sweep_step(store: Store, origin: str, epoch: int, after: int, passed: int) -> tuple[int, int]:
    """Sweep passes beyond ``passed``, with the entries beyond number ``after``; return both anew."""
    numbers = store.read_pass_numbers(origin, epoch, after, PASS_STEP)
    used = {pass_number for _, pass_number in numbers}
    # The last pass of a full page may have more entries; whatever follows the last page has none.
    upto = numbers[-1][1] if len(numbers) == PASS_STEP else LAST
    kept = store.read_passes_between(origin, epoch, passed, upto, PASS_STEP)
    unused = [(number, digest) for number, digest in kept if number not in used]
    store.delete_passes([(origin, epoch, number) for number, _ in unused], {digest for _, digest in unused})
    if len(kept) == PASS_STEP:
        return after, kept[-1][0]
    return (numbers[-1][0], upto) if upto < LAST else (LAST, LAST)
