"""One relay with two databases, and a database that goes away, comes back, or takes no writes for a while.

The servers are of this file: stopping them is the subject.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import family
from tests.support.databases import fetch, name_of, run_script
from tests.support.pairing import pair_states
from tests.support.patience import Patience
from tests.support.process import LocalServer
from tests.support.relays import Relay
from tests.support.servers import MariaDBServer, PostgresServer, scratch_directory
from tests.support.sites import Site

KINDS = ("postgresql", "mariadb")
BOUND_S = 60.0
CONFIG = """\
[site]
name = "camp"
[[database]]
name = "postgresql"
url = "{postgresql}"
port = {port}
[[database]]
name = "mariadb"
url = "{mariadb}"
port = 0
[listen]
host = "127.0.0.1"
[discovery]
service = "_away-{port}._tcp.local."
"""
RELAY_USER = "CREATE USER relay@'127.0.0.1' IDENTIFIED BY 'r'; GRANT ALL ON {database}.* TO relay@'127.0.0.1'"


class Two:
    """Two sites in one relay process, and their servers."""

    def __init__(self, directory: Path) -> None:
        self.servers: dict[str, LocalServer] = {
            "postgresql": PostgresServer(directory / "postgresql"),
            "mariadb": MariaDBServer(directory / "mariadb"),
        }
        self.sites: dict[str, Site] = {}
        self.patience = Patience()
        for kind, server in self.servers.items():
            server.start()
            url = server.create_database("site")
            run_script(url, family.script(kind))
            self.sites[kind] = Site(url, "generic")
        maria = self.sites["mariadb"].url
        run_script(maria, RELAY_USER.format(database=name_of(maria)))
        as_relay = self.servers["mariadb"].url("site", user="relay", password="r")
        self.relay = Relay("camp", "", directory)
        port = self.servers["postgresql"].port + 1
        self.relay.config.write_text(
            CONFIG.format(postgresql=self.sites["postgresql"].url, mariadb=as_relay, port=port)
        )
        pair_states(*((kind, directory / f"{kind}.state") for kind in KINDS))

    def wait_shown(self, kind: str, key: str) -> None:
        self.patience.wait(
            lambda: key in self.sites[kind].family.shown("parent"),
            f"{key} to be shown by {kind}",
            BOUND_S,
            0.05,
        )

    def write(self, kind: str, key: str) -> None:
        self.sites[kind].family.add_parent(key)

    def wait_said(self, text: str, after: int) -> None:
        self.relay.wait_for(text, self.patience, after)

    def close(self) -> None:
        self.relay.stop()
        for site in self.sites.values():
            site.close()
        for server in self.servers.values():
            server.stop()


@pytest.fixture(scope="module")
def two() -> Iterator[Two]:
    with scratch_directory() as directory:
        made = Two(directory)
        try:
            made.relay.start()
            yield made
        finally:
            made.close()


def other(kind: str) -> str:
    return next(k for k in KINDS if k != kind)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_one_relay_keeps_two_databases_in_step(two: Two, kind: str):
    two.write(kind, f"from {kind}")
    two.wait_shown(other(kind), f"from {kind}")
    assert two.relay.said(f"{kind}: this is {kind}, site")


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_database_that_is_away_is_said_once_and_waited_for(two: Two, kind: str):
    two.write(kind, f"before {kind}")
    two.wait_shown(other(kind), f"before {kind}")
    said = len(two.relay.lines)
    two.sites[kind].close()
    two.servers[kind].stop()
    two.wait_said(f"warning: {kind}: waiting for the database", said)
    two.write(other(kind), f"meanwhile {kind}")
    two.servers[kind].start()
    two.wait_shown(kind, f"meanwhile {kind}")
    two.wait_said(f"{kind}: the database is back", said)
    two.write(kind, f"after {kind}")
    two.wait_shown(other(kind), f"after {kind}")
    waiting = [line for line in two.relay.lines[said:] if "waiting for the database" in line]
    assert len(waiting) == 1, waiting
    assert not [line for line in two.relay.lines if "mistake" in line]


def set_read_only(two: Two, kind: str, on: bool) -> None:
    site = two.sites[kind]
    site.close()
    if kind == "mariadb":
        run_script(site.url, f"SET GLOBAL read_only = {int(on)}")
        return
    name = name_of(site.url)
    admin = two.servers[kind].url("postgres")
    run_script(admin, f"ALTER DATABASE {name} SET default_transaction_read_only = {'on' if on else 'off'}")
    fetch(admin, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_database_that_is_read_only_is_said_once_and_waited_for(two: Two, kind: str):
    said = len(two.relay.lines)
    set_read_only(two, kind, True)
    two.write(other(kind), f"to read-only {kind}")
    two.wait_said(f"warning: {kind}: waiting for the database: the database is read-only", said)
    set_read_only(two, kind, False)
    two.wait_shown(kind, f"to read-only {kind}")
    two.wait_said(f"{kind}: the database is back", said)
    waiting = [line for line in two.relay.lines[said:] if "is read-only" in line]
    assert len(waiting) == 1, waiting
    assert not [line for line in two.relay.lines if "mistake" in line]
