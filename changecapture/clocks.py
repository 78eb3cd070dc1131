"""Clocks: how far ours is off, and stamps that are put right before anybody has them (R15).

A wrong clock never breaks convergence: stamps are merged like any other, and an edit wins over what it
has seen. What a wrong clock costs is that concurrent edits lose that should win. So a site that learns how
far its clock is off stamps anew what has not left it: its own entries of the present epoch above the number
that was put into an answer for anyone (``life.shipped``), captured changes being published first. What has
left the site keeps its stamp for ever, since others have it under this name.

A site learns its offset from a person, or from three or more peers who agree: two that differ cannot tell
which of them is off, and would swap their error.
"""

from collections import defaultdict
from statistics import median_low

from changecapture.apply import drain, retry
from changecapture.core.change import Row, Version
from changecapture.core.clock import next_stamp
from changecapture.epochs import recall
from changecapture.identify import find_joined
from changecapture.store.interface import Store
from changecapture.store.records import Met, Stamped

SECOND = 1_000_000
BOUND = 60 * SECOND
"""A clock that is off by less is right."""
ENOUGH = 3
"""Peers that must agree."""
RECENT = 600 * SECOND
CHUNK = 1000


def judge_clock(met: Met) -> int | None:
    """Return by how many microseconds a peer's clock is ahead of ours, None when it is about as ours."""
    if met.clock_offset is None or abs(met.clock_offset) - (met.clock_error or 0) <= BOUND:
        return None
    return met.clock_offset


def describe_offset(offset: int) -> str:
    """Return how far a clock is ahead of another, to be followed by whose that is."""
    seconds = abs(offset) / SECOND
    size = f"{seconds:.0f} s" if seconds < 7200 else f"{seconds / 3600:.0f} h"
    return f"{size} {'ahead of' if offset > 0 else 'behind'}"


def learn_offset(store: Store, latest: Met) -> int | None:
    """Return by how many microseconds our clock is behind, if enough peers who were measured lately agree,
    the one that was measured last among them; None when it is about right or cannot be told."""
    now = store.read_clock()
    clocks = [m.clock_offset for m in store.read_clocks(now - RECENT, now) if m.clock_offset is not None]
    if len(clocks) < ENOUGH:
        return None
    middle = median_low(clocks)
    agree = sum(abs(offset - middle) <= BOUND for offset in clocks)
    last = latest.clock_offset
    if agree < ENOUGH or last is None or abs(last - middle) > BOUND or abs(middle) <= BOUND:
        return None
    return middle


def correct_own_stamps(store: Store, offset: int) -> int:
    """Do as ``correct_stamps``, unasked, to what was published since this program opened the database.

    A backup that was put back before may not know what it has shipped, and an earlier start may have had
    another clock.
    """
    with store.lock():
        recall(store)
    epoch, number = (0, 0) if store.memo is None else store.memo.begun
    return correct_stamps(store, offset, number if epoch == store.read_site().epoch else 0)


def correct_stamps(store: Store, offset: int, above: int = 0) -> int:
    """Stamp anew what has not left the site: our clock was behind by ``offset`` microseconds (ahead, where
    it is negative). Of the present epoch, only numbers above ``above``. Return how many entries that were."""
    with store.lock():
        drain(store)
        site = store.read_site()
        store.make_life(site.epoch)
        with store.snapshot():
            life = store.hold_life()
            first = max(life["shipped"], life["corrected"], above)
            done, after = 0, first
            while entries := store.read_numbered(site.origin, site.epoch, after, CHUNK):
                after = entries[-1].number
                rows = {entry.row for entry in entries}
                done += _correct_rows(store, rows, (site.origin, site.epoch, first, after), offset)
            store.write_life(site.epoch, shipped=life["shipped"], corrected=site.last_number)
    if done:
        retry(store)
    return done


def _correct_rows(store: Store, rows: set[Row], ours: tuple[str, int, int, int], offset: int) -> int:
    """Stamp anew the entries of these rows that are ours: (origin, epoch, above a number, up to a number)."""
    origin, epoch, first, last = ours
    stamped: dict[Row, list[Stamped]] = defaultdict(list)
    for item in store.read_stamps(rows):
        stamped[item.row].append(item)
    changed: dict[int, int] = {}
    latest: dict[Row, int] = defaultdict(int)
    for row, items in stamped.items():
        for item in sorted(items, key=lambda item: item.position):
            stamp = item.stamp
            if item.name[:2] == (origin, epoch) and first < item.name[2] <= last:
                # Never below what the author had seen, which stands before it.
                stamp = changed[item.position] = next_stamp(stamp + offset, latest[row])
            if item.applied:
                latest[row] = max(latest[row], stamp)
    store.write_stamps(changed)
    _show_anew(store, stamped, latest)
    return len(changed)


def _show_anew(store: Store, stamped: dict[Row, list[Stamped]], latest: dict[Row, int]) -> None:
    """Let rows that others have written too be merged again, and all be known by their latest stamp."""
    joined = find_joined(store, stamped)
    stamps: dict[Row, int] = defaultdict(int)
    origins: dict[Row, set[str]] = defaultdict(set)
    for row, items in stamped.items():
        root = joined.get(row, row)
        stamps[root] = max(stamps[root], latest[row])
        origins[root] |= {item.name[0] for item in items}
    known = store.read_versions(stamps)
    versions: dict[Row, Version] = {}
    for row, version in known.items():
        # Of a joined row not all entries were looked at: too late a stamp does no harm.
        least = version.stamp if row in joined.values() else 1
        versions[row] = version._replace(stamp=max(stamps[row], least))
    store.write_versions(versions, dict(known))
    mixed = [row for row in known if len(origins[row]) > 1 or row in joined.values()]
    store.write_parked({row: ("clock", "its stamps were corrected") for row in mixed})
