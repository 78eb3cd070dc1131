"""Accounts of people and programs on a test server: made with a password, gone at the end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from urllib.parse import urlsplit, urlunsplit

from tests.support.databases import dialect_of, run_script, with_name

PASSWORD = "choose one"
"""What ``changecapture doctor`` prints where a password is to be chosen."""

_numbers = count(1)


def with_login(url: str, name: str) -> str:
    """Return a URL of the same database for an account with that password."""
    parts = urlsplit(url)
    host = f"{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=f"{name}:{PASSWORD.replace(' ', '%20')}@{host}"))


@contextmanager
def account_name(url: str) -> Iterator[str]:
    """Give the name of an account that is not there yet; drop whatever has become of it at the end."""
    name = f"cc_{os.getpid()}_account_{next(_numbers)}"
    try:
        yield name
    finally:
        if dialect_of(url) == "mysql":
            run_script(url, f"DROP USER IF EXISTS '{name}'@'%', '{name}'@'localhost'")
        else:
            run_script(
                url,
                f"DO $$ BEGIN IF to_regrole('{name}') IS NOT NULL THEN DROP OWNED BY {name} CASCADE; "
                "END IF; END $$",
            )
            run_script(with_name(url, "postgres"), f"DROP ROLE IF EXISTS {name}")


@contextmanager
def new_account(url: str, *rights: str) -> Iterator[tuple[str, str]]:
    """Give the URL of an account with these rights (``SELECT ON camp``), and its name as GRANT takes it."""
    with account_name(url) as name:
        if dialect_of(url) == "mysql":
            account = f"'{name}'@'%'"
            run_script(url, f"CREATE USER {account} IDENTIFIED BY '{PASSWORD}'")
        else:
            account = name
            run_script(url, f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
        for right in rights:
            run_script(url, f"GRANT {right} TO {account}")
        yield with_login(url, name), account
