"""What a client keeps for us between two calls: its vector, and its place in our log."""

import base64
import json
import zlib
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from changecapture.core.scopes import load_scopes
from changecapture.core.vector import load_vector
from changecapture.core.wire import check_number, check_text
from changecapture.errors import PeerError

SINCE_LIMIT = 256 * 1024


@dataclass(frozen=True, slots=True)
class Since:
    """What a client holds: a vector, and where its pull stands in our log (as store.interface.Progress)."""

    epoch: int = 0
    vector: str = "{}"
    after: int = 0
    end: int = 0
    target: str = "{}"
    mark: str = ""
    scopes: str = ""

    def dump(self) -> str:
        """Return text for a client to keep."""
        return base64.urlsafe_b64encode(zlib.compress(json.dumps(asdict(self)).encode())).decode()


def load_since(text: str) -> Since:
    """Return what ``dump`` wrote; raise PeerError for anything else."""
    if not text:
        return Since()
    try:
        decoder = zlib.decompressobj()
        fields = json.loads(decoder.decompress(base64.urlsafe_b64decode(text), SINCE_LIMIT))
        since = Since(**fields)
        if any(
            type(value) is not type(default)
            for value, default in zip(_values(since), _values(Since()), strict=True)
        ):
            raise ValueError("a field is of the wrong type")
        for number in (since.epoch, since.after, since.end):
            check_number(number)
        if since.mark:
            check_text(since.mark)
        load_vector(since.vector), load_vector(since.target), load_scopes(since.scopes)
    except (ValueError, TypeError, AttributeError, zlib.error, RecursionError) as error:
        raise PeerError(
            "since is not what this service has answered as until", mend="send '' to begin"
        ) from error
    return since


def _values(since: Since) -> tuple[Any, ...]:
    return tuple(asdict(since).values())


def name_origin(site: str, client: str) -> str:
    """Return the origin under which a site writes what a client puts."""
    return sha256(f"{site} {client}".encode()).hexdigest()[:32]
