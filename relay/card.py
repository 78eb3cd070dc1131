"""What a site says of itself to people: its name, whose it is, whom to ask, where its application is.

It travels in hello, so to paired peers only; all of it is foreign text where it arrives.
"""

import json
from dataclasses import asdict, dataclass

from changecapture.errors import PeerError
from relay.messages import NAME_LIMIT, clean

FIELD_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Card:
    """The lines of [site] in relay.toml. ``url``: of the application, for people."""

    name: str
    owner: str = ""
    contact: str = ""
    url: str = ""

    def to_json(self) -> str:
        """Return JSON text; ``read_card`` is its inverse."""
        return json.dumps(asdict(self))


def read_card(text: str) -> Card:
    """Return a card that arrived, each line printable and bounded; raise PeerError when it is none."""
    try:
        fields = json.loads(text)
        lines = {name: fields.get(name, "") for name in ("name", "owner", "contact", "url")}
    except (ValueError, RecursionError, AttributeError) as error:
        raise PeerError("not a card", why=clean(str(error), 100)) from error
    if not all(isinstance(line, str) for line in lines.values()):
        raise PeerError("not a card", why="its lines must be texts")
    name = clean(lines.pop("name"), NAME_LIMIT)
    return Card(name, **{key: clean(line, FIELD_LIMIT) for key, line in lines.items()})
