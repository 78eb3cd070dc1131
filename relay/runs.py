"""Runs: which runs of a device's relay were heard, and when; so a copy of a whole machine is noticed.

A machine that was copied with its state directory has the same key, and its database the same site: only the
programs that run are two. Each says by which name, made by chance, it runs: in greetings and in pulls. Runs
of one machine follow each other. Two of which each was heard after the other are alive beside each other,
and then one of them is a copy.

A run that is not heard for ``FORGET_S`` is forgotten: so a copy that is gone, or has become a site of its
own, is no longer told of. A copy that was made of a running machine, its memory too, has the same run until
its relay is started again.
"""

from dataclasses import dataclass
from uuid import uuid4

from relay.clock import Clock
from relay.messages import clean

LATE_S = 60.0
"""A call may arrive so long after who made it has ended."""
FORGET_S = 600.0
TELL_S = 300.0
"""How often those who are concerned are told."""
MOST = 8
"""Runs of one device."""
NAME_LIMIT = 32


def new_run() -> str:
    """Return a name for a run of this program."""
    return uuid4().hex


@dataclass(slots=True)
class _Run:
    """It had begun before ``first``, and had not ended at ``last``."""

    first: float
    last: float
    heard: float


class Runs:
    """The runs of all devices that were heard."""

    def __init__(self, clock: Clock) -> None:
        """Nothing was heard yet."""
        self._clock = clock
        self._runs: dict[str, dict[str, _Run]] = {}
        self._seen: dict[str, float] = {}
        """When a copy of this machine itself answered."""
        self._told: dict[str, float] = {}

    def heard(self, device: str, run: str, since: float | None = None) -> None:
        """A device's relay said by which name it runs: in a call, or in the answer to one that began at
        ``since``. One that says none is of an earlier version."""
        if not run:
            return
        now, name = self._clock.seconds(), clean(run, NAME_LIMIT)
        alive = now - LATE_S if since is None else since
        runs = self._runs.setdefault(device, {})
        known = runs.pop(name, None)
        runs[name] = (
            _Run(now, alive, now) if known is None else _Run(known.first, max(known.last, alive), now)
        )
        while len(runs) > MOST:
            del runs[next(iter(runs))]

    def saw_copy(self, own: str) -> None:
        """Another run than this one was met under the key of this device."""
        self._seen[own] = self._clock.seconds()

    def are_beside(self, device: str) -> bool:
        """Return whether two runs of a device are alive beside each other."""
        oldest = self._clock.seconds() - FORGET_S
        if self._seen.get(device, float("-inf")) >= oldest:
            return True
        runs = self._runs[device] = {n: r for n, r in self._runs.get(device, {}).items() if r.heard >= oldest}
        return any(
            one.first < other.last and other.first < one.last
            for one in runs.values()
            for other in runs.values()
            if one is not other
        )

    def is_due(self, device: str) -> bool:
        """Return whether there is something to tell of a device, now first or again."""
        now = self._clock.seconds()
        due = self.are_beside(device) and now >= self._told.get(device, float("-inf")) + TELL_S
        if due:
            self._told[device] = now
        return due
