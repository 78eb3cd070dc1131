"""The built databases are the real ones: what the server's own catalogue says equals the facts."""

import re
from collections import Counter, defaultdict
from dataclasses import replace

import pytest

from tests.support.databases import fetch, run_script
from tests.support.schemas import (
    CONSTANT_UUID,
    Column,
    ForeignKey,
    build_database,
    constant_uuid,
    read_catalogue,
)

TABLES = {"eden": 462, "vesuvius": 67, "sahana2": 91}
SUBSET = {"pr_person", "cr_shelter"}
POSTGRESQL_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL"}


@pytest.fixture(scope="module")
def eden_postgresql(postgres):
    yield build_database(postgres, "cc_eden_facts", "eden")
    postgres.drop_database("cc_eden_facts")


@pytest.fixture(scope="module", params=list(TABLES))
def mysql_schema(request, mariadb):
    """Each of MySQL's schemas: (name, URL of a database with it)."""
    database = f"cc_{request.param}_facts"
    yield request.param, build_database(mariadb, database, request.param)
    mariadb.drop_database(database)


def test_eden_on_postgresql_has_the_tables_columns_and_defaults_of_the_facts(eden_postgresql):
    facts = read_catalogue("eden-postgresql")
    found = read_postgresql_columns(eden_postgresql)
    assert len(found) == TABLES["eden"]
    assert found == {
        name: tuple(concrete(column, "cc_eden_facts", name) for column in table.columns)
        for name, table in facts.items()
    }


def test_eden_on_postgresql_has_the_keys_of_the_facts(eden_postgresql):
    facts = read_catalogue("eden-postgresql")
    primary, uniques, foreign = read_postgresql_keys(eden_postgresql)
    assert primary == {name: table.primary_key for name, table in facts.items()}
    assert uniques == unique_keys(facts)
    assert foreign == foreign_keys(facts)
    assert Counter(key.on_delete for keys in foreign.values() for key in keys.elements()) == {
        "SET NULL": 935,
        "RESTRICT": 697,
        "CASCADE": 513,
    }


def test_each_mysql_schema_has_the_tables_columns_and_defaults_of_the_facts(mysql_schema):
    schema, url = mysql_schema
    facts = read_catalogue(f"{schema}-mysql")
    found = read_mysql_columns(url)
    assert len(found) == TABLES[schema]
    assert found == {
        name: tuple(
            normal(concrete(column, f"cc_{schema}_facts", name), table.collation) for column in table.columns
        )
        for name, table in facts.items()
    }


def test_each_mysql_schema_has_the_keys_of_the_facts(mysql_schema):
    schema, url = mysql_schema
    facts = read_catalogue(f"{schema}-mysql")
    primary, uniques = read_mysql_keys(url)
    assert primary == {name: table.primary_key for name, table in facts.items() if table.primary_key}
    assert uniques == unique_keys(facts)
    assert read_mysql_foreign_keys(url) == foreign_keys(facts)


def test_each_mysql_schema_has_the_engines_and_collations_of_the_facts(mysql_schema):
    schema, url = mysql_schema
    found = fetch(
        url,
        "SELECT table_name, engine, table_collation FROM information_schema.tables"
        " WHERE table_schema = DATABASE()",
    )
    facts = read_catalogue(f"{schema}-mysql")
    assert set(found) == {(name, table.engine, table.collation) for name, table in facts.items()}


def test_subset_holds_the_named_tables_and_all_that_they_reference(server, new_database):
    url = new_database(server, "eden", SUBSET)
    tables = fetch(url, LIST_TABLES[server.dialect])
    assert {name for (name,) in tables} == {
        "auth_user", "cr_shelter", "cr_shelter_type", "doc_entity", "gis_location",
        "org_organisation", "org_site", "pr_pentity", "pr_person", "sit_trackable",
    }  # fmt: skip


def test_second_insert_without_uuid_clashes_with_the_constant_default(server, new_database):
    url = new_database(server, "eden", {"cr_shelter_type"}, follow=False)
    insert = "INSERT INTO cr_shelter_type (name) VALUES ('tent')"
    run_script(url, insert)
    with pytest.raises(Exception, match=r"(?i)duplicate"):
        run_script(url, insert)


def test_two_sites_have_different_constant_uuids(server, new_database):
    sites = [new_database(server, "eden", {"cr_shelter_type"}, follow=False) for _ in range(2)]
    for url in sites:
        run_script(url, "INSERT INTO cr_shelter_type (name) VALUES ('tent')")
    here, there = (fetch(url, "SELECT uuid FROM cr_shelter_type") for url in sites)
    assert here != there


LIST_TABLES = {
    "postgresql": "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'",
    "mysql": "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()",
}


def unique_keys(facts):
    return {name: set(table.uniques) for name, table in facts.items() if table.uniques}


