"""Which scopes (modules) one site lets another have: some, or all but some. Immutable, with set algebra."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from changecapture.core.wire import check_name
from changecapture.errors import PeerError

MAX_NAMES = 1000


@dataclass(frozen=True, slots=True)
class Scopes:
    """``names``, or with ``but`` all others. ``Scopes()`` is every scope."""

    names: frozenset[str] = frozenset()
    but: bool = True

    def __contains__(self, scope: str) -> bool:
        """Return whether a scope is one of them."""
        return (scope in self.names) is not self.but

    @property
    def every(self) -> bool:
        """Return whether they are all that there are."""
        return self.but and not self.names

    def __and__(self, other: "Scopes") -> "Scopes":
        """Return what is in both."""
        match self.but, other.but:
            case True, True:
                return Scopes(self.names | other.names, True)
            case True, False:
                return Scopes(other.names - self.names, False)
            case False, True:
                return Scopes(self.names - other.names, False)
        return Scopes(self.names & other.names, False)

    def covers(self, other: "Scopes") -> bool:
        """Return whether all of the other are here too."""
        return other & self == other

    def of(self, vector: Mapping[tuple[str, int, str], int]) -> dict[tuple[str, int, str], int]:
        """Return the part of a version vector that is about these scopes."""
        return {component: number for component, number in vector.items() if component[2] in self}

    def dump(self) -> str:
        """Return canonical text; '' for every scope."""
        if self.every:
            return ""
        return json.dumps({"but" if self.but else "only": sorted(self.names)}, separators=(",", ":"))


def load_scopes(text: Any) -> Scopes:
    """Return what ``dump`` wrote; raise PeerError when it is nothing of the kind."""
    if text == "":
        return Scopes()
    try:
        ((word, names),) = json.loads(text).items()
        if word not in ("but", "only") or not isinstance(names, list) or len(names) > MAX_NAMES:
            raise ValueError(f"{word!r:.40} is neither 'but' nor 'only' some names")
        return Scopes(frozenset(check_name(name) for name in names), word == "but")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise PeerError("not a set of modules", why=str(error)) from error


EVERY = Scopes()


@dataclass(frozen=True, slots=True)
class Terms:
    """What two sites may exchange, as one of them sees it: what it sends, takes, and was offered."""

    send: Scopes = EVERY
    accept: Scopes = EVERY
    offered: Scopes = EVERY
    room: int | None = None
    """How many parts of vectors that nobody here knew the other may still bring; None: any number."""

    @property
    def asked(self) -> Scopes:
        """Return what to ask the other site for."""
        return self.offered & self.accept


def name_progress(site: str, asked: Scopes) -> str:
    """Return the name under which the progress of a pull of these scopes is kept.

    A position says that what lies before it was sent, so it holds for the scopes that were asked for
    and no others. Other scopes begin at 0, and find there what was held back.
    """
    if asked.every:
        return site
    return f"{site}/{blake2b(asked.dump().encode(), digest_size=8).hexdigest()}"
