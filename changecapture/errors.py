"""Errors, named by who must act.

``ConfigError``: the operator; it says what to do. ``DriftError``: run install. ``PeerError``: the other
side is wrong. ``RetryLater``: nobody, try again (``Gone``: on a new connection). ``DataError``: this change.
The command line prints ``str(error)`` as one line and leaves with status 2.
"""


class ChangeCaptureError(Exception):
    """The base of every error of ours."""

    def __init__(self, what: str, *, why: str = "", mend: str = "") -> None:
        """Keep the three parts: what happened, why, and what to do."""
        super().__init__(what)
        self.what = what
        self.why = why
        self.mend = mend

    def __str__(self) -> str:
        """Return one line: what happened, why, and what to do."""
        text = self.what
        if self.why:
            text += f": {self.why}"
        if self.mend:
            text += f" ({self.mend})"
        return " ".join(text.split())


class ConfigError(ChangeCaptureError):
    """What the operator gave cannot be used."""


class NotInstalled(ConfigError):
    """There is nothing of ours in the database."""


class DriftError(ChangeCaptureError):
    """The database no longer has what was installed."""


class PeerError(ChangeCaptureError):
    """The other side sent what it must not send."""


class OutOfStep(PeerError):
    """A batch does not follow the last one: what came between them came another way, or twice."""


class RetryLater(ChangeCaptureError):
    """Something is busy or away; the same call may succeed later."""


class Unwritable(RetryLater):
    """The database answers and takes no writes: it is read-only or full. A person has to know."""


class Gone(RetryLater):
    """The connection is lost, or there never was one; only a new one may succeed."""


class DataError(ChangeCaptureError):
    """This change cannot be written here. ``reason`` is the word that a parked row is listed with."""

    def __init__(self, what: str, *, reason: str = "value", why: str = "", mend: str = "") -> None:
        """Keep the reason beside the three parts."""
        super().__init__(what, why=why, mend=mend)
        self.reason = reason
