"""How long what others say of third sites is left alone, before we ask them for it.

Mostly the third site tells us itself in a moment; who asks at once gets every change twice. How long a
moment is depends on how busy the machines are, so it is learned: each entry that comes a second time makes
the wait longer, each that comes once a little shorter. Where a neighbour is the only way to a third site,
nothing comes twice, and the wait stays at its least.
"""

from collections.abc import Callable
from random import Random

ASK_S = 0.1
"""The least, once to three times: of several neighbours who say so not all are asked at once."""
FEW = 5
"""Of more sites that all have the same news each is given more time to tell it itself."""
LONGEST_S = 2.0
"""A peer expects us back within ``relay.polls.BETWEEN_S``, and does not call us until then."""
LONGER, SHORTER = 2.0, 0.95
MOST = LONGEST_S / ASK_S


class Hearsay:
    """What one site has learned."""

    def __init__(self, crowd: Callable[[], int], rng: Random) -> None:
        """``crowd`` tells how many sites are spoken to."""
        self._crowd = crowd
        self._rng = rng
        self._factor = 1.0

    def pause(self) -> float:
        """Return the seconds to wait."""
        least = ASK_S * max(1.0, self._crowd() / FEW)
        return min(LONGEST_S, least * self._factor * self._rng.uniform(1.0, 3.0))

    def came(self, *, entries: int, known: int) -> None:
        """A payload has come, with so many entries, of which so many were here."""
        if known:
            self._factor = min(MOST, self._factor * LONGER)
        elif entries:
            self._factor = max(1.0, self._factor * SHORTER)
