"""A server that has no connection left is not one that does not run. Twin: test_mysql_errors.py."""

import psycopg
import pytest

from changecapture.config import parse_url
from changecapture.errors import Gone
from changecapture.store.postgresql_errors import map_error

URL = parse_url("postgresql://eden@127.0.0.1/eden")


@pytest.mark.parametrize(
    "text",
    [
        "FATAL:  sorry, too many clients already",
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute",
        'FATAL:  too many connections for role "eden"',
        'FATAL:  too many connections for database "eden"',
        "FATAL:  no more connections allowed (max_client_conn)",
    ],
)
def test_server_without_a_connection_left_is_waited_for_and_says_what_to_raise(text):
    found = map_error(psycopg.OperationalError(f"connection failed: {text}"), URL)
    assert type(found) is Gone
    assert str(found).startswith(f"no connection is left at {URL}: connection failed: FATAL: ")
    assert "raise max_connections" in str(found)
