"""Where a peer may be called: ``host:port``; and where this machine is, as others see it."""

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from socket import AF_INET6, SOCK_DGRAM, socket

import ifaddr

from changecapture.errors import ConfigError

ANY = "*"
"""As a host to listen on: every address of this machine, IPv4 and IPv6."""


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


def find_network(host: str) -> str:
    """Return what stands for the machine at a host: one machine has a whole /64 of IPv6."""
    try:
        found = ip_address(host)
    except ValueError:
        return host
    if not isinstance(found, IPv6Address):
        return host
    return str(found.ipv4_mapped or f"{int(found) >> 64:x}::/64")


def parse_address(text: str) -> Address:
    """Return the address in ``host:port`` (or ``[::1]:port``); raise ConfigError."""
    host, colon, port = text.strip().rpartition(":")
    ipv6_without_brackets = ":" in host and not (host.startswith("[") and host.endswith("]"))
    if not colon or not host or ipv6_without_brackets or not port.isascii() or not port.isdigit():
        raise ConfigError(f"'{text}' is not an address", mend="write host:port or [::1]:port")
    if not 0 < int(port) < 65536:
        raise ConfigError(f"'{text}' is not an address", why="a port is 1 to 65535")
    return Address(normal_host(host), int(port))


def own_addresses(host: str) -> list[str]:
    """Return where others find a relay that listens on a host: without ANY it is that host.

    Without any network it is loopback: relays of one machine find each other all the same. An address
    of IPv6 that is valid on one link only (fe80::) is announced as it is; who hears of it knows the link. One
    that the system still looks for doubles of, or has found one of, is none yet.
    """
    if host != ANY:
        return [host]
    found: set[str] = set()
    for adapter in ifaddr.get_adapters():
        usable = filter(_is_usable, adapter.ips)
        found |= {str(ip_address(ip.ip if isinstance(ip.ip, str) else ip.ip[0])) for ip in usable}
    outside = sorted((h for h in found if not is_loopback(h)), key=_preference)
    return outside or ["127.0.0.1"]


def _is_usable(ip: ifaddr.IP) -> bool:
    """Return whether an address can be spoken from: new ones of IPv6 are tentative for a second or two."""
    if isinstance(ip.ip, str):
        return True
    try:
        with socket(AF_INET6, SOCK_DGRAM) as probe:
            probe.bind((ip.ip[0], 0, *ip.ip[1:]))
    except OSError:
        return False
    return True


def _preference(host: str) -> tuple[bool, bool, str]:
    """Return the order in which addresses are told: IPv4, IPv6, IPv6 of one link."""
    address = ip_address(host)
    return isinstance(address, IPv6Address), address.is_link_local, host
