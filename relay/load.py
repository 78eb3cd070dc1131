"""How much a call should carry: as much as the link moves in a few seconds, measured as it goes.

Short calls waste round trips, long ones lose more when the link breaks, and nothing that was sent is
durable before its call has ended. What the link can do is learned from each call: the next one is as much
larger or smaller as this one was faster or slower than ``aim_s``, within a factor of ``STEP``. A call that
fails makes the next ones smaller, in case it was its length that the link did not bear.

The size is counted in characters of columns, before compression: how well those compress, and how long
the peer takes to make or apply them, is in the measured time like the link itself.
"""

from dataclasses import dataclass

from changecapture.sync import BATCH_CHARACTERS

FIRST_PER_S = 33 * 1024
"""What a link is taken to bear until it was measured: about 50 kb/s. On a good one three calls lead from
there to the largest."""
LEAST = 4 * 1024
STEP = 4.0


@dataclass(frozen=True, slots=True)
class Timing:
    """What a relay waits for: seconds, unless it says otherwise. Tests, whose links are short-lived and whose
    sites are small, have other ones."""

    aim_s: float = 2.0
    """What a call should take: 2 to 5 are worth their round trip, and half a call is what a cut costs."""
    patience_s: float = 5.0
    """How long a site may take to come for our changes itself, before they are pushed."""
    backlog: int = 100
    """Entries: after an answer about so many an application may still be writing, and there is more soon."""


class Load:
    """``size``: what a call in one direction, to or from one peer, should carry."""

    def __init__(self, aim_s: float) -> None:
        """Begin carefully."""
        self.size = _within(FIRST_PER_S * aim_s)
        self._aim_s = aim_s

    def took(self, seconds: float, *, full: bool) -> None:
        """Take note of a call that worked; ``full``: it could have carried more, had it been allowed to."""
        factor = self._aim_s / max(seconds, 1e-6)
        if full or factor < 1:
            self.size = _within(self.size * min(STEP, max(1 / STEP, factor)))

    def failed(self) -> None:
        """Take note of a call that the link did not bear."""
        self.size = _within(self.size / STEP)


def _within(size: float) -> int:
    return int(min(BATCH_CHARACTERS, max(LEAST, size)))
