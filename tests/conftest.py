"""Fixtures that every test may use: real servers, started when first asked for, and new databases.

``postgres`` and ``mariadb`` live as long as the session, in a scratch directory, without syncing to
disk. A test that kills its server makes one of its own (tests.support.servers). The environment may
name servers to use instead, see CONTRIBUTING.md.
"""

import os
import signal
from collections.abc import Collection, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import hypothesis
import pytest

from changecapture.memo import VARIABLE
from tests.support.databases import DatabaseServer, MySQLDatabases, PostgresDatabases
from tests.support.schemas import build_database
from tests.support.servers import (
    MariaDBServer,
    PostgresServer,
    find_existing_mysql,
    find_existing_postgres,
    scratch_directory,
)

POSTGRESQL_VERSION = "CHANGECAPTURE_TEST_POSTGRESQL_VERSION"

_numbers = count(1)

# The same examples at every run, which judges a change then, not chance; `make test-all` asks for new ones.
# Databases answer when they can: no deadline. A failing example is printed ready to repeat.
hypothesis.settings.register_profile("same", deadline=None, print_blob=True, derandomize=True)
hypothesis.settings.register_profile("new", hypothesis.settings.get_profile("same"), derandomize=False)


class NewDatabase(Protocol):
    """Creates a database that is dropped after the test; returns its URL."""

    def __call__(
        self,
        server: DatabaseServer,
        schema: str | None = None,
        tables: Collection[str] | None = None,
        *,
        follow: bool = True,
    ) -> str:
        """``schema``: "eden", "vesuvius", "sahana2" or None for an empty database.

        ``tables``: only these and, with ``follow``, all that they reference.
        """


def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.load_profile(config.getoption("--hypothesis-profile") or "same")
    # `timeout` and CI end a run with SIGTERM: leave through the fixtures, which stop the servers.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", 143))
    # A shell starts what it puts into the background with SIGINT ignored, and every process started here
    # would inherit that: tests that interrupt a program would wait for nothing.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # What programs remember of a database (changecapture.memo) is of this run alone.
    state = TemporaryDirectory(prefix="cc-state-")
    config.add_cleanup(state.cleanup)
    os.environ[VARIABLE] = state.name


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory with a short path, in memory where there is room, gone after the session."""
    with scratch_directory() as directory:
        yield directory


@pytest.fixture(scope="session")
def postgres(scratch: Path) -> Iterator[PostgresDatabases]:
    """A running PostgreSQL: 18, or the version that the environment asks for."""
    existing = find_existing_postgres()
    if existing:
        yield existing
        _drop_templates(existing)
        return
    version = int(os.environ.get(POSTGRESQL_VERSION, "18"))
    with PostgresServer(scratch / "postgresql", version=version) as server:
        yield server


@pytest.fixture(scope="session")
def mariadb(scratch: Path) -> Iterator[MySQLDatabases]:
    """A running MariaDB, or the MySQL or MariaDB that the environment names."""
    existing = find_existing_mysql()
    if existing:
        yield existing
        return
    with MariaDBServer(scratch / "mariadb") as server:
        yield server


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> DatabaseServer:
    """Each kind of server in turn: the test runs once on each."""
    name = {"postgresql": "postgres", "mariadb": "mariadb"}[request.param]
    found: DatabaseServer = request.getfixturevalue(name)
    return found


@pytest.fixture
def new_database() -> Iterator[NewDatabase]:
    """Make databases for one test; see NewDatabase."""
    made: list[tuple[DatabaseServer, str]] = []

    def create(
        server: DatabaseServer,
        schema: str | None = None,
        tables: Collection[str] | None = None,
        *,
        follow: bool = True,
    ) -> str:
        name = f"cc_{os.getpid()}_{next(_numbers)}"
        made.append((server, name))
        return build_database(server, name, schema, tables, follow=follow)

    yield create
    for server, name in made:
        server.drop_database(name)


def _drop_templates(server: DatabaseServer) -> None:
    for template in server.templates.values():
        server.drop_database(template)
