"""Database URLs: what an operator may write, and one clear line when it is wrong.

``postgresql://user:password@host:port/database`` and ``mysql://..`` (MariaDB too; ``mariadb://`` is
the same). A part that is left out comes from the driver's own defaults. So that no password stands
on a command line, ``env:NAME`` takes the URL from the environment variable NAME.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from changecapture.core.catalogue import Engine
from changecapture.errors import ConfigError

SCHEMES: dict[str, Engine] = {
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "mysql": "mysql",
    "mariadb": "mysql",
}
FORM = "postgresql://user:password@host:port/database or mysql://user:password@host:port/database"
QUOTE = "in a password write / as %2F, @ as %40, : as %3A, # as %23, ? as %3F, % as %25"


LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class DatabaseURL:
    """A parsed database URL. ``options`` are the query parameters, passed to the driver."""

    engine: Engine
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    options: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Return the URL without its password: fit for messages."""
        return f"{self.engine}://{self.user}@{self.host}:{self.port}/{self.database}"

    @property
    def place(self) -> tuple[str, str, int, str]:
        """Return what two URLs of one database have in common, however each names this machine."""
        return self.engine, "local" if self.host in LOCAL else self.host, self.port, self.database


def parse_url(text: str, environ: Mapping[str, str] = os.environ) -> DatabaseURL:
    """Return the parsed URL; raise ConfigError with what to write instead."""
    if text.startswith("env:"):
        name = text.removeprefix("env:")
        if name not in environ:
            raise ConfigError(
                f"no database URL in the environment variable {name}",
                mend=f"export {name}=postgresql://user:password@host:port/database",
            )
        text = environ[name]
    parts = _split(text)
    engine = SCHEMES.get(parts.scheme)
    if engine is None:
        begin = f"it begins with '{parts.scheme}:'" if parts.scheme else "it names no kind of database"
        raise ConfigError("not a database URL", why=begin, mend=f"write {FORM}")
    database = unquote(parts.path.lstrip("/"))
    if not database:
        raise ConfigError("the database URL names no database", mend=f"write {FORM}")
    port = _read_port(parts) or (5432 if engine == "postgresql" else 3306)
    return DatabaseURL(
        engine=engine,
        host=parts.hostname or "127.0.0.1",
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=database,
        options=tuple(parse_qsl(parts.query)),
    )


def refuse_options(url: DatabaseURL, error: Exception) -> ConfigError:
    """Return the error for query parameters that the driver does not take."""
    names = ", ".join(name for name, _ in url.options)
    return ConfigError(
        f"the options of the database URL are not the driver's: {names}",
        why=str(error),
        mend="write no ?.. after the database, or what the driver knows",
    )


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise ConfigError("not a database URL", why="its host cannot be read", mend=QUOTE) from error
    if parts.fragment or "/" in parts.path.lstrip("/"):
        raise ConfigError("the database URL has a # or a / too many", mend=QUOTE)
    return parts


def _read_port(parts: SplitResult) -> int | None:
    """Return the port; what stands in its place may be half a password, and is not shown."""
    try:
        return parts.port
    except ValueError as error:
        raise ConfigError("the port in the database URL is not a number up to 65535", mend=QUOTE) from error
