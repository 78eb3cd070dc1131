"""Version vectors: what a site holds of every origin, per scope.

A vector is {(origin, epoch, scope): number}: of that origin's entries in that scope the site holds all
up to the number (or a later applied entry that covers them). It is raised only when a pull has reached
the end that the sender named at its start (R11). Immutable by convention: functions return new ones.
"""

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from changecapture.core.wire import check_number, check_text
from changecapture.errors import PeerError

Component = tuple[str, int, str]
Vector = Mapping[Component, int]


def covers_vector(left: Vector, right: Vector) -> bool:
    """Return whether ``left`` holds all that ``right`` holds."""
    return all(left.get(component, 0) >= number for component, number in right.items())


def covers_name(vector: Vector, origin: str, epoch: int, scope: str, number: int) -> bool:
    """Return whether the vector covers the entry of that name and scope."""
    return vector.get((origin, epoch, scope), 0) >= number


def dump_vector(vector: Vector) -> str:
    """Return canonical JSON text: {origin: {epoch: {scope: number}}}, names sorted, epochs as text."""
    tree: dict[str, dict[str, dict[str, int]]] = {}
    for (origin, epoch, scope), number in vector.items():
        tree.setdefault(origin, {}).setdefault(str(epoch), {})[scope] = number
    return json.dumps(tree, sort_keys=True, separators=(",", ":"))


def load_vector(text: str) -> dict[Component, int]:
    """Return the vector that ``dump_vector`` wrote; raise PeerError when it is none."""
    try:
        return tree_vector(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise PeerError("not a version vector", why=str(error)) from error


def tree_vector(tree: Any) -> dict[Component, int]:
    """Return the vector of a decoded tree; raise PeerError when it is none."""
    vector: dict[Component, int] = {}
    try:
        for origin, epochs in tree.items():
            for epoch, scopes in epochs.items():
                if epoch != str(check_number(int(epoch))):
                    raise ValueError(f"{epoch!r:.80} is not an epoch")
                for scope, number in scopes.items():
                    vector[check_text(origin), int(epoch), check_text(scope)] = check_number(number)
    except (AttributeError, ValueError) as error:
        raise PeerError("not a version vector", why=str(error)) from error
    return vector


def digest_vector(vector: Vector) -> str:
    """Return the 16 hex digits that name this vector as a context."""
    return blake2b(dump_vector(vector).encode(), digest_size=8).hexdigest()
