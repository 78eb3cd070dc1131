"""What a database holds, as text to compare: by the servers' own dump programs and by ours."""

import os
import re
import subprocess
from urllib.parse import unquote, urlsplit, urlunsplit

from changecapture.core.catalogue import Catalogue
from changecapture.store import open_store
from tests.support.databases import dialect_of, fetch, name_of, run_client
from tests.support.servers import find_postgres

POSTGRESQL = 18


def read_catalogue(url: str) -> Catalogue:
    """Return the catalogue of the application's tables, as changecapture reads it."""
    store = open_store(url, installed=False)
    try:
        return store.read_catalogue()
    finally:
        store.close()


def dump_schema(url: str) -> str:
    """Return the whole schema, ours too, as pg_dump or mariadb-dump prints it."""
    if dialect_of(url) == "postgresql":
        dump = run_postgres("pg_dump", url, "--schema-only")
        return re.sub(r"(?m)^\\(un)?restrict .*\n", "", dump)  # a new random word each time
    # Whoever reads a view with his own rights needs no definer; ours of that kind compares nothing either.
    views = fetch(
        url,
        "SELECT table_name, view_definition, security_type, "
        "IF(security_type = 'INVOKER', '', CONCAT(definer, collation_connection)) "
        "FROM information_schema.views WHERE table_schema = DATABASE() ORDER BY table_name",
    )
    # mariadb-dump takes 40 ms for each view: they are read here.
    options = ["--no-data", "--triggers", "--routines", "--skip-comments"]
    options += [f"--ignore-table={name_of(url)}.{view}" for view, *_ in views]
    dump = run_client("mariadb-dump", url, options).decode()
    return re.sub(r" AUTO_INCREMENT=\d+", "", dump) + "\n".join(map(repr, views))


def dump_installation(url: str) -> tuple[object, ...]:
    """Return all that an installation makes, except who the site is: schema, registered tables, version."""
    prefix = "changecapture." if dialect_of(url) == "postgresql" else "changecapture_"
    version = "changecapture_version" if dialect_of(url) == "postgresql" else "version"
    tables = fetch(url, f"SELECT * FROM {prefix}synced_table ORDER BY table_id")
    site = fetch(url, f"SELECT epoch, last_number, last_pass, profile FROM {prefix}site")
    return dump_schema(url), tables, site, fetch(url, f"SELECT * FROM {prefix}{version}")


def run_script_file(url: str, script: str) -> None:
    """Run a script with psql or mariadb, as a DBA would; stop at the first error."""
    if dialect_of(url) == "postgresql":
        run_postgres("psql", url, "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", "-f", "-", stdin=script)
    else:
        run_client("mariadb", url, [], stdin=script.encode())


def run_postgres(program: str, url: str, *options: str, stdin: str = "") -> str:
    """Run one of PostgreSQL's programs on a database; return what it printed."""
    parts = urlsplit(url)
    address = urlunsplit(parts._replace(netloc=f"{parts.username}@{parts.hostname}:{parts.port or 5432}"))
    command = [str(find_postgres(POSTGRESQL) / program), f"--dbname={address}", *options]
    environ = {**os.environ, "PGPASSWORD": unquote(parts.password or ""), "PGCLIENTENCODING": "UTF8"}
    done = subprocess.run(
        command, input=stdin, env=environ, check=True, capture_output=True, text=True, encoding="utf-8"
    )
    return done.stdout
