"""The settings of the relay's configuration, each by itself: which there are, and what they may say.

All of these raise ConfigError with the place and what to write.
"""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from changecapture.config import parse_url
from changecapture.errors import ConfigError
from relay.address import ANY, Address, normal_host, parse_address
from relay.card import FIELD_LIMIT
from relay.messages import NAME_LIMIT, clean

TYPES: dict[str, dict[str, type]] = {
    "site": {"name": str, "owner": str, "contact": str, "url": str, "state": str},
    "database": {"url": str, "url_env": str},
    "listen": {"host": str, "port": int},
    "discovery": {"enabled": bool, "interfaces": list, "service": str},
    "history": {"days": int},
    "peer": {"address": str},
    "limits": {"origins": int},
    "log": {"format": str},
    "metrics": {"host": str, "port": int},
    "clients": {"host": str, "port": int},
    "page": {"enabled": bool, "host": str, "port": int, "trust_local": bool, "names": list},
}
ONE_OF_MANY: dict[str, type] = {
    **TYPES["database"],
    "name": str,
    "state": str,
    "port": int,
    "clients_port": int,
}
"""What a [[database]] may say."""
FORMATS = ("text", "json")
LOCAL = "127.0.0.1"
FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
PORT = 7480
PAGE_PORT = 7483
SERVICE = "_sahana-sync._tcp.local."
SERVICE_FORM = re.compile(r"_(?=[a-z0-9-]{1,15}\.)(?=[^.]*[a-z])[a-z0-9]+(-[a-z0-9]+)*\._tcp\.local\.")
SPELLED = {str: "a text", int: "a whole number", bool: "true or false", list: "a list of texts"}


def check_names(tables: Mapping[str, Any]) -> None:
    """Refuse a table that is not known."""
    for name in tables:
        if name not in TYPES:
            raise ConfigError(f"[{name}] is not known", mend=f"one of {', '.join(TYPES)}")


def read_table(tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the settings of a table, none where it is not there."""
    return check_table(f"[{name}]", TYPES[name], tables.get(name, {}))


def check_table(place: str, types: Mapping[str, type], table: Any) -> Mapping[str, Any]:
    """Return a table whose settings are all known and of the right type."""
    if not isinstance(table, dict):
        raise ConfigError(f"{place} must be a table")
    for setting, value in table.items():
        wanted = types.get(setting)
        if wanted is None:
            known = ", ".join(types)
            raise ConfigError(f"{place} {setting} is not known", mend=f"one of {known}")
        # Not isinstance: true is an int.
        if type(value) is not wanted:
            raise ConfigError(f"{place} {setting} must be {SPELLED[wanted]}")
    return table


def read_name(site: Mapping[str, Any]) -> str:
    """Return what people call the site."""
    name = site.get("name")
    if name is None:
        raise ConfigError("[site] name is missing", mend='write [site] name = "camp-north"')
    if not name or clean(name, NAME_LIMIT) != name:
        raise ConfigError(
            "[site] name cannot be used", why=f"it must be 1 to {NAME_LIMIT} printable characters"
        )
    return str(name)


def read_line(site: Mapping[str, Any], setting: str) -> str:
    """Return one of the lines that a site says of itself."""
    line = str(site.get(setting, ""))
    if clean(line, FIELD_LIMIT) != line:
        raise ConfigError(
            f"[site] {setting} cannot be used", why=f"it must be at most {FIELD_LIMIT} printable characters"
        )
    return line


def read_state(table: Mapping[str, Any], place: str, default: str) -> str:
    """Return the name of the state directory."""
    state = str(table.get("state", default))
    if not state or not state.isprintable():
        raise ConfigError(
            f"{place} state cannot be used", why="it must be printable characters, the name of a directory"
        )
    return state


def read_url(database: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    """Return the database URL, ``env:NAME`` resolved."""
    if ("url" in database) == ("url_env" in database):
        raise ConfigError(
            "[database] needs one of url and url_env",
            mend='write [database] url_env = "CHANGECAPTURE_URL" and set that variable',
        )
    url = str(database["url"]) if "url" in database else f"env:{database['url_env']}"
    parse_url(url, environ)
    return environ[url.removeprefix("env:")] if url.startswith("env:") else url


def read_host(listen: Mapping[str, Any]) -> str:
    """Return where to listen."""
    host = listen.get("host", ANY)
    if host == ANY or check_address("[listen] host", host) in ("0.0.0.0", "::"):
        return ANY
    return normal_host(host)


def check_port(place: str, port: int) -> int:
    """Return a port that can be one."""
    if not 0 <= port < 65536:
        raise ConfigError(f"{place} port cannot be used", why="it must be 0 to 65535")
    return port


def read_local(tables: Mapping[str, Any], name: str) -> Address | None:
    """Return where else to listen: on this machine only, unless another address is named."""
    table = read_table(tables, name)
    if "port" not in table:
        return None
    host = table.get("host", LOCAL)
    return Address(
        ANY if host == ANY else check_address(f"[{name}] host", host), check_port(f"[{name}]", table["port"])
    )


def read_format(log: Mapping[str, Any]) -> str:
    """Return how the log is written."""
    found = str(log.get("format", FORMATS[0]))
    if found not in FORMATS:
        raise ConfigError("[log] format cannot be used", why=f"it must be {' or '.join(FORMATS)}")
    return found


def read_interfaces(discovery: Mapping[str, Any], host: str) -> tuple[str, ...]:
    """Return where to be found: nowhere else than where the relay listens."""
    interfaces = discovery.get("interfaces", [])
    if not all(type(i) is str for i in interfaces):
        raise ConfigError("[discovery] interfaces must be a list of texts")
    if host != ANY and not interfaces:
        return (host,)
    return tuple(check_address("[discovery] interfaces", interface) for interface in interfaces)


def check_address(place: str, host: str) -> str:
    """Return a numeric address as it is; names may mean another machine tomorrow."""
    normal = normal_host(host)
    try:
        ip_address(normal)
    except ValueError:
        raise ConfigError(
            f"{place} = '{host}' is not an address",
            mend='write "*", "127.0.0.1" or an address of this machine',
        ) from None
    return normal


def read_service(discovery: Mapping[str, Any]) -> str:
    """Return what is announced."""
    service = str(discovery.get("service", SERVICE))
    if not SERVICE_FORM.fullmatch(service):
        raise ConfigError(
            "[discovery] service cannot be used",
            why="it must be _name._tcp.local., the name of at most 15 of a-z, 0-9 and -",
        )
    return service


def read_days(history: Mapping[str, Any]) -> int:
    """Return for how many days history is kept."""
    days = int(history.get("days", 30))
    if not 0 <= days <= 36_500:
        raise ConfigError("[history] days cannot be used", why="it must be 0 to 36500")
    return days


def check_count(place: str, number: int) -> int:
    """Return a number that can be a limit."""
    if not 0 <= number <= 10**9:
        raise ConfigError(f"{place} cannot be used", why="it must be 0 to 1000000000")
    return number


def read_peer(peer: Mapping[str, Any]) -> Address:
    """Return the address of a [[peer]]."""
    if "address" not in peer:
        raise ConfigError("[[peer]] address is missing", mend='write address = "10.8.0.2:7480"')
    return parse_address(peer["address"])
