"""Several databases in one relay: each ``[[database]]`` of the configuration is a site of its own."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from changecapture.config import parse_url
from changecapture.errors import ConfigError
from relay.address import Address
from relay.messages import NAME_LIMIT
from relay.settings import FILE_NAME, LOCAL, ONE_OF_MANY, PORT, check_port, check_table, read_state, read_url

if TYPE_CHECKING:
    from relay.config import RelayConfig


def make_many(
    base: "RelayConfig",
    databases: list[Any],
    environ: Mapping[str, str],
    path: Path,
    *,
    database: bool,
) -> "tuple[RelayConfig, ...]":
    """Return a site for each [[database]], on what they have in common."""
    sites = []
    for number, table in enumerate(databases):
        one = check_table("[[database]]", ONE_OF_MANY, table)
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
                url=read_url(one, environ) if database else "",
                state=path.parent / read_state(one, f"[[database]] {name}", f"{name}.state"),
                port=check_port(f"[[database]] {name}", port),
                clients=None
                if clients_port is None
                else Address(
                    base.clients.host if base.clients else LOCAL,
                    check_port(f"[[database]] {name} clients_", clients_port),
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


def _check_apart(sites: "list[RelayConfig]") -> None:
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
