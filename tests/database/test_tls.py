"""A database that speaks TLS: who names the authority of its certificate is told when another answers.

The server is of this file: its certificate is the subject. PostgreSQL's driver checks by its own means.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from changecapture.config import parse_url
from changecapture.errors import ConfigError
from changecapture.store.mysql import MySQLStore
from tests.support.servers import MariaDBServer, scratch_directory

pytestmark = pytest.mark.long
NAMES = "subjectAltName=DNS:localhost"


def sign(directory: Path) -> None:
    """Write two authorities, and a certificate of the first for localhost."""
    for name in ("ca", "other"):
        run("req -x509 -newkey rsa:2048 -nodes -days 2 -subj", f"/CN={name}", name, directory, "-out")
    run("req -newkey rsa:2048 -nodes -subj", "/CN=server", "server", directory, "-out")
    (directory / "names").write_text(NAMES)
    command = "x509 -req -in server.pem -CA ca.pem -CAkey ca.key -days 2 -extfile names -out signed.pem"
    subprocess.run(["openssl", *command.split()], cwd=directory, check=True, capture_output=True)
    for file in [directory, *directory.iterdir()]:
        file.chmod(0o755)


def run(options: str, subject: str, name: str, directory: Path, out: str) -> None:
    command = ["openssl", *options.split(), subject, "-keyout", f"{name}.key", out, f"{name}.pem"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Path]]:
    """The URL of a MariaDB with TLS, at 127.0.0.1, which its certificate does not name, and the files."""
    with scratch_directory() as directory:
        files = directory / "files"
        files.mkdir()
        sign(files)
        names = {"ssl-ca": "ca.pem", "ssl-cert": "signed.pem", "ssl-key": "server.key"}
        options = {option: str(files / name) for option, name in names.items()}
        with MariaDBServer(directory / "mariadb", options=options) as made:
            yield made.create_database("site"), files


def connect(server: tuple[str, Path], options: str) -> bool:
    """Return whether the connection is encrypted."""
    url, files = server
    store = MySQLStore(parse_url(url + options.format(files=files)))
    try:
        return bool(store.query("SHOW STATUS LIKE 'Ssl_cipher'")[0][1])
    finally:
        store.close()


@pytest.mark.parametrize("options", ["", "?ssl_ca={files}/ca.pem", "?ssl_disabled=false"])
def test_connection_is_encrypted(server, options):
    assert connect(server, options)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("?ssl_ca={files}/other.pem", "certificate verify failed"),
        ("?ssl_verify_cert=true", "certificate verify failed"),
        ("?ssl_ca={files}/ca.pem&ssl_verify_identity=true", "not valid for '127.0.0.1'"),
        ("?ssl_ca={files}/missing.pem", "missing.pem cannot be used"),
        ("?ssl_ca={files}/ca.key", "ca.key cannot be used"),
        ("?ssl=true", "the options of the database URL are not the driver's: ssl"),
    ],
)
def test_what_cannot_be_checked_is_refused_with_the_reason(server, options, why):
    with pytest.raises(ConfigError, match=why):
        connect(server, options)
