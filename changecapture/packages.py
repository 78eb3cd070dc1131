"""The four packages stand beside each other, or nothing runs.

``migrations``, ``triggers`` and ``relay`` are common names. Another distribution with one of them
overwrites ours without a word, and another folder on the path hides it: then the SQL of somebody else
would be installed in the application's database.
"""

from importlib.util import find_spec
from pathlib import Path

from changecapture.errors import ConfigError

PACKAGES = ("migrations", "triggers", "relay")
FILES = {
    "migrations": "frozen.py",
    "triggers": "postgresql/capture.sql",
    "relay": "session.py",
}
"""A file of ours in each of them: what another distribution's package would not have."""


def check_packages() -> None:
    """Raise ConfigError when one of the packages is missing or is not ours."""
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is None or spec.origin is None:
            raise _refuse(f"the package {name} is not installed beside changecapture", home)
        found = Path(spec.origin).resolve().parent
        if found.parent != home or not (found / FILES[name]).is_file():
            raise _refuse(f"the package {name} in {found} is not the one of changecapture", home)


def _refuse(what: str, home: Path) -> ConfigError:
    return ConfigError(
        what,
        why=f"changecapture itself stands in {home}",
        mend="install changecapture into a virtual environment of its own; run it without PYTHONPATH",
    )
