"""Relays over sites in memory, on loopback, in one process: what travels, and what they survive."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from changecapture.core.scopes import EVERY, Scopes
from relay.address import ANY, Address
from relay.clock import pause
from relay.config import RelayConfig
from relay.load import Timing
from relay.service import SiteService
from relay.trust.peers import Paired, Peers
from tests.support.pairing import pair_states
from tests.unit.relay_fake import FakeLog, FakeSite, site_id

BOUND_S = 20.0
HOST = "127.0.0.1"


class Relays(TestCase):
    timeout = 60
    timing = Timing()

    def setUp(self) -> None:
        self.running: dict[str, SiteService] = {}
        scratch = TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.directory = Path(scratch.name)
        letters = "abcd"
        pair_states(*((f"camp {letter}", self.directory / letter) for letter in letters))
        self.logs: dict[str, FakeLog] = {}
        self.addCleanup(self.stop_all)

    def start(
        self, site: FakeSite, *peers: FakeSite | Address, port: int = 0, host: str = HOST
    ) -> SiteService:
        """Start a relay for a site that calls these peers."""
        letter = site.id[0]
        log = self.logs.setdefault(letter, FakeLog())
        config = RelayConfig(
            name=f"camp {letter}",
            url="",
            state=self.directory / letter,
            host=host,
            port=port,
            discovery=False,
            peers=tuple(p if isinstance(p, Address) else self.address(p) for p in peers),
        )
        relay = SiteService(config, site, reactor=reactor, rng=Random(letter), log=log, timing=self.timing)
        relay.startService()
        self.running[letter] = relay
        return relay

    def address(self, site: FakeSite) -> Address:
        return Address("127.0.0.1", self.running[site.id[0]].port)

    async def stop(self, site: FakeSite) -> None:
        await self.running.pop(site.id[0]).stopService()

    def stop_all(self) -> Deferred[None]:
        async def each() -> None:
            for relay in list(self.running.values()):
                await relay.stopService()

        return Deferred.fromCoroutine(each())

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, with a bound."""
        end = reactor.seconds() + BOUND_S
        while not condition():
            assert reactor.seconds() < end, {k: log.lines for k, log in self.logs.items()}
            await pause(reactor, 0.01)

    async def until_equal(self, *sites: FakeSite, texts: set[str]) -> None:
        await self.until(lambda: all(site.texts == texts for site in sites))

    def told(self, site: FakeSite, part: str) -> int:
        return self.logs[site.id[0]].count(part)


