"""The two servers that a suite runs on, syncing to disk, and databases on them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Literal

from changecapture.config import parse_url
from changecapture.install import install
from tests.support.databases import DatabaseServer
from tests.support.schemas import build_database
from tests.support.servers import MariaDBServer, PostgresServer, scratch_directory

Kind = Literal["postgresql", "mariadb"]
KINDS: tuple[Kind, ...] = ("postgresql", "mariadb")
MARIADB = {"innodb-buffer-pool-size": "2G", "innodb-log-file-size": "96M"}
"""The defaults, but for a buffer pool that holds what is measured: else its pages are, not the triggers."""


@dataclass(frozen=True, slots=True)
class Machine:
    """``scale``: the part of the full size that is asked for."""

    directory: Path
    servers: dict[Kind, DatabaseServer]
    scale: float
    _numbers: Iterator[int] = field(default_factory=count)

    @classmethod
    @contextmanager
    def open(cls, scale: float) -> Iterator["Machine"]:
        """Give both servers, new."""
        with (
            scratch_directory(durable=True) as directory,
            PostgresServer(directory / "postgresql", durable=True) as postgres,
            MariaDBServer(directory / "mariadb", durable=True, options=MARIADB) as mariadb,
        ):
            yield cls(directory, {"postgresql": postgres, "mariadb": mariadb}, scale)

    def build(self, kind: Kind) -> str:
        """Return the URL of a new Eden without rows and without change capture."""
        return build_database(self.servers[kind], f"eden_{next(self._numbers)}", "eden")

    def build_site(self, kind: Kind) -> str:
        """Return the URL of a new Eden without rows, with change capture."""
        url = self.build(kind)
        install(parse_url(url), "eden")
        return url

    def drop(self, kind: Kind, url: str) -> None:
        """Drop a database."""
        self.servers[kind].drop_database(url.rpartition("/")[2])


def say(text: str) -> None:
    """Tell who waits what is going on; not a figure."""
    print(f"# {text}", file=sys.stderr, flush=True)
