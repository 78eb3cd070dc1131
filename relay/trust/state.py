"""The state directory: what a relay keeps outside its database, readable by its owner alone.

A copy of the database is then no identity. Whatever others could read or replace is refused, not
mended: somebody may have read it already. Files are written whole or not at all.
"""

import os
import stat
import sys
from pathlib import Path
from typing import IO

from changecapture.durable import sync_directory
from changecapture.errors import ConfigError

LOCK = "lock"


def open_state(directory: Path) -> Path:
    """Make the directory where it is missing; raise ConfigError when others may look into it."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"cannot make the state directory {directory}",
            why=error.strerror or str(error),
            mend="set another [site] state, or run as who may write there",
        ) from error
    check_private(directory)
    return directory


def check_private(path: Path) -> None:
    """Raise ConfigError unless the path is ours and nobody else's.

    Windows has no such bits: there a profile's directory is its user's by inheritance.
    """
    if sys.platform == "win32":
        return
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise ConfigError(
            f"{path} belongs to another user",
            mend=f"run the relay as its owner, or: chown {os.geteuid()} {path}",
        )
    if found.st_mode & 0o077:
        right = "700" if stat.S_ISDIR(found.st_mode) else "600"
        raise ConfigError(
            f"other users may reach {path}",
            why="who has the key is this site, for every peer",
            mend=f"chmod {right} {path}; where others were on this machine, remove it and pair anew",
        )


def read_private(path: Path) -> bytes | None:
    """Return the content of a file, None when there is none; raise ConfigError."""
    try:
        check_private(path)
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"cannot read {path}", why=error.strerror or str(error)) from error


def write_private(path: Path, content: bytes) -> None:
    """Put a file in place of the one that is there; durable when it returns. Raises ConfigError."""
    new = path.with_name(f"{path.name}.new")
    try:
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, path)
        sync_directory(path.parent)
    except OSError as error:
        raise ConfigError(f"cannot write {path}", why=error.strerror or str(error)) from error


class Lock:
    """Held by the one program that works with a state directory; given back by its end, however it ends."""

    def __init__(self, directory: Path, name: str = LOCK) -> None:
        """Nothing is held yet."""
        self._path = directory / name
        self._file: IO[bytes] | None = None

    def take(self) -> bool:
        """Return whether it is ours now."""
        file = open(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
        try:
            _lock(file)
        except OSError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Give it back."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


def _lock(file: IO[bytes]) -> None:
    """Lock a file for this process; raise OSError when another one has it."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
