"""A machine that was cloned with its database, its state directory and so its key: both live on and write.

A third site is between them. It can tell the two apart by their runs alone; all three tell their people, and
nothing is lost: once the clone is a site and a device of its own, all hold what was written anywhere.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.database.conftest import NewTables
from tests.support import family
from tests.support.backups import Backups
from tests.support.commands import run_command
from tests.support.compare import assert_equal_sites
from tests.support.databases import DatabaseServer, name_of
from tests.support.link import Link
from tests.support.pairing import pair_states
from tests.support.patience import Patience
from tests.support.relays import Relay
from tests.support.sites import Site

TIMING = {"patience_s": 0.5, "relay.runs.LATE_S": 1.0, "relay.session.LISTEN_S": 1}
"""Polls are short, so that each of the two is heard often."""
COPIED = "is alive beside it: run changecapture site renew"
BOUND_S = 60.0


class Cloned:
    """Site 0, its clone, and site 1, which both call and which calls only the former."""

    def __init__(
        self,
        new_tables: NewTables,
        server: DatabaseServer,
        directory: Path,
        stack: ExitStack,
        *,
        in_sight: bool = False,
    ) -> None:
        kind = "mariadb" if server.dialect == "mysql" else "postgresql"
        self.patience, self.stack = Patience(), stack
        self.original, self.third = (new_tables(k, family.script(k)) for k in (kind, "postgresql"))
        self.links = [stack.enter_context(Link()) for _ in range(3)]
        here, there, beside = (link.port for link in self.links)
        self.relay = self._make("home", self.original, directory, [there, beside] if in_sight else [there])
        self.third_relay = self._make("third", self.third, directory, [here])
        pair_states(("home", self.relay.state), ("third", self.third_relay.state))
        self._start(0, self.relay)
        self._start(1, self.third_relay)
        self.relay.wait_for("up to date with third", self.patience)
        self.relay.stop()
        backups = Backups(server)
        stack.callback(backups.close)
        self.clone = backups.copy(self.original)
        (elsewhere := directory / "elsewhere").mkdir()
        self._copy_state(self.relay.state, elsewhere / "home.state")
        self.clone_relay = self._make("home", self.clone, elsewhere, [there, here] if in_sight else [there])
        self._start(0, self.relay)
        self._start(2, self.clone_relay)
        self.sites = self.original, self.third, self.clone
        self.relays = self.relay, self.third_relay, self.clone_relay

    def _make(self, name: str, site: Site, directory: Path, peers: list[int]) -> Relay:
        relay = Relay(name, site.url, directory, peers=peers, timing=TIMING)
        self.stack.callback(relay.stop)
        return relay

    def _start(self, number: int, relay: Relay) -> None:
        after = len(relay.lines)
        relay.start()
        relay.wait_for("listening on", self.patience, after)
        (line,) = [line for line in relay.lines[after:] if "listening on" in line]
        self.links[number].target = int(line.partition("127.0.0.1:")[2].partition(",")[0])

    def _copy_state(self, state: Path, copied: Path) -> None:
        """Copy a state directory; the memo of the database is under the name that it has on this server."""
        shutil.copytree(state, copied)
        old, new = name_of(self.original.url), name_of(self.clone.url)
        for memo in copied.glob(f"*{old.replace('_', '_5f_')}.json"):
            memo.rename(memo.with_name(memo.name.replace(old.replace("_", "_5f_"), new.replace("_", "_5f_"))))

    def write(self, text: str) -> None:
        """Write a word at each site."""
        for number, site in enumerate(self.sites):
            site.family("INSERT INTO word (text, note) VALUES (%s, %s)", f"{text} {number}", text)

    def words(self) -> list[set[str]]:
        return [{row[0] for row in site.family.rows("SELECT text FROM word")} for site in self.sites]

    def wait_told(self, *relays: Relay) -> None:
        for relay in relays:
            self.patience.wait(lambda relay=relay: relay.said(COPIED), f"{relay.name} to tell", BOUND_S)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.mark.long
def test_clone_of_a_machine_is_told_of_everywhere_and_loses_nothing(new_tables, server, tmp_path, stack):
    world = Cloned(new_tables, server, tmp_path, stack)
    world.write("before")
    world.wait_told(*world.relays)
    assert not any(relay.said("mistake") for relay in world.relays)
    origin = world.original.store.read_site().origin
    for site in (world.original, world.clone):
        assert "a copy of this database is alive" in run_command("status", site.url).out
    assert "a copy of home is alive beside it" in run_command("status", world.third.url).out
    world.write("meanwhile")

    world.clone_relay.stop()
    renewed = run_command("site", "renew", world.clone.url, "--yes")
    assert renewed.status == 0 and "rename its state directory" in renewed.out
    world._start(2, world.clone_relay)
    world.clone_relay.wait_for(f"home.state is of site {origin}", world.patience)
    world.write("under the wrong key")
    world.clone_relay.stop()
    world.clone_relay.state.rename(world.clone_relay.state.with_name("home.state.former"))
    for relay in (world.relay, world.third_relay):
        relay.stop()
    pair_states(
        ("home", world.relay.state), ("third", world.third_relay.state), ("clone", world.clone_relay.state)
    )
    for number, relay in enumerate((world.relay, world.third_relay, world.clone_relay)):
        world._start(number, relay)
    world.write("after")
    expected = {
        f"{text} {n}" for text in ("before", "meanwhile", "under the wrong key", "after") for n in range(3)
    }
    world.patience.wait(lambda: all(words == expected for words in world.words()), "all words", BOUND_S, 0.1)
    for relay in world.relays:
        relay.stop()
    for site in (world.third, world.clone):
        assert_equal_sites(world.original.url, site.url)


@pytest.mark.long
def test_clone_that_its_original_can_call_is_told_of_by_both_at_once(new_tables, server, tmp_path, stack):
    world = Cloned(new_tables, server, tmp_path, stack, in_sight=True)
    world.wait_told(world.relay, world.clone_relay)
    assert world.relay.said("a copy of this machine answers at") or world.clone_relay.said(
        "a copy of this machine answers at"
    )
