"""Sites for the tests of this folder: installed once, emptied after each test."""

import os
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Protocol

import pytest

from tests.support import estate, family, modules, seeds, vesuvius
from tests.support.databases import DatabaseServer, run_script
from tests.support.eden import Record
from tests.support.family import Family
from tests.support.schemas import build_database
from tests.support.servers import scratch_directory
from tests.support.sites import EDEN_TABLES, Site, exchange

APPLICATIONS = {
    "family": (family.script, "generic"),
    "estate": (estate.script, estate.PROFILE),
    "modules": (modules.script, modules.PROFILE),
    "seeds": (seeds.script, seeds.PROFILE),
}
"""Small ones: what creates their tables, and their profile."""

MAPPED = {"vesuvius": vesuvius.TABLES, "sahana2": vesuvius.PHASE_2}
"""Applications that are installed with the mapping of their name, and the tables of theirs that are made."""

_numbers = count(1)


class SitePool:
    """Lends sites on one server; makes one when none of the application is free."""

    def __init__(self, kind: str, server: DatabaseServer) -> None:
        self._kind = kind
        self._server = server
        self._free: dict[str, list[Site]] = defaultdict(list)
        self._made: list[tuple[str, Site]] = []

    def lend(self, application: str) -> Site:
        if self._free[application]:
            return self._free[application].pop()
        name = f"cc_{os.getpid()}_site_{next(_numbers)}"
        if application == "eden":
            site = Site(build_database(self._server, name, "eden", EDEN_TABLES))
        elif application in MAPPED:
            url = build_database(self._server, name, application, MAPPED[application])
            site = Site(url, application, application)
        else:
            url = self._server.create_database(name)
            script, profile = APPLICATIONS[application]
            run_script(url, script(self._kind))
            site = Site(url, profile)
        self._made.append((name, site))
        return site

    def take_back(self, application: str, site: Site) -> None:
        site.leave()
        site.clean()
        self._free[application].append(site)

    def close(self) -> None:
        for name, site in self._made:
            site.close()
            self._server.drop_database(name)


@pytest.fixture(scope="session")
def postgresql_pool(postgres: DatabaseServer) -> Iterator[SitePool]:
    pool = SitePool("postgresql", postgres)
    yield pool
    pool.close()


@pytest.fixture(scope="session")
def mariadb_pool(mariadb: DatabaseServer) -> Iterator[SitePool]:
    pool = SitePool("mariadb", mariadb)
    yield pool
    pool.close()


class NewSite(Protocol):
    """Lends an empty site on "postgresql" or "mariadb", of "eden" or a small application."""

    def __call__(self, kind: str, application: str = "eden") -> Site: ...


@pytest.fixture
def new_site(request: pytest.FixtureRequest) -> Iterator[NewSite]:
    """See NewSite."""
    lent: list[tuple[SitePool, str, Site]] = []

    def lend(kind: str, application: str = "eden") -> Site:
        pool: SitePool = request.getfixturevalue(f"{kind}_pool")
        lent.append((pool, application, pool.lend(application)))
        return lent[-1][2]

    yield lend
    for pool, application, site in lent:
        pool.take_back(application, site)


@pytest.fixture(params=["postgresql", "mariadb"])
def site(request: pytest.FixtureRequest, new_site: NewSite) -> Site:
    """An Eden site, once on each kind of server."""
    return new_site(request.param)


DIRECTIONS = [
    ("postgresql", "postgresql"),
    ("postgresql", "mariadb"),
    ("mariadb", "postgresql"),
    ("mariadb", "mariadb"),
]


ALIKE = [pytest.param(kinds, marks=pytest.mark.long) for kinds in (DIRECTIONS[0], DIRECTIONS[3])]
"""Two of one kind: what each does, as the source and as the target, is already seen where they differ."""


@pytest.fixture(params=[*DIRECTIONS[1:3], *ALIKE], ids="-".join)
def pair(request: pytest.FixtureRequest, new_site: NewSite) -> tuple[Site, Site]:
    """Two Eden sites: each of the four directions in turn, the two of one kind among the long tests."""
    here, there = request.param
    return new_site(here), new_site(there)


@pytest.fixture(params=["postgresql", "mariadb"])
def home(request: pytest.FixtureRequest, new_site: NewSite) -> Site:
    """A site of the small application, once on each kind of server."""
    return new_site(request.param, "family")


@pytest.fixture(params=DIRECTIONS[1:3], ids="-".join)
def families(request: pytest.FixtureRequest, new_site: NewSite) -> tuple[Site, Site]:
    """Two sites of the small application, one on each kind of server."""
    here, there = request.param
    return new_site(here, "family"), new_site(there, "family")


@pytest.fixture
def other() -> Iterator[Callable[[Site], Family]]:
    """Opens further sessions of the application; they end with the test."""
    opened: list[Family] = []

    def connect(site: Site) -> Family:
        opened.append(Family(site.url))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()


@pytest.fixture
def person(pair: tuple[Site, Site]) -> Record:
    """A person with super rows and a contact that both sites have; as the first site numbers it."""
    here, there = pair
    # Another numbering at the other site: local ids must not agree by accident.
    for number in range(3):
        there.eden.add_person("Stranger", str(number))
    made = here.eden.add_person("Anna", "Meier", gender=2)
    here.eden.add_contact(made, "+94 11 123")
    exchange(here, there)
    return made


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


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A directory with 32 MB in all, which a server may use as a tablespace."""
    if os.geteuid() != 0:
        pytest.skip("a disk that is full has to be mounted, which only root may")
    with scratch_directory() as directory:
        disk = directory / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "none", str(disk)], check=True)
        try:
            yield disk
        finally:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)
