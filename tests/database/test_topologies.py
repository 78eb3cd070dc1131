"""Three sites that are not all joined: what one writes reaches the others, and crosses no link twice.

Real relays on real databases; each edge is a link on loopback that both of its ends call through.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from changecapture.status import read_status
from tests.support.link import Link
from tests.support.pairing import pair_all
from tests.support.patience import Patience
from tests.support.relays import Relay
from tests.support.sites import Site

KINDS = ("postgresql", "mariadb", "postgresql")
CHAIN, RING, STAR = ((0, 1), (1, 2)), ((0, 1), (1, 2), (2, 0)), ((0, 1), (0, 2))
Edges = Sequence[tuple[int, int]]


class Camps:
    """The sites with their relays."""

    def __init__(self, sites: list[Site], relays: list[Relay]) -> None:
        self.sites = sites
        self.relays = relays
        self.patience = Patience()

    def write(self, place: int, word: str) -> None:
        """Write at one site; wait until it is everywhere."""
        self.sites[place].family("INSERT INTO word (text) VALUES (%s)", word)
        found = "SELECT 1 FROM word WHERE text = %s"
        self.patience.wait(
            lambda: all(site.family.rows(found, word) for site in self.sites),
            f"{word} everywhere",
            look_s=0.02,
        )

    def journal(self, place: int, direction: str) -> list[tuple[str, str, int, int]]:
        """Return (exchange, peer, entries, bytes) of what a site wrote down."""
        return self.sites[place].fetch(
            "SELECT exchange, peer, entries, bytes FROM {p}exchange_log WHERE direction = %s AND entries > 0",
            [direction],
        )

    def carried(self) -> Counter[frozenset[str]]:
        """Return how many entries each link has carried, either way, by both ends' journals."""
        links: Counter[frozenset[str]] = Counter()
        for place, site in enumerate(self.sites):
            for _, peer, entries, _ in self.journal(place, "in"):
                links[frozenset({site.origin, peer})] += entries
        return links


@pytest.fixture
def start(new_site: Callable[[str, str], Site], tmp_path: Path) -> Iterator[Callable[[Edges], Camps]]:
    with ExitStack() as stack:

        def begin(edges: Edges) -> Camps:
            sites = [new_site(kind, "family") for kind in KINDS]
            called = [stack.enter_context(Link()) for _ in sites]
            peers: list[list[int]] = [[] for _ in sites]
            for one, other in edges:
                peers[one].append(called[other].port)
                peers[other].append(called[one].port)
            relays = [Relay(f"camp{n}", site.url, tmp_path, peers=peers[n]) for n, site in enumerate(sites)]
            pair_all(*relays)
            camps = Camps(sites, relays)
            for relay, link in zip(relays, called, strict=True):
                relay.start()
                stack.callback(relay.stop)
                relay.wait_for("listening on", camps.patience)
                link.target = relay.port
            for n, relay in enumerate(relays):
                for port in peers[n]:
                    relay.wait_for(
                        f"up to date with camp{[c.port for c in called].index(port)}", camps.patience
                    )
            return camps

        yield begin


@pytest.mark.parametrize(
    "edges",
    [
        pytest.param(CHAIN, marks=pytest.mark.long, id="chain"),
        pytest.param(RING, id="ring"),
        pytest.param(STAR, marks=pytest.mark.long, id="star"),
    ],
)
def test_what_is_written_anywhere_is_everywhere_and_crosses_each_link_at_most_once(start, edges):
    camps = start(edges)
    for n in range(6):
        camps.write(n % 3, f"word {n}")

    def settled() -> bool:
        everywhere = 6 * (len(camps.sites) - 1)
        ins = [row for place in range(3) for row in camps.journal(place, "in")]
        outs = [row for place in range(3) for row in camps.journal(place, "out")]
        return sum(r[2] for r in ins) >= everywhere and sum(r[2] for r in ins) == sum(r[2] for r in outs)

    camps.patience.wait(settled, "both ends' journals to be written", look_s=0.1)
    carried = camps.carried()
    assert len(carried) <= len(edges) and max(carried.values()) <= 6, carried
    received, sent = (
        {(e, entries, size) for place in range(3) for e, _, entries, size in camps.journal(place, direction)}
        for direction in ("in", "out")
    )
    assert received == sent, "both ends wrote down the same exchanges"
    for place, site in enumerate(camps.sites):
        status = read_status(site.store)
        neighbours = {b if a == place else a for a, b in edges if place in (a, b)}
        assert {i.name for i in status.instances} == {f"camp{n}" for n in neighbours}
        assert all(i.owner == f"owner of {i.name}" and i.alike for i in status.instances)
        assert sum(i.sync_count for i in status.instances) >= 4
        assert {e.outcome for e in status.exchanges} == {"done"}
