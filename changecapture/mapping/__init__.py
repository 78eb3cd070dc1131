"""Mappings: how another application's rows become rows of the common vocabulary, and back.

On the wire and in the log people are rows of Eden's tables. A site whose application has other tables
(SahanaPHP) is installed with a mapping, one TOML file: a *lens* (``lens``) then stands between what is
merged and what its tables show. ``get`` makes the common rows of a record from the application's, ``put``
the other way. Reading a mapping is ``reader``, what one is ``model``; the database's side is ``bridge``
(publish) and ``changecapture.apply.mapped`` (apply).
"""

from functools import cache
from importlib.resources import files
from pathlib import Path

from changecapture.errors import ConfigError
from changecapture.mapping.model import Lens
from changecapture.mapping.reader import parse_mapping

MAPPINGS = ("vesuvius", "sahana2")

__all__ = ["MAPPINGS", "Lens", "counted_tables", "load_mapping", "read_text"]


def read_text(name: str) -> str:
    """Return the text of a mapping of the package by its name, or of a file by its path (.toml)."""
    if name in MAPPINGS:
        return files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
    if not name.endswith(".toml"):
        raise ConfigError(
            f"no mapping is called {name!r}",
            mend=f"write {', '.join(MAPPINGS)} or the path of a .toml file",
        )
    try:
        return Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        mend = "save it as UTF-8" if isinstance(error, UnicodeDecodeError) else "correct the path"
        raise ConfigError(f"the mapping {name} cannot be read", why=why, mend=mend) from error


@cache
def load_mapping(text: str, where: str = "the installed mapping") -> Lens:
    """Return the mapping that a text holds."""
    return parse_mapping(text, where)


@cache
def counted_tables() -> tuple[str, ...]:
    """Return the tables, of the applications and common ones, whose rows applications name by counting."""
    records = [record for name in MAPPINGS for record in load_mapping(read_text(name), name).records]
    counted = [record for record in records if not (record.root.parent or record.named)]
    return tuple(sorted({r.anchor.table for r in counted} | {r.root.table for r in counted}))
