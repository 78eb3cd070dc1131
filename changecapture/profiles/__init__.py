"""Profiles: what is known of an application, one TOML file each, and how one is chosen.

The package brings ``PROFILES``. A DBA may give a file instead, which usually extends one of them:

    extends = "eden"
    [[table]]
    tables = ["pr_note"]
    sync = false
    why = "notes are confidential here"
"""

from collections.abc import Collection
from functools import cache
from importlib.resources import files
from pathlib import Path

from changecapture.core.catalogue import Catalogue
from changecapture.errors import ConfigError
from changecapture.profiles.model import Profile
from changecapture.profiles.reader import parse_profile

__all__ = ["AUTO", "PROFILES", "Profile", "choose_profile", "load_profile", "recognise"]

PROFILES = ("eden", "vesuvius", "sahana2", "generic")
AUTO = "auto"


def choose_profile(name: str, catalogue: Catalogue) -> Profile:
    """Return the profile that ``--profile NAME`` means for a database: auto, a name or a file."""
    return recognise(catalogue) if name == AUTO else load_profile(name)


def load_profile(name: str) -> Profile:
    """Return a profile of the package by its name, or of a file by its path (it ends in .toml).

    Raises ConfigError when there is none, or when the file is wrong.
    """
    if not name.endswith(".toml"):
        return _load_packaged(name)
    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"the profile {name} cannot be read", why=why, mend="correct the path") from error
    return parse_profile(path.stem, text, _load_packaged, where=name)


def recognise(catalogue: Catalogue) -> Profile:
    """Return the profile of the package whose application this database holds.

    Raises ConfigError, with what was looked for, when none or more than one fits.
    """
    present = {table.lower() for table in catalogue.tables}
    known = [profile for profile in map(_load_packaged, PROFILES) if profile.recognised_by]
    fitting = [p for p in known if not _absent(p, present)]
    if len(fitting) == 1:
        return fitting[0]
    name = catalogue.database
    choice = f"choose one: --profile {' or '.join((*PROFILES, 'FILE.toml'))}"
    if fitting:
        found = ", ".join(profile.name for profile in fitting)
        raise ConfigError(f"the database {name} fits several profiles: {found}", mend=choice)
    looked = "; ".join(f"{', '.join(_absent(p, present))} of {p.name}" for p in known)
    raise ConfigError(
        f"no profile recognises the database {name}",
        why=f"its {len(present)} tables lack {looked}"
        if present
        else f"it has no tables in schema {catalogue.schema}",
        mend=choice,
    )


def _absent(profile: Profile, present: Collection[str]) -> list[str]:
    return [table for table in profile.recognised_by if table.lower() not in present]


@cache
def _load_packaged(name: str) -> Profile:
    if name not in PROFILES:
        raise ConfigError(
            f"no profile is called {name!r}",
            mend=f"write {', '.join((AUTO, *PROFILES))} or the path of a .toml file",
        )
    text = files(__package__).joinpath(f"{name}.toml").read_text(encoding="utf-8")
    return parse_profile(name, text, _load_packaged)
