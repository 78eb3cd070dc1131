"""PostgreSQL's json holds what its jsonb cannot: NUL, half of a pair, vast numbers; a row like any."""

import pytest

from tests.support.sites import assert_in_step, exchange

TABLE = "CREATE TABLE doc (uuid varchar(40) PRIMARY KEY, body {}, note text)"
NUL, HALF, NUMBER = r'{"a":"\u0000"}', r'{"a":"\ud800 x"}', '{"n":1e400000,"m":-2E-999999}'


@pytest.fixture
def sites(new_tables):
    """Two sites with the same documents."""
    here, there = (
        new_tables("postgresql", TABLE.format("json")),
        new_tables("mariadb", TABLE.format("longtext")),
    )
    for key, body in (("received", NUL), ("deleted", HALF), ("truncated", NUL), ("vast", NUMBER)):
        here.family("INSERT INTO doc VALUES (%s, %s, 'x')", key, body)
    exchange(here, there)
    return here, there


def test_row_with_odd_json_is_deleted_and_its_table_truncated_at_both_sites(sites):
    here, there = sites
    here.family("DELETE FROM doc WHERE uuid = 'deleted'")
    there.family("DELETE FROM doc WHERE uuid = 'received'")
    exchange(here, there)
    assert here.parked() == {}
    assert assert_in_step(here, there).rows == {"doc": 2}
    here.run("TRUNCATE doc")
    exchange(here, there)
    assert there.family.rows("SELECT uuid FROM doc") == []
    assert here.set_aside() == []


def test_history_shows_a_sign_in_the_place_of_what_cannot_be_shown(sites):
    here, there = sites
    query = "SELECT body::text FROM {p}doc_history WHERE deleted ORDER BY uuid"
    here.family("DELETE FROM doc WHERE uuid <> 'received'")
    shown = [(r'{"a":"\ufffd x"}',), (r'{"a":"\ufffd"}',), (NUMBER,)]
    assert here.fetch(query) == shown
    exchange(here, there)
    assert here.fetch(query) == shown
