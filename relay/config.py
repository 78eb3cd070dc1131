"""The relay's configuration: one TOML file, read strictly.

    [site]
    name = "camp-north"                 # what people at other sites read in their logs

    [database]
    url_env = "CHANGECAPTURE_URL"       # the variable that holds the URL; or url = "postgresql://.."

    [listen]
    host = "127.0.0.1"                  # loopback only, until peers are paired
    port = 0                            # 0: any free port

    [discovery]
    enabled = true
    interfaces = ["127.0.0.1"]
    service = "_sahana-sync._tcp.local."    # another one keeps an exercise apart from the real sites

    [[peer]]                            # any number: sites that discovery does not reach
    address = "127.0.0.1:8001"

Only [site] and [database] are needed. Whatever is not known, of the wrong type or missing raises
ConfigError with the place and what to write: a misspelt setting must not be a silent default.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from changecapture.config import parse_url
from changecapture.errors import ConfigError
from relay.address import Address, normal_host, parse_address, require_loopback
from relay.messages import NAME_LIMIT, clean

TYPES: dict[str, dict[str, type]] = {
    "site": {"name": str},
    "database": {"url": str, "url_env": str},
    "listen": {"host": str, "port": int},
    "discovery": {"enabled": bool, "interfaces": list, "service": str},
    "peer": {"address": str},
}
SERVICE = "_sahana-sync._tcp.local."
SERVICE_FORM = re.compile(r"_(?=[a-z0-9-]{1,15}\.)(?=[^.]*[a-z])[a-z0-9]+(-[a-z0-9]+)*\._tcp\.local\.")
SPELLED = {str: "a text", int: "a whole number", bool: "true or false", list: "a list of texts"}


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """What the file says, checked, with the defaults filled in."""

    name: str
    url: str = field(repr=False)
    """The database URL, its password included; ``env:NAME`` is resolved by then."""
    host: str = "127.0.0.1"
    port: int = 0
    discovery: bool = True
    interfaces: tuple[str, ...] = ("127.0.0.1",)
    service: str = SERVICE
    peers: tuple[Address, ...] = ()


def read_config(path: Path, environ: Mapping[str, str] = os.environ) -> RelayConfig:
    """Return the configuration in a file; raise ConfigError."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}", why=error.strerror or str(error), mend="the README has one to begin with"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML", why=str(error)) from error
    try:
        return make_config(tables, environ)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.what}", why=error.why, mend=error.mend) from error


def make_config(tables: Mapping[str, Any], environ: Mapping[str, str]) -> RelayConfig:
    """Return the configuration in parsed TOML; raise ConfigError."""
    _check_names(tables)
    site = _table(tables, "site")
    listen = _table(tables, "listen")
    discovery = _table(tables, "discovery")
    peers = tables.get("peer", [])
    if not isinstance(peers, list):
        raise ConfigError("peer must be a list of tables", mend="write [[peer]]")
    return RelayConfig(
        name=_name(site),
        url=_url(_table(tables, "database"), environ),
        host=_host(listen),
        port=_port(listen),
        discovery=discovery.get("enabled", True),
        interfaces=_interfaces(discovery),
        service=_service(discovery),
        peers=tuple(_peer(_checked("[[peer]]", "peer", peer)) for peer in peers),
    )


def _check_names(tables: Mapping[str, Any]) -> None:
    for name in tables:
        if name not in TYPES:
            raise ConfigError(f"[{name}] is not known", mend=f"one of {', '.join(TYPES)}")


def _table(tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return _checked(f"[{name}]", name, tables.get(name, {}))


def _checked(place: str, name: str, table: Any) -> Mapping[str, Any]:
    """Return a table whose settings are all known and of the right type."""
    if not isinstance(table, dict):
        raise ConfigError(f"{place} must be a table")
    for setting, value in table.items():
        wanted = TYPES[name].get(setting)
        if wanted is None:
            known = ", ".join(TYPES[name])
            raise ConfigError(f"{place} {setting} is not known", mend=f"one of {known}")
        # Not isinstance: true is an int.
        if type(value) is not wanted:
            raise ConfigError(f"{place} {setting} must be {SPELLED[wanted]}")
    return table


def _name(site: Mapping[str, Any]) -> str:
    name = site.get("name")
    if name is None:
        raise ConfigError("[site] name is missing", mend='write [site] name = "camp-north"')
    if not name or clean(name, NAME_LIMIT) != name:
        raise ConfigError(
            "[site] name cannot be used", why=f"it must be 1 to {NAME_LIMIT} printable characters"
        )
    return str(name)


def _url(database: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    if ("url" in database) == ("url_env" in database):
        raise ConfigError(
            "[database] needs one of url and url_env",
            mend='write [database] url_env = "CHANGECAPTURE_URL" and set that variable',
        )
    url = str(database["url"]) if "url" in database else f"env:{database['url_env']}"
    parse_url(url, environ)
    return environ[url.removeprefix("env:")] if url.startswith("env:") else url


def _host(listen: Mapping[str, Any]) -> str:
    host = listen.get("host", "127.0.0.1")
    require_loopback(host, "[listen] host")
    return normal_host(host)


def _port(listen: Mapping[str, Any]) -> int:
    port = int(listen.get("port", 0))
    if not 0 <= port < 65536:
        raise ConfigError("[listen] port cannot be used", why="it must be 0 to 65535")
    return port


def _interfaces(discovery: Mapping[str, Any]) -> tuple[str, ...]:
    interfaces = discovery.get("interfaces", ["127.0.0.1"])
    if not interfaces or not all(type(i) is str for i in interfaces):
        raise ConfigError("[discovery] interfaces must be a list of texts, of one at least")
    for interface in interfaces:
        require_loopback(interface, "[discovery] interfaces")
    return tuple(normal_host(interface) for interface in interfaces)


def _service(discovery: Mapping[str, Any]) -> str:
    service = str(discovery.get("service", SERVICE))
    if not SERVICE_FORM.fullmatch(service):
        raise ConfigError(
            "[discovery] service cannot be used",
            why="it must be _name._tcp.local., the name of at most 15 of a-z, 0-9 and -",
        )
    return service


def _peer(peer: Mapping[str, Any]) -> Address:
    if "address" not in peer:
        raise ConfigError("[[peer]] address is missing", mend='write address = "127.0.0.1:8001"')
    address = parse_address(peer["address"])
    require_loopback(address.host, "[[peer]] address")
    return address
