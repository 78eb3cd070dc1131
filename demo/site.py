"""One Sahana site of the demo: a server, an Eden or a Vesuvius in it, change capture, and a relay."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Literal

from demo.arrivals import Arrivals
from demo.command import run_command
from tests.support.databases import DatabaseServer, Dialect
from tests.support.eden import Eden
from tests.support.patience import Patience
from tests.support.process import LocalServer
from tests.support.relays import Relay
from tests.support.schemas import create_schema
from tests.support.servers import (
    MariaDBServer,
    PostgresServer,
    find_existing_mysql,
    find_existing_postgres,
)


class Site:
    """A site, from nothing (``build``) to everything gone (``close``)."""

    eden: Eden
    """The application's connection."""
    arrivals: Arrivals

    def __init__(
        self,
        name: str,
        dialect: Dialect,
        directory: Path,
        patience: Patience,
        application: Literal["eden", "vesuvius"] = "eden",
    ) -> None:
        """Nothing is started yet."""
        self.name = name
        self.dialect = dialect
        self.application = application
        self.url = ""
        self._directory = directory
        self._patience = patience
        self._open = ExitStack()
        self._relay: Relay | None = None

    def build(self) -> None:
        """Start the server, build the application's tables in it, without rows, and connect."""
        server = self._open.enter_context(open_server(self.dialect, self._directory / self.name))
        database = f"{self.application}_{self.name}_{os.getpid()}"
        if not isinstance(server, LocalServer):
            self._open.callback(server.drop_database, database)
        self.url = server.create_database(database)
        create_schema(self.url, f"{self.application}-{self.dialect}")
        self.eden = Eden(self.url)
        self._open.callback(self.eden.close)
        self.arrivals = Arrivals(self.eden)

    @property
    def engine(self) -> str:
        """Return what the database calls itself."""
        name = "version()" if self.dialect == "mysql" else "current_setting('server_version')"
        version = str(self.eden.fetch(f"SELECT {name}")[0][0]).split("-")[0]
        return f"{'PostgreSQL' if self.dialect == 'postgresql' else 'MariaDB'} {version}"

    def install(self, *options: str) -> list[str]:
        """Run ``changecapture install``; return what it printed."""
        return run_command("install", *options, url=self.url, patience=self._patience)

    def open_relay(self, heard: Callable[[str, str], None]) -> None:
        """Write the relay's configuration and start it."""
        self._relay = Relay(self.name, self.url, self._directory, heard)
        self._open.callback(self._relay.stop)
        self._relay.start()

    @property
    def relay(self) -> Relay:
        """The relay, once it was opened."""
        assert self._relay is not None
        return self._relay

    def log(self) -> list[str]:
        """Return what the relay has said so far."""
        return self._relay.lines if self._relay else []

    @property
    def origin(self) -> str:
        """Return the site's id, which its changes carry."""
        return str(self.eden.fetch(f"SELECT origin FROM {self.arrivals.prefix}site")[0][0])

    def count(self, table: Literal["captured", "changelog", "conflict", "parked"]) -> int:
        """Return how many rows one of our own tables has."""
        return int(self.eden.fetch(f"SELECT count(*) FROM {self.arrivals.prefix}{table}")[0][0])

    def vector(self) -> list[tuple[object, ...]]:
        """Return what the site holds of whom."""
        prefix = self.arrivals.prefix
        return sorted(self.eden.fetch(f"SELECT origin, epoch, scope, number FROM {prefix}vector"))

    def close(self) -> None:
        """End everything of this site."""
        self._open.close()


def open_server(dialect: Dialect, directory: Path) -> AbstractContextManager[DatabaseServer]:
    """Return a server of our own, or the one that the environment names (CONTRIBUTING.md)."""
    if dialect == "postgresql":
        existing: DatabaseServer | None = find_existing_postgres()
        return nullcontext(existing) if existing else PostgresServer(directory)
    existing = find_existing_mysql()
    return nullcontext(existing) if existing else MariaDBServer(directory)
