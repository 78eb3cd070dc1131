"""Where a bundle or a receipt is put: on a stick that others have had in their hands.

Who can write to the stick can leave anything there, links too. So nothing is written through a name that
was there: a new file is made, and takes its place when it is whole.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from changecapture.errors import ConfigError

LOOK = 4096
"""Bytes by which a file is known."""


@contextmanager
def written_whole(path: Path, what: str, is_ours: Callable[[bytes], bool]) -> Iterator[IO[bytes]]:
    """Give a file that stands at ``path`` when all went well, and is gone otherwise.

    Raises ConfigError where that cannot be written, or where something else than ``what`` is there.
    """
    part: Path | None = None
    try:
        _check(path, what, is_ours)
        with NamedTemporaryFile("wb", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            part = Path(file.name)
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}", why=error.strerror or str(error)) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _check(path: Path, what: str, is_ours: Callable[[bytes], bool]) -> None:
    """Refuse to write over what is not ours."""
    if path.is_symlink():
        raise ConfigError(f"{path} is a link to another file", mend="take it away, or name another file")
    if path.exists():
        with path.open("rb") as file:
            if not is_ours(file.read(LOOK)):
                raise ConfigError(f"{path} is there, and is no {what}", mend="name another file")
