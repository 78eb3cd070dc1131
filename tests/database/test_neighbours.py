"""Real relays that all know each other: each entry comes to each site about once, whoever could send it."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.link import Link
from tests.support.pairing import pair_all
from tests.support.patience import Patience
from tests.support.relays import PEER, Relay
from tests.support.sites import Site

BOUND_S = 90.0
ROWS = 2000
MOST = 1.1
"""Entries that come to a site, by those that it lacks."""


class Camp:
    """Sites with relays that are all paired."""

    def __init__(self, sites: list[Site], directory: Path) -> None:
        self.sites, self.patience = sites, Patience()
        self.relays = [Relay(f"site{n}", site.url, directory) for n, site in enumerate(sites)]
        pair_all(*self.relays)

    def start(self, number: int) -> None:
        self.relays[number].start()
        self.relays[number].wait_for("this is", self.patience)

    def wait_in_step(self, *numbers: int) -> None:
        for n in numbers:
            for other in numbers:
                if n != other:
                    self.relays[n].wait_for(f"up to date with site{other} ", self.patience)

    def wait_rows(self, number: int, count: int) -> None:
        query = "SELECT count(*) FROM line"
        family = self.sites[number].family
        self.patience.wait(lambda: family.rows(query)[0][0] == count, f"{count} rows", BOUND_S, 0.05)

    def received(self, number: int) -> int:
        """Return how many entries a site was brought, by its journal, all pulls having ended."""
        sql = "SELECT coalesce(sum(entries), 0) FROM {p}exchange_log WHERE direction = 'in'"
        return int(self.sites[number].fetch(sql)[0][0])


@pytest.fixture
def camp(new_site, tmp_path: Path) -> Iterator[Camp]:
    kinds = ("postgresql", "mariadb", "postgresql")
    made = Camp([new_site(kind, "family") for kind in kinds], tmp_path)
    with ExitStack() as stack:
        for relay in made.relays:
            stack.callback(relay.stop)
        yield made


def write_lines(site: Site, first: int, last: int) -> None:
    values = ", ".join(f"('note {n} of a line that is longer than most')" for n in range(first, last))
    site.family(f"INSERT INTO line (note) VALUES {values}")


@pytest.mark.long
def test_who_joins_gets_what_two_neighbours_have_about_once(camp: Camp):
    write_lines(camp.sites[0], 0, ROWS)
    camp.start(0)
    camp.start(1)
    camp.wait_rows(1, ROWS)
    camp.wait_in_step(0, 1)
    camp.start(2)
    camp.wait_rows(2, ROWS)
    camp.wait_in_step(0, 1, 2)
    camp.patience.wait(lambda: camp.received(2) >= ROWS, "the journal", BOUND_S, 0.1)
    camp.relays[2].stop()
    print(f"{camp.received(2)} entries came to who lacked {ROWS}")
    assert camp.received(2) <= MOST * ROWS


@pytest.mark.long
def test_a_peer_behind_a_slow_link_holds_up_no_other(new_site, tmp_path: Path):
    hub, slow, quick = (new_site(kind, "family") for kind in ("postgresql", "mariadb", "postgresql"))
    rng = random.Random(1)
    rows = [(f"w{n}", rng.randbytes(100).hex()) for n in range(ROWS)]
    with hub.family.connection.cursor() as cursor:
        cursor.executemany("INSERT INTO word (text, note) VALUES (%s, %s)", rows)
    patience = Patience()
    with ExitStack() as stack:
        link = stack.enter_context(Link(rate=3000))

        def start(name: str, site: Site, *ports: int) -> Relay:
            relay = Relay(name, site.url, tmp_path, peers=ports)
            stack.callback(relay.stop)
            return relay

        called, late, soon = start("hub", hub), start("slow", slow, link.port), start("quick", quick)
        pair_all(called, late, soon)
        called.start()
        called.wait_for("listening on", patience)
        link.target = called.port
        late.start()
        patience.wait(lambda: link.back.carried > 12_000, "the slow link to be busy", BOUND_S, 0.05)
        soon.config.write_text(soon.config.read_text() + PEER.format(port=called.port))
        soon.start()
        patience.wait(lambda: len(quick.family.rows("SELECT 1 FROM word")) == ROWS, "all", BOUND_S, 0.05)
        hub.family.add_parent("fresh")
        patience.wait(lambda: "fresh" in quick.family.shown("parent"), "the fresh one", BOUND_S, 0.02)
        assert "fresh" not in slow.family.shown("parent")
        assert len(slow.family.rows("SELECT 1 FROM word")) < ROWS
