"""What a server says of its files or its connections is about no row: nothing is set aside, all waits."""

import pymysql
import pytest

from changecapture.config import parse_url
from changecapture.errors import ConfigError, DataError, Gone, RetryLater, Unwritable
from changecapture.faults import concerns_row
from changecapture.store.mysql_errors import map_error

URL = parse_url("mysql://eden@127.0.0.1/eden")


@pytest.mark.parametrize(
    ("code", "text", "means"),
    [
        (3, "Error writing file '/tmp/MYfd=41' (Errcode: 28 \"No space left on device\")", Unwritable),
        (1, "Can't create/write to file '/tmp/#sql_1.MAI' (Errcode: 2)", Unwritable),
        (1030, 'Got error 28 "No space left on device" from storage engine Aria', Unwritable),
        (1317, "Query execution was interrupted", RetryLater),
        (1412, "Table definition has changed, please retry transaction", RetryLater),
        (1226, "User 'u' has exceeded the 'max_updates_per_hour' resource (current value: 5)", ConfigError),
        (1820, "You must SET PASSWORD before executing this statement", ConfigError),
        (4151, "Access denied, this account is locked", ConfigError),
        (2026, "SSL is required but the server doesn't support it", ConfigError),
        (2003, "Can't connect ([SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed)", ConfigError),
        (1047, "WSREP has not yet prepared node for application use", Gone),
        (4031, "The client was disconnected by the server because of inactivity.", Gone),
    ],
)
def test_error_that_is_about_no_row_makes_all_wait(code, text, means):
    found = map_error(pymysql.OperationalError(code, text), URL)
    assert type(found) is means
    assert not concerns_row(found)


def test_error_of_one_table_stops_no_other():
    error = pymysql.InternalError(1030, 'Got error 127 "No record found" from storage engine Aria')
    assert concerns_row(map_error(error, URL))


def test_row_that_the_server_does_not_read_is_named_with_what_to_raise():
    found = map_error(
        pymysql.OperationalError(1153, "Got a packet bigger than 'max_allowed_packet' bytes"), URL
    )
    assert isinstance(found, DataError)
    assert (found.reason, concerns_row(found)) == ("large", True)
    assert "raise max_allowed_packet to 64M" in str(found)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (1040, "Too many connections"),
        (1203, "User u already has more than 'max_user_connections' active connections"),
        (1226, "User 'u' has exceeded the 'max_user_connections' resource (current value: 2)"),
    ],
)
def test_server_without_a_connection_left_is_waited_for_and_says_what_to_raise(code, text):
    found = map_error(pymysql.OperationalError(code, text), URL)
    assert type(found) is Gone
    assert str(found).startswith(
        f"no connection is left at {URL}: {text} (end some, or raise max_connections"
    )
