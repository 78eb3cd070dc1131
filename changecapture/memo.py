"""The memo: what a site remembers of its own log outside the database.

One small file for each database: the last name that was given, and the digest of what it meant. A database
that does not hold that entry is not the one that was written to: it was restored from a backup, or copied
from elsewhere. The file may lag behind (a crash, another program that wrote), which proves nothing; it is
never ahead of what is durable in the database, and outlives a power cut as the database does. A file that is
gone or torn says nothing.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from changecapture.config import DatabaseURL
from changecapture.durable import sync_directory
from changecapture.errors import ConfigError

VARIABLE = "CHANGECAPTURE_STATE"
SYSTEM = Path("/var/lib/changecapture")


@dataclass(frozen=True, slots=True)
class Remembered:
    """The last name that was given, and the digest of its entry: '' while none was given in this epoch."""

    origin: str
    epoch: int
    number: int
    digest: str


class Memo:
    """The file of one database; what was read or written last is kept."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self._path = path
        self._read = False
        self._known: Remembered | None = None
        self.trusted = False
        """Whether the database was found, in this process, to be the one that is remembered."""
        self.begun = (0, 0)
        """The epoch and the last number that it had when it was: up to there a backup that holds the same
        last name may have been put back, and what it says of what was shipped may be too little."""

    @property
    def remembered(self) -> Remembered | None:
        """Return what the file says, None when it says nothing."""
        if not self._read:
            self._known = self._read_file()
            self._read = True
        return self._known

    def read_again(self) -> None:
        """Read the file once more when it is asked for: another connection may have written it."""
        self._read = False

    def keep(self, remembered: Remembered) -> None:
        """Write what is durable in the database by now; raise ConfigError where that is not possible."""
        self.trusted = True
        if remembered == self.remembered:
            return
        try:
            self._write_file(remembered)
        except OSError as error:
            raise _unusable(self._path, error) from error
        self._known = remembered

    def _write_file(self, remembered: Remembered) -> None:
        fresh = self._path.with_suffix(f".{os.getpid()}")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with fresh.open("w", encoding="utf-8") as file:
            file.write(json.dumps(asdict(remembered)))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        sync_directory(self._path.parent)

    def _read_file(self) -> Remembered | None:
        try:
            return Remembered(**json.loads(self._path.read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
            return None
        except OSError as error:
            raise _unusable(self._path, error) from error


def find_memo(
    url: DatabaseURL, directory: Path | None = None, environ: Mapping[str, str] = os.environ
) -> Memo:
    """Return the memo of a database, in a directory or where this user keeps such things."""
    place = f"{url.engine}-{url.host}-{url.port}-{url.database}"
    name = re.sub(r"[^A-Za-z0-9.-]", lambda found: f"_{ord(found[0]):x}_", place)
    return Memo((directory or default_directory(environ)) / f"{name}.json")


def default_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Return where memos are kept: what CHANGECAPTURE_STATE says, else the system's place for the
    administrator, else the user's."""
    if environ.get(VARIABLE):
        return Path(environ[VARIABLE])
    if os.geteuid() == 0:
        return SYSTEM
    state = environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "changecapture"


def _unusable(path: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"cannot keep {path}",
        why=f"{error.strerror or error}; a restored backup is noticed by it",
        mend=f"make room there, or name another directory: export {VARIABLE}=.., [site] state of a relay",
    )