class TwoSites(Relays):
    def setUp(self) -> None:
        super().setUp()
        self.a, self.b = FakeSite(site_id("a")), FakeSite(site_id("b"))

    def start_both(self) -> None:
        """Let each know the other: a port is known only once it is open."""
        first = self.start(self.b)
        port = first.port
        self.start(self.a, Address("127.0.0.1", port))

        async def introduce() -> None:
            await self.until(lambda: first._roster is not None)
            first._roster.announce("test", [self.address(self.a)])

        self.introduced = Deferred.fromCoroutine(introduce())

    async def test_what_is_written_at_either_site_arrives_at_the_other(self):
        self.start_both()
        await self.introduced
        self.a.write("one", "two")
        self.b.write("three")
        await self.until_equal(self.a, self.b, texts={"one", "two", "three"})
        await self.until(lambda: self.told(self.b, "received 2 changes from camp a (applied 2, parked 0)"))
        await self.until(lambda: self.told(self.a, "received 1 change from camp b (applied 1, parked 0)"))

    async def test_nothing_travels_twice(self):
        self.start_both()
        await self.introduced
        await self.until(lambda: self.told(self.a, "up to date") and self.told(self.b, "up to date"))
        texts = set()
        for n in range(10):
            for site in (self.a, self.b):
                texts.add(f"{site.id[0]}{n}")
                site.write(f"{site.id[0]}{n}")
                await self.until_equal(self.a, self.b, texts=texts)
        # Written at the same moment at both, a change may be echoed: it is read while it is applied.
        assert (self.a.sent, self.b.sent) == (10, 10)

    async def test_a_backlog_arrives_in_bounded_pieces(self):
        texts = {f"t{n:03}" for n in range(205)}
        self.a.write(*sorted(texts))
        self.start(self.a)
        await self.until_equal(self.a, texts=texts)
        self.start(self.b, self.a)
        await self.until_equal(self.b, texts=texts)
        assert self.told(self.b, "received 10 changes") == 20

    async def test_a_site_that_was_away_gets_what_it_missed(self):
        self.start(self.a)
        port = self.running["a"].port
        self.start(self.b, self.a)
        await self.until(lambda: self.told(self.b, "up to date"))
        await self.stop(self.a)
        await self.until(lambda: self.told(self.b, "cannot reach"))
        self.a.write("meanwhile")
        self.start(self.a, self.b, port=port)
        await self.until_equal(self.a, self.b, texts={"meanwhile"})
        assert self.told(self.b, "up to date") == 2

    async def test_an_absent_database_is_waited_for_at_the_start(self):
        self.a.away = True
        self.start(self.a)
        await self.until(lambda: self.told(self.a, "waiting for the database") == 1)
        assert self.running["a"].site is None
        self.start(self.b, self.a)
        self.a.write("late")
        await self.until(lambda: self.told(self.b, "busy or its database is away"))
        self.a.away = False
        await self.until_equal(self.a, self.b, texts={"late"})
        assert self.told(self.a, "the database is back") == 1

    async def test_an_absent_database_is_waited_for_in_the_middle(self):
        self.start_both()
        await self.introduced
        await self.until(lambda: self.told(self.b, "up to date"))
        self.b.away = True
        await self.until(lambda: self.told(self.b, "waiting for the database"))
        self.a.write("meanwhile")
        await self.until_equal(self.a, texts={"meanwhile"})
        self.b.away = False
        await self.until_equal(self.b, texts={"meanwhile"})

    async def test_two_addresses_of_a_site_are_one_peer(self):
        self.start(self.a)
        port = self.running["a"].port
        self.start(self.b, Address("127.0.0.1", port), Address("localhost", port))
        await self.until(lambda: self.told(self.b, "up to date"))
        self.a.write("one")
        await self.until_equal(self.b, texts={"one"})
        assert self.a.sent == 1

    async def test_a_relay_that_is_its_own_peer_says_so(self):
        relay = self.start(self.a)
        await self.until(lambda: relay._roster is not None)
        relay._roster.announce("test", [self.address(self.a)])
        await self.until(lambda: self.told(self.a, "is this site itself: not a peer"))

    async def test_another_protocol_is_refused_with_the_reason(self):
        self.a.protocol = 99
        self.start(self.a)
        self.start(self.b, self.a)
        await self.until(lambda: self.told(self.b, "speaks protocol 99"))

    async def test_a_stop_is_quick_while_polls_are_held(self):
        self.start_both()
        await self.introduced
        await self.until(lambda: self.told(self.a, "up to date") and self.told(self.b, "up to date"))
        before = reactor.seconds()
        await self.stop(self.a)
        await self.stop(self.b)
        assert reactor.seconds() - before < 5


