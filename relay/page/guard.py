"""Who may look and act: the Host that was asked for, sessions, their tokens, guesses of the password.

- A browser that was led here under another name (DNS rebinding) sends that name as Host: only addresses
  in digits, ``localhost`` and the names of the configuration are served.
- A session is a random cookie, kept here by its digest: idle for ``IDLE_S`` or older than ``LONGEST_S``
  it is gone, and so are all when the relay stops or another password is set. Its token must be in every form.
- The form that begins a session has a token too, made of a cookie and a secret of this process.
"""

import hmac
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import ip_address
from urllib.parse import urlsplit

from relay.address import find_network
from relay.clock import Clock
from relay.page.visit import Visit

IDLE_S = 30 * 60.0
LONGEST_S = 12 * 3600.0
MAX_SESSIONS = 64
WINDOW_S = 15 * 60.0
GUESSES = 5
ALL_GUESSES = 100
"""In one window: of one address, and of all."""


@dataclass(slots=True)
class Session:
    """Somebody who may act. ``who`` is what the log says; ``notes`` are to be shown once; ``key``: what
    stands for the password at its beginning."""

    who: str
    key: bytes
    token: str
    since: float
    seen: float
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


class Guard:
    """All sessions and guesses."""

    def __init__(
        self,
        clock: Clock,
        *,
        names: tuple[str, ...] = (),
        trust_local: bool = False,
        key: Callable[[], bytes] = bytes,
    ) -> None:
        """``names``: Host names that are ours; ``trust_local``: this machine needs no password; ``key`` tells
        what stands for the password: another one ends the sessions that were begun with the one before."""
        self._clock, self._key = clock, key
        self._names = frozenset({"localhost", *(name.lower() for name in names)})
        self._trust_local = trust_local
        self._secret = secrets.token_bytes(32)
        # A browser sends cookies to every port of a host: two pages must not take each other's.
        name = secrets.token_hex(4)
        self.cookie, self.door = f"changecapture_page_{name}", f"changecapture_door_{name}"
        self._sessions: dict[bytes, Session] = {}
        self._guesses: deque[tuple[float, str]] = deque(maxlen=ALL_GUESSES)

    def is_ours(self, visit: Visit) -> bool:
        """Return whether a request was meant for us, and its form was not sent by another site."""
        try:
            name = urlsplit(f"//{visit.host}").hostname or ""
            origin = urlsplit(visit.origin).netloc
        except ValueError:
            return False
        if name.lower() not in self._names and not _is_address(name):
            return False
        return visit.method != "POST" or not visit.origin or origin == visit.host

    def find(self, visit: Visit) -> Session | None:
        """Return the session of a request, kept alive by it."""
        now = self._clock.seconds()
        key = _digest(visit.cookies.get(self.cookie, ""))
        session = self._sessions.get(key)
        stale = session is None or now - session.seen > IDLE_S or now - session.since > LONGEST_S
        if session is None or stale or session.key != self._key():
            self._sessions.pop(key, None)
            return None
        if "watch" not in visit.fields:
            session.seen = now
        return session

    def trusts(self, visit: Visit) -> bool:
        """Return whether a request needs no password."""
        return self._trust_local and visit.is_local

    def begin(self, who: str) -> tuple[str, Session]:
        """Begin a session; return its cookie. The one that was seen least lately gives way."""
        now, cookie = self._clock.seconds(), secrets.token_urlsafe(32)
        session = self._sessions[_digest(cookie)] = Session(
            who, self._key(), secrets.token_urlsafe(32), now, now
        )
        if len(self._sessions) > MAX_SESSIONS:
            del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].seen)]
        return cookie, session

    def end(self, visit: Visit) -> None:
        """End the session of a request."""
        self._sessions.pop(_digest(visit.cookies.get(self.cookie, "")), None)

    @staticmethod
    def has_token(visit: Visit, session: Session) -> bool:
        """Return whether a form is of this session."""
        return hmac.compare_digest(visit.text("token").encode(), session.token.encode())

    def make_door(self) -> tuple[str, str]:
        """Return a cookie and a token for the form that begins a session."""
        cookie = secrets.token_urlsafe(16)
        return cookie, self._door_token(cookie)

    def is_at_door(self, visit: Visit) -> bool:
        """Return whether such a form has the token of its cookie."""
        token = self._door_token(visit.cookies.get(self.door, ""))
        return self.door in visit.cookies and hmac.compare_digest(
            visit.text("token").encode(), token.encode()
        )

    def may_guess(self, address: str) -> bool:
        """Return whether a guess of the password is heard; count it, right or wrong."""
        now, place = self._clock.seconds(), find_network(address)
        while self._guesses and now - self._guesses[0][0] > WINDOW_S:
            self._guesses.popleft()
        made = sum(1 for _, other in self._guesses if other == place)
        if made >= GUESSES or len(self._guesses) >= ALL_GUESSES:
            return False
        self._guesses.append((now, place))
        return True

    def guessed_right(self, address: str) -> None:
        """Forget the guesses of an address."""
        kept = [guess for guess in self._guesses if guess[1] != find_network(address)]
        self._guesses.clear()
        self._guesses.extend(kept)

    def _door_token(self, cookie: str) -> str:
        return hmac.new(self._secret, cookie.encode(), sha256).hexdigest()


def _digest(cookie: str) -> bytes:
    return sha256(cookie.encode()).digest()


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
