"""Where this device shows a code and takes the one guess for it; the time is bounded here.

Nothing is open unless a person has asked for it a moment ago, and what was asked for ends by itself:
paired, guessed wrong, or too late.
"""

from dataclasses import replace
from datetime import UTC, datetime

from twisted.internet.defer import Deferred

from changecapture.errors import ConfigError, PeerError
from relay.clock import Clock, Timer, cancel
from relay.messages import NAME_LIMIT, clean
from relay.trust.code import make_code
from relay.trust.identity import SHORT
from relay.trust.pairing import AGAIN, NO_CODE, WRONG, Shower
from relay.trust.peers import Paired, Peers

OPEN_S = 600.0
GUESS_S = 30.0
"""From the guess to its confirmation."""
LINGER_S = 0.5


class Desk:
    """At most one code at a time."""

    def __init__(self, *, own: str, name: str, peers: Peers, clock: Clock) -> None:
        """``own``: this device; ``name``: this site's, for people; ``peers`` take who has paired."""
        self._own = own
        self._name = name
        self._peers = peers
        self._clock = clock
        self._shower: Shower | None = None
        self._done: Deferred[Paired] | None = None
        self._timer: Timer | None = None
        self._introducer = False

    @property
    def is_open(self) -> bool:
        """Return whether a code is shown, and so devices that are not paired may call."""
        return self._done is not None

    def open(self, *, introducer: bool = False) -> tuple[str, "Deferred[Paired]"]:
        """Return a code, and a Deferred of who has paired with it; an older code is void from now on.

        ``introducer``: who pairs may introduce others.
        """
        self._end(ConfigError("the code was replaced by a newer one"))
        code = make_code(self._own)
        self._introducer = introducer
        self._shower = Shower(code, own=self._own, name=self._name)
        done: Deferred[Paired] = Deferred(lambda _: self._close())
        self._done = done
        self._expire(OPEN_S, "nobody has typed the code within 10 minutes")
        return code, done

    def close(self) -> None:
        """Show no code any more."""
        self._end(ConfigError("the relay stops"))

    async def pair(self, device: str, message: str, name: str) -> list[str]:
        """Take a guess; see ``relay.trust.pairing``."""
        shower = self._shower
        if shower is None or self._done is None:
            raise PeerError(NO_CODE, mend=AGAIN)
        self._expire(GUESS_S, f"device {device[:SHORT]} has guessed and gone away")
        try:
            return list(shower.answer(device, message, clean(name, NAME_LIMIT)))
        except PeerError:
            self._end(ConfigError(WRONG, mend=AGAIN))
            raise

    async def confirm(self, device: str, proof: str) -> bool:
        """Take the proof that the guess was right; pair."""
        shower = self._shower
        if shower is None or device != shower.guesser:
            raise PeerError(NO_CODE, mend=AGAIN)
        if not shower.confirm(device, proof):
            self._end(ConfigError(WRONG, why=f"device {device[:SHORT]} has tried", mend=AGAIN))
            return False
        if self._done is not None:
            paired = make_paired(self._peers, device, shower.guesser_name, introducer=self._introducer)
            done, self._done = self._done, None
            cancel(self._timer)
            # Who waits for it may end the program: the answer has to leave first.
            self._clock.callLater(LINGER_S, _fire, done, paired)
        return True

    def _expire(self, seconds: float, why: str) -> None:
        cancel(self._timer)
        self._timer = self._clock.callLater(seconds, self._end, ConfigError(why, mend=AGAIN))

    def _end(self, error: ConfigError) -> None:
        done = self._done
        self._close()
        if done is not None and not done.called:
            done.errback(error)

    def _close(self) -> None:
        cancel(self._timer)
        self._done = None
        if self._shower is not None and not self._shower.paired:
            self._shower = None


def _fire(done: "Deferred[Paired]", paired: Paired) -> None:
    if not done.called:
        done.callback(paired)


def make_paired(peers: Peers, device: str, name: str, *, introducer: bool) -> Paired:
    """Pair a device, by hand; what was said of it before stays."""
    before = peers.get(device) or Paired(device, name)
    peer = replace(
        before,
        name=name,
        paired_at=datetime.now(UTC).isoformat(timespec="seconds"),
        introducer=introducer or before.introducer,
        introduced_by=None,
    )
    peers.put(peer)
    return peer
