"""Two devices prove to each other that a person typed at one the code that the other shows.

    caller                                            shower
      | pair(message, name)          ------------->      |   its one guess is used up
      | <-------------   message, name, proof            |
      | confirm(proof)               ------------->      |   paired
      | <-------------   true: paired                    |

SPAKE2 makes a key of the code and of both device ids, as each end sees them in TLS: who stands
between the two shows each another device than they have, and gets no proof that the other takes.
Knows no network and no clock: who calls it bounds the time.
"""

import hmac
from hashlib import sha256

from spake2 import SPAKE2_A, SPAKE2_B, SPAKEError
from spake2.ed25519_basic import NotOnCurve

from changecapture.errors import PeerError

WRONG = "the code was wrong, or somebody stands between the two machines"
NO_CODE = "no code is shown there: it was used, or is older than ten minutes"
AGAIN = "ask for a new code with: changecapture-relay pair"


class Caller:
    """The end where the code was typed."""

    def __init__(self, code: str, *, own: str, other: str, name: str) -> None:
        """``own`` and ``other``: device ids; ``name``: this site's, for people."""
        self._spake = SPAKE2_A(code.encode(), idA=own.encode(), idB=other.encode())
        self._name = name
        self.message = self._spake.start().hex()

    def check(self, message: str, name: str, proof: str) -> str:
        """Return our proof; raise PeerError when the other end has not proved that it knows the code."""
        key = _finish(self._spake, message)
        if not hmac.compare_digest(proof.encode(), _prove(key, "shower", name, self._name).encode()):
            raise PeerError(WRONG, mend=AGAIN)
        return _prove(key, "caller", self._name, name)


class Shower:
    """The end that shows the code; it takes one guess."""

    def __init__(self, code: str, *, own: str, name: str) -> None:
        """``own``: this device; ``name``: this site's, for people."""
        self._code = code
        self._own = own
        self._name = name
        self._expected = ""
        self.guesser: str | None = None
        """The device that has made the guess."""
        self.guesser_name = ""
        self.paired = False

    def answer(self, device: str, message: str, name: str) -> tuple[str, str, str]:
        """Take the guess of a device; return our message, name and proof. Raises PeerError."""
        if self.guesser is not None:
            raise PeerError("the code was used already", mend=AGAIN)
        self.guesser, self.guesser_name = device, name
        spake = SPAKE2_B(self._code.encode(), idA=device.encode(), idB=self._own.encode())
        own_message = spake.start().hex()
        key = _finish(spake, message)
        self._expected = _prove(key, "caller", name, self._name)
        return own_message, self._name, _prove(key, "shower", self._name, name)

    def confirm(self, device: str, proof: str) -> bool:
        """Return whether the device that guessed has proved that it guessed right; again, if asked."""
        right = bool(self._expected) and hmac.compare_digest(proof.encode(), self._expected.encode())
        self.paired = self.paired or (device == self.guesser and right)
        return device == self.guesser and right


def _finish(spake: SPAKE2_A | SPAKE2_B, message: str) -> bytes:
    """Return the key; raise PeerError for a message that is none."""
    try:
        key: bytes = spake.finish(bytes.fromhex(message))
    except (SPAKEError, NotOnCurve, ValueError, AssertionError) as error:
        raise PeerError("malformed pairing message", mend=AGAIN) from error
    return key


def _prove(key: bytes, role: str, own: str, other: str) -> str:
    """Return the proof of one end: only who has the key can make it, and only for these names."""
    text = "\0".join(["changecapture pairing", role, own, other])
    return hmac.new(key, text.encode(), sha256).hexdigest()
