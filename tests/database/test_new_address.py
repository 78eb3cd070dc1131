"""A machine that gets another address while much is being moved: two relays with their databases, in network
namespaces. The databases are those of the session: each namespace reaches its own through a port of its
127.0.0.1.
"""

import random
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from changecapture.config import parse_url
from tests.support.link import Link
from tests.support.network import local_network, why_no_namespaces
from tests.support.pairing import pair_all
from tests.support.patience import Patience
from tests.support.relays import PROGRAM, Relay
from tests.support.sites import Site

HERE, THERE, ELSEWHERE = "10.78.0.1", "10.78.0.2", "10.78.0.9"
ROWS = 6000
KILOBITS = 500
BOUND_S = 120.0
MOST = 1.3
"""Bytes that the sender's interface sent, by those of a transfer without a move."""


class Wired:
    """Two sites with relays, each on a machine of its own; the first has what the second lacks."""

    def __init__(self, sites: tuple[Site, Site], directory: Path, stack: ExitStack) -> None:
        self.sites, self.patience = sites, Patience()
        self.machines = stack.enter_context(local_network())
        self.relays = []
        for site, machine, address in zip(sites, self.machines, (HERE, THERE), strict=True):
            machine.forget_ipv6()  # whose addresses of the link would not change
            machine.connect(address)
            machine.slow(KILOBITS)
            port = parse_url(site.url).port
            stack.enter_context(Link(port, listener=machine.listen(port)))
            program = [*machine.within, str(PROGRAM)]
            relay = Relay(f"at {address}".replace(" ", ""), site.url, directory, program=program)
            text = relay.config.read_text().replace('host = "127.0.0.1"', 'host = "*"')
            relay.config.write_text(text.replace('interfaces = ["127.0.0.1"]\n', ""))
            stack.callback(relay.stop)
            self.relays.append(relay)
        pair_all(*self.relays)

    def start(self) -> None:
        for relay in self.relays:
            relay.start()
            relay.wait_for("this is", self.patience)

    def arrived(self) -> int:
        return int(self.sites[1].family.rows("SELECT count(*) FROM word")[0][0])

    def wait_arrived(self, count: int) -> None:
        self.patience.wait(lambda: self.arrived() >= count, f"{count} rows", BOUND_S, 0.05)

    def received(self) -> int:
        """Return the entries that came, by the journal."""
        sql = "SELECT coalesce(sum(entries), 0) FROM {p}exchange_log WHERE direction = 'in'"
        return int(self.sites[1].fetch(sql)[0][0])


def write_words(site: Site) -> None:
    rng = random.Random(3)
    rows = [(f"w{n}", rng.randbytes(100).hex()) for n in range(ROWS)]
    with site.family.connection.cursor() as cursor:
        cursor.executemany("INSERT INTO word (text, note) VALUES (%s, %s)", rows)


@pytest.mark.long
@pytest.mark.parametrize(
    ("kinds", "who"), [(("postgresql", "mariadb"), 0), (("mariadb", "postgresql"), 1)], ids=["sends", "asks"]
)
def test_a_transfer_goes_on_at_the_new_address_of_who_sends_or_asks_and_nothing_comes_twice(
    new_site, tmp_path: Path, kinds: tuple[str, str], who: int
):
    if why := why_no_namespaces():
        pytest.skip(f"a machine that moves needs network namespaces; {why}")
    sent = []
    for moves in (False, True):
        directory = tmp_path / f"moves {moves}"
        directory.mkdir()
        with ExitStack() as stack:
            wired = Wired((new_site(kinds[0], "family"), new_site(kinds[1], "family")), directory, stack)
            write_words(wired.sites[0])
            wired.start()
            wired.wait_arrived(ROWS // 4)
            if moves:
                before, moved_at = wired.arrived(), time.monotonic()
                assert before < ROWS // 2
                wired.machines[who].move((HERE, THERE)[who], ELSEWHERE)
                wired.wait_arrived(before + 1500)
                print(f"1500 more rows within {time.monotonic() - moved_at:.1f} s of the move")
            wired.wait_arrived(ROWS)
            wired.patience.wait(lambda w=wired: w.received() >= ROWS, "the journal", BOUND_S, 0.1)
            assert wired.received() == ROWS
            sent.append(wired.machines[0].sent())
            assert not moves or wired.relays[1 - who].said(ELSEWHERE)
    print(f"{sent[1]} bytes, {sent[1] / sent[0]:.2f} of {sent[0]}")
    assert sent[1] <= MOST * sent[0]