class Trust(Relays):
    """Who is not paired, or no longer."""

    def setUp(self) -> None:
        super().setUp()
        self.a, self.b = FakeSite(site_id("a")), FakeSite(site_id("b"))

    def peers(self, site: FakeSite) -> Peers:
        return self.running[site.id[0]].node.peers

    def device(self, site: FakeSite) -> str:
        return self.running[site.id[0]].node.identity.device

    async def in_step(self) -> None:
        self.start(self.a)
        self.start(self.b, self.a)
        await self.until(lambda: self.told(self.b, "up to date"))

    async def test_unpairing_at_the_asked_site_acts_at_once(self):
        await self.in_step()
        self.peers(self.a).remove(self.device(self.b))
        self.a.write("secret")
        await self.until_equal(self.a, texts={"secret"})
        await self.until(lambda: self.told(self.b, "does not let this site in"))
        assert self.b.texts == set() and self.a.sent == 0

    async def test_unpairing_at_the_asking_site_acts_at_once(self):
        await self.in_step()
        self.a.write("one")
        await self.until_equal(self.b, texts={"one"})
        self.peers(self.b).remove(self.device(self.a))
        await self.until(lambda: self.told(self.b, "not paired: it is not spoken to"))
        self.a.write("two")
        await self.until_equal(self.a, texts={"one", "two"})
        assert self.b.texts == {"one"}

    async def test_who_is_paired_again_gets_what_it_missed(self):
        await self.in_step()
        device = self.device(self.b)
        peer = self.peers(self.a).get(device)
        self.peers(self.a).remove(device)
        self.a.write("meanwhile")
        await self.until(lambda: self.told(self.b, "does not let this site in"))
        self.peers(self.a).put(peer)
        await self.until_equal(self.b, texts={"meanwhile"})

    async def test_a_stranger_at_a_configured_address_is_told_nothing(self):
        self.start(self.a)
        other = FakeSite(site_id("e"))
        self.start(other, self.a)
        await self.until(lambda: self.told(other, "not paired: it is not spoken to"))
        assert self.a.sent == 0

    async def test_new_limits_hold_at_once_at_both_ends(self):
        await self.in_step()
        held, taken = Scopes(frozenset({"mpr"})), Scopes(frozenset({"cr", "mpr"}), False)
        self.peers(self.a).change(self.device(self.b), send=held)
        await self.until(lambda: self.a.asked[-1] == held.dump())
        self.peers(self.b).change(self.device(self.a), accept=taken)
        await self.until(lambda: self.a.asked[-1] == (held & taken).dump())
        self.a.write("one")
        await self.until_equal(self.b, texts={"one"})
        self.peers(self.a).change(self.device(self.b), send=EVERY)
        await self.until(lambda: self.a.asked[-1] == taken.dump())

    async def test_it_speaks_over_ipv6_and_ipv4(self):
        self.start(self.a, host=ANY)
        for host in ("127.0.0.1", "::1"):
            device = await self.running["a"].node.client.identify(Address(host, self.running["a"].port))
            assert device == self.device(self.a)


class Introductions(Relays):
    """Site a is a hub that b and c are paired with; d is nobody yet."""

    def setUp(self) -> None:
        super().setUp()
        for letter in "abcd":
            (self.directory / letter / "peers.json").unlink()
        self.sites = [FakeSite(site_id(letter)) for letter in "abcd"]
        self.a, self.b, self.c, self.d = self.sites

    def peers(self, site: FakeSite) -> Peers:
        return self.running[site.id[0]].node.peers

    def device(self, site: FakeSite) -> str:
        return self.running[site.id[0]].node.identity.device

    def pair(self, hub: FakeSite, spoke: FakeSite, *, introducer: bool = True) -> None:
        self.peers(hub).put(Paired(self.device(spoke), f"camp {spoke.id[0]}"))
        self.peers(spoke).put(Paired(self.device(hub), f"camp {hub.id[0]}", introducer=introducer))

    def start_all(self) -> None:
        self.start(self.a)
        for site in self.sites[1:]:
            self.start(site, self.a)

    def knows(self, site: FakeSite) -> set[str]:
        return {peer.name.removeprefix("camp ") for peer in self.peers(site).all()}

    async def test_those_that_a_hub_has_paired_are_introduced_to_each_other(self):
        self.start_all()
        self.pair(self.a, self.b)
        self.pair(self.a, self.c)
        await self.until(lambda: self.knows(self.b) == {"a", "c"} and self.knows(self.c) == {"a", "b"})
        self.pair(self.a, self.d)
        await self.until(lambda: self.knows(self.b) == {"a", "c", "d"} and self.knows(self.d) == set("abc"))

    async def test_who_is_not_allowed_to_introduce_introduces_nobody(self):
        self.start_all()
        self.pair(self.a, self.b, introducer=False)
        self.pair(self.a, self.c)
        await self.until(lambda: self.knows(self.c) == {"a", "b"})
        await self.until(lambda: self.told(self.b, "up to date"))
        assert self.knows(self.b) == {"a"}

    async def test_who_is_unpaired_by_the_hub_is_unpaired_by_those_it_was_introduced_to(self):
        self.start_all()
        self.pair(self.a, self.b)
        self.pair(self.a, self.c)
        await self.until(lambda: self.knows(self.b) == {"a", "c"})
        self.peers(self.a).remove(self.device(self.c))
        await self.until(lambda: self.knows(self.b) == {"a"})


