"""Which site the key in a state directory is of: one that was renewed needs another.

A copy of a whole machine has the key too. Once its database is a site of its own (``changecapture site
renew``), it must not go on under the key of the site that it was: peers would take two machines for one.
Another installation in the same database is no copy, and goes on with the key.
"""

import json
from pathlib import Path

from changecapture.core.vector import Vector
from changecapture.errors import ConfigError
from changecapture.store.records import Site
from relay.trust.state import read_private, write_private

FILE = "site.json"


def check_owner(directory: Path, site: Site, held: Vector) -> None:
    """Keep that the key is of this site; raise ConfigError when it is of the one that this one was.

    ``held``: what the database holds, by which one that was installed anew is known.
    """
    path = directory / FILE
    owner = {"site": site.origin, "installed_at": site.installed_at}
    known = _read(path)
    if known == owner:
        return
    former = str(known.get("site", site.origin))
    renewed = known.get("installed_at") == site.installed_at or any(part[0] == former for part in held)
    if former != site.origin and renewed:
        raise ConfigError(
            f"the key in {directory} is of site {former}, and this database is site {site.origin} now",
            why="site renew has made it a site of its own, and its original may have the same key",
            mend=f"stop the relay, rename {directory} to {directory.name}.former, start the relay: it makes "
            "a new key; then pair it anew: changecapture-relay pair",
        )
    write_private(path, json.dumps(owner).encode())


def _read(path: Path) -> dict[str, object]:
    """Return what is kept, nothing when that cannot be read: it is no secret, and is written anew."""
    try:
        found = json.loads(read_private(path) or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
