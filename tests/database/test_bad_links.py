"""Real relays over bad links: slow, late, cut. Both directions go through the link: one end alone can call.

``make test`` plays the worst link that is promised, 50 kb/s and 700 ms with a cut every 20 s, ten times as
fast, with waits that are ten times as short; the real one is ``long``.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from relay.client import ANSWER_S, SHORT_S
from relay.load import Timing
from relay.session import LISTEN_S, MIN_WAIT_S
from relay.transfer import SILENCE_S
from tests.support.link import Link
from tests.support.pairing import pair_all
from tests.support.patience import Patience
from tests.support.relays import Relay
from tests.support.sites import Site

RATE, ROUND_TRIP_S, CUT_S = 50_000 / 8, 0.7, 20.0
WAITS = {
    "aim_s": Timing().aim_s,
    "patience_s": Timing().patience_s,
    "relay.session.MIN_WAIT_S": MIN_WAIT_S,
    "relay.client.SHORT_S": SHORT_S,
    "relay.client.ANSWER_S": ANSWER_S,
    "relay.transfer.SILENCE_S": SILENCE_S,
}
"""The relay's own, in seconds."""
MOST = 1.3
"""Bytes over a link that is cut, by those over the same link whole."""
A_CUT = 0.1
"""What a cut costs at the most, of those bytes. Ten times as fast is all but the processor: where that is
busy, it takes longer and is cut more often."""


class Pair:
    """Two sites with their relays; the first calls the second through a link."""

    def __init__(self, near: Site, far: Site, directory: Path, stack: ExitStack) -> None:
        self.sites = (near, far)
        self.patience = Patience()
        self._directory = directory
        self._stack = stack

    def connect(self, faster: float = 1.0, **link: float) -> Link:
        """Start both; the waits are shorter where the link is faster."""
        near, far = self.sites
        timing: dict[str, float] = {wait: seconds / faster for wait, seconds in WAITS.items()}
        timing["relay.session.LISTEN_S"] = max(1, round(LISTEN_S / faster))
        connection = self._stack.enter_context(Link(**link))
        called = Relay("far", far.url, self._directory, peers=(), timing=timing)
        caller = Relay("near", near.url, self._directory, peers=[connection.port], timing=timing)
        pair_all(called, caller)
        self.start(called)
        connection.target = called.port
        self.start(caller)
        return connection

    def start(self, relay: Relay) -> None:
        relay.start()
        self._stack.callback(relay.stop)
        relay.wait_for("listening on", self.patience)

    def write(self, count: int, seed: int) -> None:
        """Write so many rows at each site, of text that does not compress well."""
        rng = random.Random(seed)
        for place, site in enumerate(self.sites):
            rows = [(f"w{place}-{seed}-{n}", rng.randbytes(100).hex()) for n in range(count)]
            with site.family.connection.cursor() as cursor:
                cursor.executemany("INSERT INTO word (text, note) VALUES (%s, %s)", rows)

    def count(self) -> tuple[int, int]:
        near, far = (site.family.rows("SELECT count(*) FROM word")[0][0] for site in self.sites)
        return near, far

    def wait(self, count: int, bound_s: float) -> None:
        """Wait until both have so many rows."""
        self.patience.wait(lambda: self.count() == (count, count), f"{count} rows", bound_s, 0.05)


@pytest.fixture
def new_pair(new_site, tmp_path: Path) -> Iterator[object]:
    with ExitStack() as stack:

        def make(name: str) -> Pair:
            directory = tmp_path / name
            directory.mkdir()
            return Pair(new_site("postgresql", "family"), new_site("mariadb", "family"), directory, stack)

        yield make


@pytest.mark.parametrize(
    ("faster", "rows", "bound_s", "most"),
    [(10.0, 500, 90.0, None), pytest.param(1.0, 1500, 600.0, MOST, marks=pytest.mark.long)],
    ids=["ten times as fast", "real"],
)
def test_over_a_slow_link_that_is_cut_a_backlog_costs_little_more_than_over_a_whole_one(
    new_pair, faster, rows, bound_s, most
):
    whole, cut = new_pair("whole"), new_pair("cut")
    carried = []
    for pair, link in ((whole, {}), (cut, {"cut_every_s": CUT_S / faster})):
        pair.write(rows, seed=1)
        carried.append(pair.connect(faster, rate=RATE * faster, delay_s=ROUND_TRIP_S / 2 / faster, **link))
    whole.wait(2 * rows, bound_s)
    needed = carried[0].carried
    cut.wait(2 * rows, bound_s)
    taken = carried[1].carried
    print(f"{taken} bytes with {carried[1].cuts} cuts, {taken / needed:.2f} of {needed}")
    assert carried[1].cuts > 1
    assert taken <= (most or 1 + A_CUT * carried[1].cuts) * needed


@pytest.fixture
def joined(new_pair) -> tuple[Pair, Link]:
    """A pair in step, over a good link; its waits are ten times as short."""
    pair = new_pair("joined")
    link = pair.connect(10.0)
    pair.write(1, seed=1)
    pair.wait(2, 30.0)
    return pair, link


def test_a_link_that_goes_deaf_and_hears_again_is_made_anew(joined):
    pair, link = joined
    link.be_deaf()
    pair.write(5, seed=2)
    before = link.made
    pair.patience.wait(lambda: link.made > before, "another try", 30.0)
    link.be_deaf(False)
    pair.wait(12, 30.0)


def test_a_connection_whose_other_end_is_gone_is_noticed_and_made_anew(joined):
    pair, link = joined
    link.half_open()
    pair.write(5, seed=2)
    pair.wait(12, 30.0)
