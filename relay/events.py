"""What a session (``relay.session``) is told, what it answers, and where it may stand."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

Whose = Literal["peer", "link", "here"]


class State(Enum):
    """Where a session stands."""

    IDLE = "idle"
    GREETING = "greeting"
    PULLING = "pulling"
    APPLYING = "applying"
    LISTENING = "listening"
    PAUSING = "pausing"
    BACKING_OFF = "backing off"
    STANDING_BY = "standing by"
    REFUSED = "refused"
    UNPAIRED = "not paired"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Started:
    """Begin."""


@dataclass(frozen=True, slots=True)
class Greeted:
    """The peer said who it is, and nobody else leads its site."""

    site: str
    name: str
    protocol: int
    alike: bool = True
    """Whether it syncs the same tables and columns."""
    copied: bool = False
    """Whether it is a copy of this machine."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The site at this address is spoken to over another one."""

    site: str


@dataclass(frozen=True, slots=True)
class Stranger:
    """The device at this address is not paired; it was told nothing."""

    device: str


@dataclass(frozen=True, slots=True)
class Answered:
    """A pull was answered: with a payload, or that one should ask again."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Received:
    """A payload is durable here; ``last``: the peer had no more when it answered."""

    entries: int
    applied: int
    parked: int
    last: bool


@dataclass(frozen=True, slots=True)
class Failed:
    """A command failed: the peer sent nonsense, the link is down, or our database is away."""

    why: str
    whose: Whose


@dataclass(frozen=True, slots=True)
class Woken:
    """A Sleep is over."""


@dataclass(frozen=True, slots=True)
class Poked:
    """A reason to try now: the peer called us, or the leader of its site failed."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The end."""


Event = Started | Greeted | Taken | Stranger | Answered | Received | Failed | Woken | Poked | Stopped


@dataclass(frozen=True, slots=True)
class Greet:
    """Exchange greetings: Greeted, Taken, Stranger or Failed follows."""


@dataclass(frozen=True, slots=True)
class Lead:
    """From now on the site is spoken to over this address."""

    site: str


@dataclass(frozen=True, slots=True)
class Release:
    """No longer: another address of the site may lead."""

    site: str


@dataclass(frozen=True, slots=True)
class Pull:
    """Ask for what we lack; the site may hold the answer. Answered or Failed follows."""

    site: str
    wait_s: int


@dataclass(frozen=True, slots=True)
class Receive:
    """Apply a payload. Received or Failed follows."""

    site: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Sleep:
    """Woken follows after so many seconds; a later command takes its place."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """A line for a person."""

    text: str
    warning: bool = False


Command = Greet | Lead | Release | Pull | Receive | Sleep | Report
Commands = tuple[Command, ...]
