"""A request and its answer, as far as the page needs them: no Twisted, no bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Visit:
    """A request. ``host`` and ``origin``: those headers; ``address``: where it comes from; ``forwarded``: a
    proxy says that it comes from elsewhere; ``fields``: of the query or the form."""

    method: str
    path: tuple[str, ...]
    host: str
    address: str = "127.0.0.1"
    fields: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""
    languages: str = ""
    forwarded: bool = False

    @property
    def is_local(self) -> bool:
        """Return whether it comes from this machine."""
        try:
            return ip_address(self.address).is_loopback and not self.forwarded
        except ValueError:
            return False

    def text(self, name: str) -> str:
        """Return a field, trimmed; "" when it was not sent."""
        return self.fields.get(name, "").strip()


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; ``cookies`` go with it: name and value, "" ends one."""

    body: str = ""
    status: int = 200
    kind: str = "text/html; charset=utf-8"
    location: str = ""
    cookies: Mapping[str, str] = field(default_factory=dict)


def go_to(*path: str, cookies: Mapping[str, str] | None = None) -> Reply:
    """Return an answer that leads elsewhere."""
    location = "/" + "/".join(quote(part, safe="") for part in path)
    return Reply(status=303, location=location, cookies=cookies or {})
