"""What a relay tells its peers of: all that this site published, whoever did it."""

import pytest

from changecapture.publish import publish
from changecapture.sync import NO_TERMS, answer, next_request
from relay.connection import DatabaseConnection


def receive(here, there, connection):
    """Let the relay of ``there`` receive what ``here`` has."""
    here.family.add_parent("from here")
    here.publish()
    payload = answer(here.store, next_request(there.store, here.origin)).payload
    connection.receive(here.origin, payload, NO_TERMS)


@pytest.mark.parametrize(
    "work",
    [
        receive,
        lambda here, there, connection: publish(there.store),
    ],
    ids=["a receive", "a command beside it"],
)
def test_what_another_published_is_news_once(families, work):
    here, there = families
    connection = DatabaseConnection(there.store)
    connection.publish()
    assert connection.publish() == 0
    there.family.add_parent("from there")
    work(here, there, connection)
    assert not there.captured()
    assert connection.publish() == 1
    assert connection.publish() == 0


def test_what_was_received_is_no_news_of_ours(families):
    here, there = families
    connection = DatabaseConnection(there.store)
    connection.publish()
    receive(here, there, connection)
    assert connection.publish() == 0
