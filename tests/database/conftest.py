"""Sites for the tests of this folder: installed once, emptied after each test."""

import os
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.support.databases import DatabaseServer, run_script
from tests.support.schemas import build_database
from tests.support.sites import EDEN_TABLES, Site

_numbers = count(1)


class SitePool:
    """Lends sites of a part of Eden on one server; makes one when none is free."""

    def __init__(self, server: DatabaseServer) -> None:
        self._server = server
        self._free: list[Site] = []
        self._made: list[tuple[str, Site]] = []

    def lend(self) -> Site:
        if self._free:
            return self._free.pop()
        name = f"cc_{os.getpid()}_site_{next(_numbers)}"
        site = Site(build_database(self._server, name, "eden", EDEN_TABLES))
        self._made.append((name, site))
        return site

    def take_back(self, site: Site) -> None:
        site.close()
        site.clean()
        site.close()
        self._free.append(site)

    def close(self) -> None:
        for name, site in self._made:
            site.close()
            self._server.drop_database(name)


@pytest.fixture(scope="session")
def postgresql_pool(postgres: DatabaseServer) -> Iterator[SitePool]:
    pool = SitePool(postgres)
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def mariadb_pool(mariadb: DatabaseServer) -> Iterator[SitePool]:
    pool = SitePool(mariadb)
    yield pool
    pool.close()


@pytest.fixture
def new_site(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Site]]:
    """Lend an empty Eden site on "postgresql" or "mariadb"."""
    lent: list[tuple[SitePool, Site]] = []

    def lend(kind: str) -> Site:
        pool: SitePool = request.getfixturevalue(f"{kind}_pool")
        lent.append((pool, pool.lend()))
        return lent[-1][1]

    yield lend
    for pool, site in lent:
        pool.take_back(site)


@pytest.fixture(params=["postgresql", "mariadb"])
def site(request: pytest.FixtureRequest, new_site: Callable[[str], Site]) -> Site:
    """An Eden site, once on each kind of server."""
    return new_site(request.param)


@pytest.fixture(
    params=[
        ("postgresql", "postgresql"),
        ("postgresql", "mariadb"),
        ("mariadb", "postgresql"),
        ("mariadb", "mariadb"),
    ],
    ids=lambda pair: "-".join(pair),
)
def pair(request: pytest.FixtureRequest, new_site: Callable[[str], Site]) -> tuple[Site, Site]:
    """Two Eden sites: each of the four directions in turn."""
    here, there = request.param
    return new_site(here), new_site(there)


class NewTables:
    """Makes sites of any application: a script for each dialect, or one for both."""

    def __init__(self, servers: Callable[[str], DatabaseServer]) -> None:
        self._servers = servers
        self._made: list[tuple[DatabaseServer, str, Site]] = []

    def __call__(self, kind: str, script: str, profile: str = "generic") -> Site:
        server = self._servers(kind)
        name = f"cc_{os.getpid()}_tables_{next(_numbers)}"
        url = server.create_database(name)
        run_script(url, script)
        site = Site(url, profile)
        self._made.append((server, name, site))
        return site

    def close(self) -> None:
        for server, name, site in self._made:
            site.close()
            server.drop_database(name)


@pytest.fixture
def new_tables(request: pytest.FixtureRequest) -> Iterator[NewTables]:
    """Make a site of hand-made tables with the generic profile; dropped after the test."""
    fixtures = {"postgresql": "postgres", "mariadb": "mariadb"}
    made = NewTables(lambda kind: request.getfixturevalue(fixtures[kind]))
    yield made
    made.close()