def foreign_keys(facts):
    return {name: Counter(table.foreign_keys) for name, table in facts.items() if table.foreign_keys}


def concrete(column, database, table):
    """The column with the constant that this database has for the facts' placeholder."""
    if column.default != CONSTANT_UUID:
        return column
    return replace(column, default=f"'{constant_uuid(database, table)}'")


def read_postgresql_columns(url):
    rows = fetch(
        url,
        """
        SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
            pg_get_expr(d.adbin, d.adrelid)
        FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
        LEFT JOIN pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
        ORDER BY c.relname, a.attnum
        """,
    )
    found = defaultdict(tuple)
    for table, column, kind, nullable, default in rows:
        kind = kind.replace("character varying", "varchar")
        kind = kind.replace("timestamp without time zone", "timestamp")
        extra = None
        if default and default.startswith("nextval("):
            default, extra = None, "serial"
        elif default and "urn:uuid:" in default:
            default = default.removesuffix("::character varying")
        found[table] += (Column(column, kind, nullable, default, extra),)
    return found


def read_postgresql_keys(url):
    rows = fetch(
        url,
        """
        SELECT conrelid::regclass::text, contype::text, confrelid::regclass::text,
            confdeltype::text, confupdtype::text,
            ARRAY(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS k (number, place)
                JOIN pg_attribute ON attrelid = conrelid AND attnum = number ORDER BY place),
            ARRAY(SELECT attname::text FROM unnest(confkey) WITH ORDINALITY AS k (number, place)
                JOIN pg_attribute ON attrelid = confrelid AND attnum = number ORDER BY place)
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
        """,
    )
    primary, uniques, foreign = {}, defaultdict(set), defaultdict(Counter)
    for table, kind, target, on_delete, on_update, columns, referenced in rows:
        if kind == "p":
            primary[table] = tuple(columns)
        elif kind == "u":
            uniques[table].add(tuple(columns))
        elif kind == "f":
            actions = POSTGRESQL_ACTIONS[on_delete], POSTGRESQL_ACTIONS[on_update]
            foreign[table][ForeignKey(tuple(columns), target, tuple(referenced), *actions)] += 1
    return primary, uniques, foreign


def read_mysql_columns(url):
    rows = fetch(
        url,
        """
        SELECT c.table_name, c.column_name, c.column_type, c.is_nullable, c.column_default,
            c.extra, c.collation_name, t.table_collation
        FROM information_schema.columns AS c
        JOIN information_schema.tables AS t USING (table_schema, table_name)
        WHERE c.table_schema = DATABASE() ORDER BY c.table_name, c.ordinal_position
        """,
    )
    found = defaultdict(tuple)
    for table, name, kind, nullable, default, extra, collation, table_collation in rows:
        column = Column(name, kind, nullable == "YES", default, extra, collation)
        found[table] += (normal(column, table_collation),)
    return found


def normal(column, table_collation):
    """The column as MySQL 8 and MariaDB both say it: they differ in how they print defaults."""
    default = column.default
    if default is not None:
        default = default.strip("'").lower().removesuffix("()")
    extra = (column.extra or "").lower().replace("default_generated", "").replace("()", "").strip()
    return Column(
        column.name,
        re.sub(r"int\(\d+\)", "int", column.type),
        column.nullable,
        None if default == "null" else default,
        extra or None,
        None if column.collation == table_collation else column.collation,
    )


def read_mysql_keys(url):
    rows = fetch(
        url,
        """
        SELECT table_name, index_name, column_name FROM information_schema.statistics
        WHERE table_schema = DATABASE() AND non_unique = 0
        ORDER BY table_name, index_name, seq_in_index
        """,
    )
    keys = defaultdict(tuple)
    for table, index, column in rows:
        keys[table, index] += (column,)
    uniques = defaultdict(set)
    for (table, index), columns in keys.items():
        if index != "PRIMARY":
            uniques[table].add(columns)
    return {table: columns for (table, index), columns in keys.items() if index == "PRIMARY"}, uniques


def read_mysql_foreign_keys(url):
    rows = fetch(
        url,
        """
        SELECT k.table_name, k.column_name, k.referenced_table_name, k.referenced_column_name,
            r.delete_rule, r.update_rule
        FROM information_schema.key_column_usage AS k
        JOIN information_schema.referential_constraints AS r
            ON r.constraint_schema = k.constraint_schema AND r.table_name = k.table_name
            AND r.constraint_name = k.constraint_name
        WHERE k.table_schema = DATABASE() AND k.referenced_table_name IS NOT NULL
        """,
    )
    found = defaultdict(Counter)
    for table, column, target, referenced, on_delete, on_update in rows:
        found[table][ForeignKey((column,), target, (referenced,), on_delete, on_update)] += 1
    return found
