"""wheelhouse.py FOLDER: every wheel for an installation without a network.

FOLDER/<this system> fits this machine and its version of Python; FOLDER/windows fits Windows of 64 bits. pip
judges conditions such as ``sys_platform == "win32"`` by the machine where it runs, so what only Windows needs
is found here: requirements are followed from wheel to wheel, as Windows would, until none is missing.
"""

import argparse
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = "changecapture"


def main() -> None:
    """Make both folders anew; end with an error when a requirement cannot be had as a wheel."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--windows-python", default="3.12", metavar="3.N", help="default: 3.12")
    options = parser.parse_args()
    here = options.folder / platform.system().lower()
    windows = options.folder / "windows"
    for folder in {here, windows}:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    pip("wheel", "--wheel-dir", str(here), str(ROOT))
    own = next(here.glob(f"{PROJECT}-*.whl"))
    shutil.copy(own, windows)
    download_for_windows(windows, options.windows_python)
    for folder in (here, windows):
        print(f"{folder}: {len(list(folder.glob('*.whl')))} wheels")


def download_for_windows(folder: Path, python: str) -> None:
    """Download what our wheel in a folder needs on Windows, and what that needs."""
    environment = describe_windows(python)
    version = python.replace(".", "")
    kind = ("--platform", "win_amd64", "--python-version", version, "--only-binary=:all:", "--no-deps")
    while missing := find_missing(folder, environment):
        pip("download", "--dest", str(folder), *kind, *sorted(missing))


def describe_windows(python: str) -> dict[str, str]:
    """Return by what Windows judges the conditions of a requirement."""
    return {
        **{name: str(value) for name, value in default_environment().items()},
        "os_name": "nt",
        "sys_platform": "win32",
        "platform_system": "Windows",
        "platform_machine": "AMD64",
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }


def find_missing(folder: Path, environment: Mapping[str, str]) -> set[str]:
    """Return the requirements, of our wheel and of all that it needs, that no wheel of a folder meets."""
    wheels = {canonicalize_name(wheel.name.split("-")[0]): wheel for wheel in folder.glob("*.whl")}
    missing: set[str] = set()
    seen: set[tuple[str, frozenset[str]]] = set()
    wanted = [(canonicalize_name(PROJECT), frozenset[str]())]
    while wanted:
        name, extras = wanted.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        for requirement in read_requirements(wheels[name], extras, environment):
            other = canonicalize_name(requirement.name)
            if other in wheels:
                wanted.append((other, frozenset(requirement.extras)))
            else:
                missing.add(f"{requirement.name}{requirement.specifier}")
    return missing


def read_requirements(
    wheel: Path, extras: frozenset[str], environment: Mapping[str, str]
) -> Iterator[Requirement]:
    """Yield what a wheel needs, with these extras."""
    with ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        headers = HeaderParser().parsestr(archive.read(name).decode())
    for line in headers.get_all("Requires-Dist", []):
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({**environment, "extra": e}) for e in {"", *extras}):
            yield requirement


def pip(*arguments: str) -> None:
    """Run pip; end with its status when it fails."""
    done = subprocess.run([sys.executable, "-m", "pip", arguments[0], "--quiet", *arguments[1:]])
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
