"""Where things stand in the two pictures: numbers only, the templates draw them as SVG.

The pictures are 360 wide, as a phone is: nothing in them has to shrink there.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from relay.page.views.peers import PeerView

WIDTH = 360
ROW = 84
SIDE = 76
NAME = 16
PLOT = 120
GAP = 24


@dataclass(frozen=True, slots=True)
class Spot:
    """A site on the map."""

    x: int
    y: int
    name: str
    state: str


@dataclass(frozen=True, slots=True)
class Map:
    """This site in the middle, the others at its sides."""

    height: int
    own: Spot
    others: tuple[Spot, ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour: what came above the line, what went below it."""

    x: float
    width: float
    came: int
    went: int
    up: float
    down: float


@dataclass(frozen=True, slots=True)
class Plot:
    """The last day. ``middle``: where the line is."""

    height: int
    middle: float
    most: int
    bars: tuple[Bar, ...]


def draw_map(own: str, peers: Sequence[PeerView], strangers: Collection[str] = ()) -> Map:
    """Return the map of a site, its peers, and the devices within reach that are not paired."""
    found = [(peer.name, peer.state) for peer in peers] + [(s, "stranger") for s in sorted(strangers)]
    rows = max(1, (len(found) + 1) // 2)
    height = rows * ROW + 16
    spots = [
        Spot(WIDTH - SIDE if n % 2 == 0 else SIDE, 38 + ROW * (n // 2), _short(name), state)
        for n, (name, state) in enumerate(found)
    ]
    middle = SIDE if len(found) == 1 else WIDTH // 2
    return Map(height, Spot(middle, height // 2 - 12, _short(own), "own"), tuple(spots))


def draw_plot(flow: Sequence[tuple[int, int]]) -> Plot:
    """Return the bars of the hours; the highest fills its half."""
    most = max((max(pair) for pair in flow), default=0)
    half = PLOT / 2
    step = WIDTH / max(1, len(flow))
    bars = [
        Bar(
            round(n * step + 1, 1),
            round(step - 2, 1),
            came,
            went,
            round(_scale(came, most) * half, 1),
            round(_scale(went, most) * half, 1),
        )
        for n, (came, went) in enumerate(flow)
    ]
    return Plot(PLOT + GAP * 2, half + GAP, most, tuple(bars))


def _scale(count: int, most: int) -> float:
    """Return the part of the highest bar; the smallest is still to be seen."""
    return max(0.03, count / most) if count else 0.0


def _short(name: str) -> str:
    return name if len(name) <= NAME else name[: NAME - 1] + "\N{HORIZONTAL ELLIPSIS}"
