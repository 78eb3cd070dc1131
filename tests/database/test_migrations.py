"""The frozen migrations build what triggers/<dialect>/schema.sql says, and take it away again."""

import pytest

from changecapture.config import parse_url
from changecapture.install import migrate
from changecapture.sql import read_statements
from tests.support.databases import fetch, run_script
from tests.support.dumps import dump_schema

VERSION = {"postgresql": "changecapture.changecapture_version", "mysql": "changecapture_version"}


@pytest.fixture
def built_both_ways(server, new_database):
    """Two databases: one brought to head by Alembic, one built from the current schema.sql."""
    migrated, current = new_database(server), new_database(server)
    migrate(parse_url(migrated))
    for statement in read_statements("triggers", f"{server.dialect}/schema.sql").values():
        run_script(current, statement)
    run_script(migrated, f"DROP TABLE {VERSION[server.dialect]}")
    return migrated, current


def test_migrations_build_the_current_schema(built_both_ways):
    """Tables, columns, types, collations, defaults, checks and indexes."""
    migrated, current = built_both_ways
    assert dump_schema(migrated) == dump_schema(current)
    assert "captured" in dump_schema(current)


def test_every_index_has_the_same_columns_on_both_engines(postgres, mariadb, new_database):
    found = {}
    for server in (postgres, mariadb):
        url = new_database(server)
        migrate(parse_url(url))
        if server.dialect == "postgresql":
            query = (
                "SELECT t.relname, i.indisunique, array_agg(a.attname::text ORDER BY k.n) FROM pg_index i "
                "JOIN pg_class t ON t.oid = i.indrelid "
                "CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k(attnum, n) "
                "JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum "
                "WHERE t.relnamespace = 'changecapture'::regnamespace GROUP BY 1, 2, i.indexrelid"
            )
            rows = [(table, unique, tuple(columns)) for table, unique, columns in fetch(url, query)]
        else:
            query = (
                "SELECT table_name, NOT MAX(non_unique), GROUP_CONCAT(column_name ORDER BY seq_in_index) "
                "FROM information_schema.statistics WHERE table_schema = DATABASE() "
                "GROUP BY table_name, index_name"
            )
            rows = [
                (table.removeprefix("changecapture_"), bool(unique), tuple(columns.split(",")))
                for table, unique, columns in fetch(url, query)
            ]
        found[server.dialect] = sorted(row for row in rows if "version" not in row[0])
    assert found["postgresql"] == found["mysql"]


def test_downgrade_leaves_an_empty_database_as_it_was(server, new_database):
    url = new_database(server)
    before = dump_schema(url)
    migrate(parse_url(url))
    assert dump_schema(url) != before
    migrate(parse_url(url), "base")
    assert dump_schema(url) == before


def test_upgrade_of_what_is_already_there_changes_nothing(server, new_database):
    url = new_database(server)
    migrate(parse_url(url))
    before = dump_schema(url)
    migrate(parse_url(url))
    assert dump_schema(url) == before
