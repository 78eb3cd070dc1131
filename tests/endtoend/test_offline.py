"""Installations without a network and without Python, tried where there is neither."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import NewDatabase
from tests.support.applications import add_camps, create_camps, read_camps
from tests.support.databases import DatabaseServer

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = (
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libz.so.1",
)
pytestmark = pytest.mark.long


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheels_install_without_a_network(tmp_path: Path) -> None:
    run(sys.executable, "scripts/wheelhouse.py", tmp_path / "wheels")
    run(sys.executable, "-m", "venv", tmp_path / "venv")
    pip = (tmp_path / "venv/bin/pip", "install", "--no-index", "--find-links", tmp_path / "wheels/linux")
    run("unshare", "--net", "--map-root-user", *pip, "changecapture")
    assert "version" in run(tmp_path / "venv/bin/changecapture", "--version", cwd=tmp_path)
    assert any((tmp_path / "wheels/windows").glob("psycopg_binary-*win_amd64.whl"))


def test_the_portable_folder_runs_where_there_is_no_python(
    tmp_path: Path, postgres: DatabaseServer, mariadb: DatabaseServer, new_database: NewDatabase
) -> None:
    """Installed, in step and compared: all that is read as files is there, for both kinds of server."""
    folder = tmp_path / "built"
    run(
        *(sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR"),
        *("--distpath", folder, "--workpath", tmp_path / "work", "scripts/portable.spec"),
    )
    root = make_root(tmp_path / "root")
    shutil.copytree(folder / "changecapture", root / "programs")
    for program in ("changecapture", "changecapture-relay"):
        assert "version" in run(
            "unshare", "--map-root-user", "--root", root, f"/programs/{program}", "--version"
        )
    enter = ("unshare", "--map-root-user", "--root", root, "/programs/changecapture")
    urls = [create_camps(new_database(server)) for server in (postgres, mariadb)]
    for url in urls:
        run(*enter, "install", url, "--profile", "generic")
    add_camps(urls[0], 3)
    assert run(*enter, "sync", *urls).splitlines()[-1] == "equal"
    assert run(*enter, "verify", *urls).startswith("equal: 3 rows compared")
    assert read_camps(urls[1]) == read_camps(urls[0])
    for scheme in ("postgresql", "mysql"):
        url = f"{scheme}://relay:secret@127.0.0.1:1/eden"
        answer = subprocess.run((*enter, "status", url), capture_output=True, text=True)
        assert (answer.returncode, "cannot reach" in answer.stderr) == (2, True), answer.stderr


def make_root(root: Path) -> Path:
    """A root with the C library, its loader and zlib, and with no shell, no Python, nothing else."""
    (root / "tmp").mkdir(parents=True)
    libraries = root / "lib" / "x86_64-linux-gnu"
    libraries.mkdir(parents=True)
    (root / "lib64").mkdir()
    shutil.copy("/lib64/ld-linux-x86-64.so.2", root / "lib64")
    for name in LIBRARIES:
        shutil.copy(Path("/lib/x86_64-linux-gnu", name), libraries)
    return root
