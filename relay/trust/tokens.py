"""The programs that may call the service for clients (``relay.clients``), kept in the state directory.

A token is 256 random bits, shown once; only its hash is kept, and needs no salt. Each has its own modules.
"""

import hmac
import json
import secrets
import time
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from changecapture.core.scopes import EVERY, Scopes, load_scopes
from changecapture.errors import ConfigError, PeerError
from relay.messages import NAME_LIMIT, clean
from relay.trust.state import read_private, write_private

FILE = "clients.json"
MOST_INSTALLATIONS = 100
"""That put changes with one token: each is an origin of its own, at every site, for ever."""


@dataclass(frozen=True, slots=True)
class Token:
    """Who has it, and what it is good for. ``digest``: SHA-256 of the token; ``known``: the installations
    that have put changes with it."""

    name: str
    digest: str
    added_at: str
    send: Scopes = EVERY
    accept: Scopes = EVERY
    known: frozenset[str] = frozenset()


class Tokens:
    """All tokens of a site."""

    def __init__(self, directory: Path) -> None:
        """Read them; raise ConfigError."""
        self._path = directory / FILE
        content = read_private(self._path)
        self._tokens: dict[str, Token] = {}
        for name, (digest, added_at, send, accept, *known) in json.loads(content or b"{}").items():
            scopes = load_scopes(send), load_scopes(accept)
            self._tokens[name] = Token(name, digest, added_at, *scopes, frozenset(*known))

    def add(self, name: str, send: Scopes, accept: Scopes) -> str:
        """Return a new token; raise ConfigError when the name is taken."""
        if not name or clean(name, NAME_LIMIT) != name:
            raise ConfigError("that name cannot be used", why=f"1 to {NAME_LIMIT} printable characters")
        if name in self._tokens:
            raise ConfigError(f"{name} has a token already", mend=f"changecapture-relay token revoke {name}")
        token = secrets.token_hex(32)
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self._keep({**self._tokens, name: Token(name, _digest(token), now, send, accept)})
        return token

    def revoke(self, name: str) -> None:
        """Let its owner in no more, at once; raise ConfigError when there is none."""
        if name not in self._tokens:
            raise ConfigError(f"{name} has no token", why=f"there is {', '.join(self._tokens) or 'none'}")
        self._keep({key: token for key, token in self._tokens.items() if key != name})

    def admit(self, name: str, installation: str) -> None:
        """Note that an installation puts changes with a token; raise PeerError when they are too many."""
        token = self._tokens.get(name)
        if token is None or installation in token.known:
            return
        if len(token.known) >= MOST_INSTALLATIONS:
            raise PeerError(
                f"a token serves at most {MOST_INSTALLATIONS} installations that put changes",
                why="base_uuid names the installation: it must not change from call to call",
                mend="give each its own token",
            )
        self._keep({**self._tokens, name: replace(token, known=token.known | {installation})})

    def all(self) -> list[Token]:
        """Return them, by name."""
        return sorted(self._tokens.values(), key=lambda token: token.name)

    def find(self, text: str) -> Token | None:
        """Return whose token that is; it takes as long whatever of it is right."""
        digest, found = _digest(text), None
        for token in self._tokens.values():
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found

    def _keep(self, tokens: dict[str, Token]) -> None:
        kept = {
            t.name: (t.digest, t.added_at, t.send.dump(), t.accept.dump(), sorted(t.known))
            for t in tokens.values()
        }
        write_private(self._path, json.dumps(kept).encode())
        self._tokens = tokens


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "replace")).hexdigest()
