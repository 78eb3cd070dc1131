"""The relay's configuration: one TOML file, read strictly.

    [site]
    name = "camp-north"                 # what people at other sites read in their logs
    owner = "Red Cross"                 # these three, if given, are shown at paired sites, to people
    contact = "ann@example.org, +41 .."
    url = "http://10.8.0.1/eden"
    state = "relay.state"               # directory for this site's key and its peers; beside this file

    [database]
    url_env = "CHANGECAPTURE_URL"       # the variable that holds the URL; or url = "postgresql://.."

    [listen]
    host = "*"                          # every address of this machine; "127.0.0.1": this machine only
    port = 7480                         # 0: any free port, another one at each start

    [discovery]
    enabled = true
    interfaces = []                     # addresses of this machine to be found on; empty: all of them
    service = "_sahana-sync._tcp.local."    # another one keeps an exercise apart from the real sites

    [history]
    days = 30                           # changes that later ones have overtaken are kept for so long

    [[peer]]                            # any number: sites that discovery does not reach
    address = "10.8.0.2:7480"

    [log]
    format = "text"                     # or "json": one object a line

    [metrics]                           # /healthz and /metrics; without a port there are none
    host = "127.0.0.1"                  # this machine only, unless another of its addresses is named
    port = 7482

    [page]                              # for browsers, once `changecapture-relay password` was run
    enabled = true
    host = "127.0.0.1"                  # this machine only: from elsewhere through ssh -L
    port = 7483
    trust_local = false                 # true: whoever is logged in on this machine needs no password
    names = []                          # other names under which a browser may ask for it

    [clients]                           # programs with a token (``relay.clients``); no port: there are none
    host = "127.0.0.1"
    port = 7481

Several databases in one relay are several sites, each with a name, a key and a port of its own:

    [[database]]                        # in place of [database]
    name = "north-eden"
    url_env = "EDEN_URL"
    [[database]]
    name = "north-vesuvius"
    url_env = "VESUVIUS_URL"
    port = 7490                         # the first has [listen] port by itself; clients_port: the same
    state = "vesuvius.state"            # beside this file; by itself NAME.state

Only [site] and [database] are needed. Whatever is not known, of the wrong type or missing raises
ConfigError with the place and what to write: a misspelt setting must not be a silent default.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from changecapture.config import parse_url
from changecapture.errors import ConfigError
from relay.address import ANY, Address, normal_host, parse_address
from relay.card import FIELD_LIMIT, Card
from relay.messages import NAME_LIMIT, clean
from relay.trust.peers import MOST_BROUGHT

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


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """What the file says, checked, with the defaults filled in."""

    name: str
    url: str = field(repr=False)
    """The database URL, its password included; ``env:NAME`` is resolved by then."""
    state: Path = Path("relay.state")
    host: str = ANY
    port: int = PORT
    discovery: bool = True
    interfaces: tuple[str, ...] = ()
    """Addresses that discovery speaks on; empty: all interfaces."""
    service: str = SERVICE
    peers: tuple[Address, ...] = ()
    history_days: int = 30
    owner: str = ""
    contact: str = ""
    site_url: str = ""
    most_brought: int = MOST_BROUGHT
    """See relay.trust.peers."""
    clients: Address | None = None
    """Where programs with a token may call; None: nowhere."""

    @property
    def card(self) -> Card:
        """Return what this site says of itself to people."""
        return Card(self.name, self.owner, self.contact, self.site_url)


@dataclass(frozen=True, slots=True)
class PageConfig:
    """The page for browsers (``relay.page``). ``names``: what a browser may call this machine."""

    enabled: bool = True
    host: str = LOCAL
    port: int = PAGE_PORT
    trust_local: bool = False
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProgramConfig:
    """What the whole file says: its sites, one a database, and what they share."""

    sites: tuple[RelayConfig, ...]
    log: str = "text"
    metrics: Address | None = None
    page: PageConfig = PageConfig()

    def find(self, name: str | None) -> RelayConfig:
        """Return the site of that name, the only one if none is given; raise ConfigError."""
        found = [site for site in self.sites if name in (None, site.name)]
        if len(found) == 1:
            return found[0]
        names = ", ".join(site.name for site in self.sites)
        if name is None:
            raise ConfigError("which site?", why=f"this relay has several: {names}", mend="add --site NAME")
        raise ConfigError(f"no site is called '{clean(name, NAME_LIMIT)}'", why=f"there is {names}")


def read_program(
    path: Path, environ: Mapping[str, str] = os.environ, *, database: bool = True
) -> ProgramConfig:
    """Return the configuration in a file; raise ConfigError. ``database``: whether the URLs are needed."""
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}",
            why=error.strerror or str(error),
            mend="`changecapture-relay init` writes one",
        ) from error
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML", why=str(error)) from error
    try:
        return make_program(tables, environ, path, database=database)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error.what}", why=error.why, mend=error.mend) from error


def read_config(
    path: Path,
    environ: Mapping[str, str] = os.environ,
    *,
    database: bool = True,
    site: str | None = None,
) -> RelayConfig:
    """Return one site of a file, see ProgramConfig.find; raise ConfigError."""
    return read_program(path, environ, database=database).find(site)


def make_program(
    tables: Mapping[str, Any],
    environ: Mapping[str, str],
    path: Path = Path("relay.toml"),
    *,
    database: bool = True,
) -> ProgramConfig:
    """Return the configuration in parsed TOML; raise ConfigError. ``path``: where it stands."""
    _check_names(tables)
    databases = tables.get("database", {})
    if isinstance(databases, list):
        base = _make_site(tables, {}, environ, path, database=False)
        sites = _make_many(base, databases, environ, path, database=database)
    else:
        one = _table(tables, "database")
        sites = (_make_site(tables, one, environ, path, database=database),)
    return ProgramConfig(
        sites, _format(_table(tables, "log")), _local(tables, "metrics"), _page(_table(tables, "page"))
    )


def _make_site(
    tables: Mapping[str, Any],
    one: Mapping[str, Any],
    environ: Mapping[str, str],
    path: Path,
    *,
    database: bool,
) -> RelayConfig:
    site = _table(tables, "site")
    listen = _table(tables, "listen")
    discovery = _table(tables, "discovery")
    peers = tables.get("peer", [])
    if not isinstance(peers, list):
        raise ConfigError("peer must be a list of tables", mend="write [[peer]]")
    host = _host(listen)
    return RelayConfig(
        name=_name(site),
        url=_url(one, environ) if database else "",
        state=path.parent / site.get("state", path.with_suffix(".state").name),
        host=host,
        port=_port("[listen]", listen.get("port", PORT)),
        discovery=discovery.get("enabled", True),
        interfaces=_interfaces(discovery, host),
        service=_service(discovery),
        history_days=_days(_table(tables, "history")),
        peers=tuple(_peer(_checked("[[peer]]", TYPES["peer"], peer)) for peer in peers),
        owner=_line(site, "owner"),
        contact=_line(site, "contact"),
        site_url=_line(site, "url"),
        most_brought=_count("[limits] origins", _table(tables, "limits").get("origins", MOST_BROUGHT)),
        clients=_local(tables, "clients"),
    )


def _make_many(
    base: RelayConfig,
    databases: list[Any],
    environ: Mapping[str, str],
    path: Path,
    *,
    database: bool,
) -> tuple[RelayConfig, ...]:
    """Return a site for each [[database]], on what they have in common."""
    sites = []
    for number, table in enumerate(databases):
        one = _checked("[[database]]", ONE_OF_MANY, table)
        name, port = _own_name(one), one.get("port", base.port if number == 0 else None)
        if port is None:
            raise ConfigError(
                f"[[database]] {name} needs a port of its own", mend=f"write port = {PORT + 10 * number}"
            )
        clients_port = one.get("clients_port", base.clients.port if base.clients and number == 0 else None)
        sites.append(
            replace(
                base,
                name=name,
                url=_url(one, environ) if database else "",
                state=path.parent / one.get("state", f"{name}.state"),
                port=_port(f"[[database]] {name}", port),
                clients=None
                if clients_port is None
                else Address(
                    base.clients.host if base.clients else LOCAL,
                    _port(f"[[database]] {name} clients_", clients_port),
                ),
            )
        )
    if not sites:
        raise ConfigError("there is no [[database]]")
    _check_apart(sites)
    return tuple(sites)


def _own_name(one: Mapping[str, Any]) -> str:
    name = str(one.get("name", ""))
    if not FILE_NAME.fullmatch(name) or len(name) > NAME_LIMIT:
        raise ConfigError(
            "[[database]] needs a name",
            why="each is a site of its own; it names the state directory too",
            mend='write name = "north-eden", of letters, digits, - and _',
        )
    return name


def _check_apart(sites: list[RelayConfig]) -> None:
    """Refuse two sites that share what each must have alone."""
    for what, values in (
        ("name", [site.name for site in sites]),
        ("state", [site.state for site in sites]),
        ("url", [_place(site.url) for site in sites if site.url]),
        ("port", [site.port for site in sites if site.port]),
        ("clients_port", [site.clients.port for site in sites if site.clients and site.clients.port]),
    ):
        if len(set(values)) < len(values):
            raise ConfigError(f"two [[database]] have the same {what}", why="each is a site of its own")


def _place(url: str) -> object:
    """Return which database a URL names; one that is wrong is told when it is opened."""
    try:
        return parse_url(url).place
    except ConfigError:
        return url


def _check_names(tables: Mapping[str, Any]) -> None:
    for name in tables:
        if name not in TYPES:
            raise ConfigError(f"[{name}] is not known", mend=f"one of {', '.join(TYPES)}")


def _table(tables: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return _checked(f"[{name}]", TYPES[name], tables.get(name, {}))


def _checked(place: str, types: Mapping[str, type], table: Any) -> Mapping[str, Any]:
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


def _name(site: Mapping[str, Any]) -> str:
    name = site.get("name")
    if name is None:
        raise ConfigError("[site] name is missing", mend='write [site] name = "camp-north"')
    if not name or clean(name, NAME_LIMIT) != name:
        raise ConfigError(
            "[site] name cannot be used", why=f"it must be 1 to {NAME_LIMIT} printable characters"
        )
    return str(name)


def _line(site: Mapping[str, Any], setting: str) -> str:
    line = str(site.get(setting, ""))
    if clean(line, FIELD_LIMIT) != line:
        raise ConfigError(
            f"[site] {setting} cannot be used", why=f"it must be at most {FIELD_LIMIT} printable characters"
        )
    return line


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
    host = listen.get("host", ANY)
    if host == ANY or _own_address("[listen] host", host) in ("0.0.0.0", "::"):
        return ANY
    return normal_host(host)


def _port(place: str, port: int) -> int:
    if not 0 <= port < 65536:
        raise ConfigError(f"{place} port cannot be used", why="it must be 0 to 65535")
    return port


def _local(tables: Mapping[str, Any], name: str) -> Address | None:
    """Return where else to listen: on this machine only, unless another address is named."""
    table = _table(tables, name)
    if "port" not in table:
        return None
    host = table.get("host", LOCAL)
    return Address(
        ANY if host == ANY else _own_address(f"[{name}] host", host), _port(f"[{name}]", table["port"])
    )


def _page(page: Mapping[str, Any]) -> PageConfig:
    host = page.get("host", LOCAL)
    if host == ANY or not ip_address(_own_address("[page] host", host)).is_loopback:
        raise ConfigError(
            "[page] host must be an address of this machine alone",
            why="passwords would travel over the network in the clear",
            mend="write 127.0.0.1, and from elsewhere use: ssh -L 7483:127.0.0.1:7483",
        )
    names = page.get("names", [])
    if not all(type(name) is str for name in names):
        raise ConfigError("[page] names must be a list of texts")
    port = _port("[page]", page.get("port", PAGE_PORT))
    return PageConfig(
        page.get("enabled", True), normal_host(host), port, page.get("trust_local", False), tuple(names)
    )


def _format(log: Mapping[str, Any]) -> str:
    found = str(log.get("format", FORMATS[0]))
    if found not in FORMATS:
        raise ConfigError("[log] format cannot be used", why=f"it must be {' or '.join(FORMATS)}")
    return found


def _interfaces(discovery: Mapping[str, Any], host: str) -> tuple[str, ...]:
    """Return where to be found: nowhere else than where the relay listens."""
    interfaces = discovery.get("interfaces", [])
    if not all(type(i) is str for i in interfaces):
        raise ConfigError("[discovery] interfaces must be a list of texts")
    if host != ANY and not interfaces:
        return (host,)
    return tuple(_own_address("[discovery] interfaces", interface) for interface in interfaces)


def _own_address(place: str, host: str) -> str:
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


def _service(discovery: Mapping[str, Any]) -> str:
    service = str(discovery.get("service", SERVICE))
    if not SERVICE_FORM.fullmatch(service):
        raise ConfigError(
            "[discovery] service cannot be used",
            why="it must be _name._tcp.local., the name of at most 15 of a-z, 0-9 and -",
        )
    return service


def _days(history: Mapping[str, Any]) -> int:
    days = int(history.get("days", 30))
    if not 0 <= days <= 36_500:
        raise ConfigError("[history] days cannot be used", why="it must be 0 to 36500")
    return days


def _count(place: str, number: int) -> int:
    if not 0 <= number <= 10**9:
        raise ConfigError(f"{place} cannot be used", why="it must be 0 to 1000000000")
    return number


def _peer(peer: Mapping[str, Any]) -> Address:
    if "address" not in peer:
        raise ConfigError("[[peer]] address is missing", mend='write address = "10.8.0.2:7480"')
    return parse_address(peer["address"])
