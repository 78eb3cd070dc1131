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
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from changecapture.errors import ConfigError
from relay.address import ANY, Address, normal_host
from relay.card import Card
from relay.messages import NAME_LIMIT, clean
from relay.settings import (
    LOCAL,
    PAGE_PORT,
    PORT,
    SERVICE,
    TYPES,
    check_address,
    check_count,
    check_names,
    check_port,
    check_table,
    read_days,
    read_format,
    read_host,
    read_interfaces,
    read_line,
    read_local,
    read_name,
    read_peer,
    read_service,
    read_state,
    read_table,
    read_url,
)
from relay.several import make_many
from relay.trust.peers import MOST_BROUGHT


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
    check_names(tables)
    databases = tables.get("database", {})
    if isinstance(databases, list):
        base = _make_site(tables, {}, environ, path, database=False)
        sites = make_many(base, databases, environ, path, database=database)
    else:
        one = read_table(tables, "database")
        sites = (_make_site(tables, one, environ, path, database=database),)
    return ProgramConfig(
        sites,
        read_format(read_table(tables, "log")),
        read_local(tables, "metrics"),
        _page(read_table(tables, "page")),
    )


def _make_site(
    tables: Mapping[str, Any],
    one: Mapping[str, Any],
    environ: Mapping[str, str],
    path: Path,
    *,
    database: bool,
) -> RelayConfig:
    site = read_table(tables, "site")
    listen = read_table(tables, "listen")
    discovery = read_table(tables, "discovery")
    limits = read_table(tables, "limits")
    peers = tables.get("peer", [])
    if not isinstance(peers, list):
        raise ConfigError("peer must be a list of tables", mend="write [[peer]]")
    host = read_host(listen)
    return RelayConfig(
        name=read_name(site),
        url=read_url(one, environ) if database else "",
        state=path.parent / read_state(site, "[site]", path.with_suffix(".state").name),
        host=host,
        port=check_port("[listen]", listen.get("port", PORT)),
        discovery=discovery.get("enabled", True),
        interfaces=read_interfaces(discovery, host),
        service=read_service(discovery),
        history_days=read_days(read_table(tables, "history")),
        peers=tuple(read_peer(check_table("[[peer]]", TYPES["peer"], peer)) for peer in peers),
        owner=read_line(site, "owner"),
        contact=read_line(site, "contact"),
        site_url=read_line(site, "url"),
        most_brought=check_count("[limits] origins", limits.get("origins", MOST_BROUGHT)),
        clients=read_local(tables, "clients"),
    )


def _page(page: Mapping[str, Any]) -> PageConfig:
    host = page.get("host", LOCAL)
    if host == ANY or not ip_address(check_address("[page] host", host)).is_loopback:
        raise ConfigError(
            "[page] host must be an address of this machine alone",
            why="passwords would travel over the network in the clear",
            mend="write 127.0.0.1, and from elsewhere use: ssh -L 7483:127.0.0.1:7483",
        )
    names = page.get("names", [])
    if not all(type(name) is str for name in names):
        raise ConfigError("[page] names must be a list of texts")
    port = check_port("[page]", page.get("port", PAGE_PORT))
    return PageConfig(
        page.get("enabled", True), normal_host(host), port, page.get("trust_local", False), tuple(names)
    )