class ManySites(Relays):
    def setUp(self) -> None:
        super().setUp()
        self.sites = [FakeSite(site_id(letter)) for letter in "abcd"]

    async def join(self, *edges: tuple[int, int]) -> None:
        """Start all; the two of each edge call each other."""
        for site in self.sites:
            self.start(site)
        await self.until(lambda: all(r._roster is not None for r in self.running.values()))
        for one, other in edges:
            for caller, called in ((one, other), (other, one)):
                roster = self.running[self.sites[caller].id[0]]._roster
                roster.announce(f"edge {called}", [self.address(self.sites[called])])

    async def write_everywhere(self) -> None:
        for site in self.sites:
            site.write(f"from {site.id[0]}")
        await self.until_equal(*self.sites, texts={f"from {letter}" for letter in "abcd"})

    async def test_changes_pass_through_a_chain(self):
        await self.join((0, 1), (1, 2), (2, 3))
        await self.write_everywhere()

    async def test_a_ring_converges_without_a_loop(self):
        await self.join((0, 1), (1, 2), (2, 3), (3, 0))
        await self.write_everywhere()

    async def test_in_a_mesh_a_change_is_sent_once_to_each_site(self):
        await self.join(*((a, b) for a in range(4) for b in range(a)))
        await self.until(lambda: all(self.told(site, "up to date") >= 3 for site in self.sites))
        for n in range(10):
            self.sites[0].write(f"t{n}")
            await self.until_equal(*self.sites, texts={f"t{i}" for i in range(n + 1)})
        assert [site.taken for site in self.sites] == [0, 10, 10, 10]

    async def test_what_two_neighbours_have_is_brought_by_one(self):
        await self.join((0, 1), (0, 2), (1, 3), (2, 3))
        await self.until(lambda: all(self.told(site, "up to date") >= 2 for site in self.sites))
        for n in range(10):
            self.sites[0].write(f"t{n}")
            await self.until_equal(*self.sites, texts={f"t{i}" for i in range(n + 1)})
        assert [site.taken for site in self.sites] == [0, 10, 10, 10]


class BehindNat(Relays):
    """Site a reaches b, and b does not reach a: only a calls."""

    timing = Timing(patience_s=0.3)

    def setUp(self) -> None:
        super().setUp()
        self.a, self.b = FakeSite(site_id("a")), FakeSite(site_id("b"))
        self.start(self.b)
        self.start(self.a, self.b)

    async def test_both_directions_get_done_by_the_one_that_can_call(self):
        self.a.write("from a")
        self.b.write("from b")
        await self.until_equal(self.a, self.b, texts={"from a", "from b"})
        assert self.told(self.b, "received 1 change from camp a (applied 1, parked 0)")

    async def test_what_is_pushed_is_passed_on_and_nothing_travels_twice(self):
        c = FakeSite(site_id("c"))
        self.start(c, self.b)
        texts = set()
        for n in range(5):
            for site in (self.a, self.b, c):
                texts.add(f"{site.id[0]}{n}")
                site.write(f"{site.id[0]}{n}")
                await self.until_equal(self.a, self.b, c, texts=texts)
        # a and c have to push five each to b, b has to send ten to each of them.
        assert (self.a.sent, self.b.sent, c.sent) == (5, 20, 5)

    async def test_a_site_that_can_be_called_after_all_is_called_and_pushes_no_more(self):
        self.a.write("one")
        await self.until_equal(self.a, self.b, texts={"one"})
        self.running["b"]._roster.announce("test", [self.address(self.a)])
        await self.until(lambda: self.told(self.b, "up to date with camp a"))
        self.a.write("two")
        await self.until_equal(self.a, self.b, texts={"one", "two"})
        assert self.told(self.b, "received 1 change from camp a (applied 1, parked 0)") == 2
        assert self.a.sent == 2
