"""Where a peer may be called: ``host:port``, and which hosts may be called at all.

Until pairing and TLS exist, anyone who could reach the relay could read and write the whole
database. So it listens on loopback and calls loopback, whatever the configuration or the network
says. ``is_loopback`` is the one place that knows this rule.
"""

from dataclasses import dataclass
from ipaddress import ip_address

from changecapture.errors import ConfigError

WHY_LOOPBACK = "peers are not paired and the connection is not encrypted yet"
MEND_LOOPBACK = "use 127.0.0.1 or ::1, through an SSH tunnel where the other site is elsewhere"


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A host, numeric where it can be, and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Return ``host:port``, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def normal_host(host: str) -> str:
    """Return one spelling per host: ``localhost`` is 127.0.0.1, IPv6 is compressed, no brackets."""
    bare = host.strip().removeprefix("[").removesuffix("]").lower()
    if bare == "localhost":
        return "127.0.0.1"
    try:
        return str(ip_address(bare))
    except ValueError:
        return bare


def is_loopback(host: str) -> bool:
    """Return whether only this machine can be meant: 127.0.0.0/8, ::1 or localhost."""
    try:
        return ip_address(normal_host(host)).is_loopback
    except ValueError:
        return False


def parse_address(text: str) -> Address:
    """Return the address in ``host:port`` (or ``[::1]:port``); raise ConfigError."""
    host, colon, port = text.strip().rpartition(":")
    ipv6_without_brackets = ":" in host and not (host.startswith("[") and host.endswith("]"))
    if not colon or not host or ipv6_without_brackets or not port.isascii() or not port.isdigit():
        raise ConfigError(f"'{text}' is not an address", mend="write host:port or [::1]:port")
    if not 0 < int(port) < 65536:
        raise ConfigError(f"'{text}' is not an address", why="a port is 1 to 65535")
    return Address(normal_host(host), int(port))


def require_loopback(host: str, what: str) -> None:
    """Raise ConfigError unless the host is this machine; ``what`` names the setting."""
    if not is_loopback(host):
        raise ConfigError(f"{what} = '{host}' is refused", why=WHY_LOOPBACK, mend=MEND_LOOPBACK)
