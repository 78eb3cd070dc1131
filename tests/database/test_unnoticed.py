"""The application is answered as it would be without us: two databases, capture in one of them."""

from contextlib import closing

import psycopg
import pymysql
import pytest

from tests.support import estate
from tests.support.accounts import new_account
from tests.support.databases import connect_mysql, connect_postgresql, dialect_of, fetch, name_of, run_script
from tests.support.family import Family
from tests.support.sites import Site, assert_in_step, exchange

TABLES = """
CREATE TABLE person (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, name varchar(60), age integer DEFAULT 7
){engine};
CREATE TABLE contact (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, person_id integer, value varchar(60),
    FOREIGN KEY (person_id) REFERENCES person (id) ON DELETE CASCADE
){engine};
CREATE TABLE audit (id {serial} PRIMARY KEY, what varchar(100)){engine};
"""
ROWS = """
INSERT INTO person (uuid, name, age) VALUES ('a', 'Anna', 1), ('b', 'Ben', 2), ('c', 'Cleo', 3),
('d', 'Dan', 4);
INSERT INTO contact (uuid, person_id, value) VALUES ('a1', 1, 'x'), ('b1', 2, 'y'), ('c1', 3, 'z')
"""
TRIGGERS = {
    "postgresql": """
CREATE FUNCTION app_before() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; NEW.name := trim(NEW.name); RETURN NEW; END $$;
CREATE FUNCTION app_after() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO audit (what) VALUES (TG_OP || ' ' || coalesce(NEW.uuid, OLD.uuid)); RETURN NULL; END $$;
CREATE TRIGGER app_before BEFORE INSERT OR UPDATE OR DELETE ON person
FOR EACH ROW EXECUTE FUNCTION app_before();
CREATE TRIGGER "000_app_after" AFTER INSERT OR UPDATE OR DELETE ON person
FOR EACH ROW EXECUTE FUNCTION app_after();
""",
    "mysql": "".join(
        f"CREATE TRIGGER app_before_{event} BEFORE {event} ON person FOR EACH ROW {before};"
        f"CREATE TRIGGER app_after_{event} AFTER {event} ON person FOR EACH ROW "
        f"INSERT INTO audit (what) VALUES (CONCAT('{event} ', {row}.uuid));"
        for event, row, before in (
            ("INSERT", "NEW", "SET NEW.name = TRIM(NEW.name)"),
            ("UPDATE", "NEW", "SET NEW.name = TRIM(NEW.name)"),
            ("DELETE", "OLD", "SET @app_deleted = OLD.uuid"),
        )
    ),
}
BOTH = (
    "INSERT INTO person (uuid, name, age) VALUES ('e', ' Eve ', 5), ('f', 'Finn', 6)",
    "INSERT INTO person (uuid, name) SELECT concat(uuid, uuid), name FROM person WHERE age < 3",
    "UPDATE person SET age = age + 1 WHERE age > 2",
    "UPDATE person SET age = age",
    "UPDATE person SET uuid = 'g' WHERE uuid = 'f'",
    "UPDATE person SET age = 1 WHERE uuid = 'nobody'",
    "SELECT * FROM person ORDER BY id",
    "DELETE FROM person WHERE uuid = 'e'",
    "DELETE FROM person WHERE uuid = 'a'",
    "DELETE FROM person WHERE uuid = 'nobody'",
    "INSERT INTO person (uuid, name) VALUES ('b', 'a key that is taken')",
    "INSERT INTO person (uuid, name) VALUES ('i', 'last')",
    "SELECT * FROM contact ORDER BY id",
)
STATEMENTS = {
    "postgresql": (
        *BOTH,
        "INSERT INTO person VALUES (DEFAULT, 'h', 'Hans', 8)",
        "INSERT INTO person (uuid, name) VALUES ('j', ' Jo '), ('k', 'Kim') RETURNING *",
        "INSERT INTO person (uuid) VALUES ('j'), ('l') ON CONFLICT (uuid) DO NOTHING RETURNING id",
        "INSERT INTO person (uuid) VALUES ('j'), ('m') ON CONFLICT (uuid) DO UPDATE SET age = 90 RETURNING *",
        "UPDATE person SET age = 91 WHERE uuid IN ('j', 'k') RETURNING uuid, age",
        "UPDATE contact SET value = p.name FROM person p WHERE p.id = person_id",
        "MERGE INTO person USING (VALUES ('j'), ('n')) AS n(u) ON uuid = n.u "
        "WHEN MATCHED THEN UPDATE SET age = 0 WHEN NOT MATCHED THEN INSERT (uuid) VALUES (n.u)",
        "DELETE FROM contact USING person p WHERE p.id = person_id AND p.uuid = 'b' RETURNING *",
        "WITH gone AS (DELETE FROM person WHERE age = 0 RETURNING uuid) SELECT count(*) FROM gone",
        "SELECT currval('person_id_seq')",
        "TRUNCATE contact",
    ),
    "mysql": (
        *BOTH,
        "INSERT INTO person VALUES (NULL, 'h', 'Hans', 8)",
        "INSERT INTO person VALUES (100, 'hh', 'Hans', 8)",
        "INSERT IGNORE INTO person (uuid) VALUES ('b'), ('l')",
        "INSERT INTO person (uuid) VALUES ('b'), ('m') ON DUPLICATE KEY UPDATE age = 90",
        "REPLACE INTO person (uuid, name) VALUES ('b', 'again'), ('o', 'new')",
        "UPDATE person p JOIN contact c ON c.person_id = p.id SET p.age = 9, c.value = 'both'",
        "UPDATE IGNORE person SET uuid = 'c' WHERE uuid = 'd'",
        "UPDATE person SET age = 1 ORDER BY id LIMIT 2",
        "DELETE p, c FROM person p LEFT JOIN contact c ON c.person_id = p.id WHERE p.uuid = 'c'",
        "DELETE FROM person ORDER BY id DESC LIMIT 2",
        "INSERT INTO person (uuid, age) VALUES ('p', '12x')",
        "DELETE FROM contact",
    ),
}


class Application:
    """Runs statements and keeps all that it was answered."""

    def __init__(self, url: str) -> None:
        self.mysql = dialect_of(url) == "mysql"
        self.connection = connect_mysql(url) if self.mysql else connect_postgresql(url)
        self.notices: list[str] = []
        if self.mysql:
            run_script(url, "SELECT 1")
            with self.connection.cursor() as cursor:
                cursor.execute("SET sql_mode = ''")  # as old PHP has it: warnings instead of errors
        else:
            self.connection.add_notice_handler(lambda notice: self.notices.append(notice.message_primary))

    def ask(self, statement: str) -> tuple[object, ...]:
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(statement)
            except (psycopg.Error, pymysql.Error) as error:
                return statement, type(error), str(error)
            names = [column[0] for column in cursor.description or ()]
            rows = cursor.fetchall() if cursor.description else None
            answer = statement, cursor.rowcount, names, rows, tuple(self.notices)
            if self.mysql:
                identifier = cursor.lastrowid
                cursor.execute("SELECT @@warning_count, ROW_COUNT(), LAST_INSERT_ID(), @@insert_id")
                answer += (identifier, cursor.fetchall())
            return answer

    def close(self) -> None:
        self.connection.close()


def script(kind, *, triggers):
    """Return what makes the application on "postgresql" or "mariadb"."""
    dialect = "postgresql" if kind == "postgresql" else "mysql"
    serial, engine = (
        ("serial", "") if dialect == "postgresql" else ("integer AUTO_INCREMENT", " ENGINE=InnoDB")
    )
    return TABLES.format(serial=serial, engine=engine) + (TRIGGERS[dialect] if triggers else "") + ROWS


@pytest.fixture(params=["postgresql", "mariadb"])
def kind(request):
    return request.param


@pytest.fixture
def make(request, kind, new_database, new_tables):
    """Makes the application twice: beside us, and as it would be without us."""
    server = request.getfixturevalue({"postgresql": "postgres", "mariadb": "mariadb"}[kind])

    def create(*, triggers=True):
        plain = new_database(server)
        run_script(plain, script(kind, triggers=triggers))
        return new_tables(kind, script(kind, triggers=triggers)), plain

    return create


def answers(url):
    with closing(Application(url)) as application:
        return [application.ask(statement) for statement in STATEMENTS[dialect_of(url)]]


def tables(url):
    return {
        table: fetch(url, f"SELECT * FROM {table} ORDER BY id") for table in ("person", "contact", "audit")
    }


@pytest.mark.parametrize("triggers", [False, True])
def test_application_is_told_the_same_as_without_us(make, new_tables, kind, triggers):
    """Row counts, new ids, RETURNING, warnings, errors; its own triggers, of each event and time, work on."""
    site, plain = make(triggers=triggers)
    assert answers(site.url) == answers(plain)
    assert tables(site.url) == tables(plain)
    assert bool(tables(plain)["audit"]) == triggers
    peer = new_tables("postgresql", TABLES.format(serial="serial", engine=""))
    exchange(site, peer)
    assert_in_step(site, peer)


def test_triggers_that_the_application_makes_later_work_too(make, kind):
    site, plain = make(triggers=False)
    for url in (site.url, plain):
        run_script(url, TRIGGERS[dialect_of(url)])
    assert answers(site.url) == answers(plain)
    assert tables(site.url) == tables(plain)
    assert tables(plain)["audit"]


READS = (
    "SELECT * FROM person",
    "SELECT * FROM person WHERE id = 7",
    "SELECT * FROM person WHERE uuid = 'a'",
    "SELECT p.name, c.value FROM person p JOIN contact c ON c.person_id = p.id WHERE p.age > 3",
    "SELECT age, count(*) FROM person GROUP BY age ORDER BY 2",
    "SELECT * FROM person WHERE id IN (SELECT person_id FROM contact WHERE value = 'x')",
)


def plans(url):
    """Return how the server would read, without its guesses at how many rows that takes."""
    rows = ", ".join(f"('u{n}', 'N', {n % 9})" for n in range(500))
    run_script(url, f"INSERT INTO person (uuid, name, age) VALUES {rows}")
    if dialect_of(url) == "postgresql":
        run_script(url, "ANALYZE person; ANALYZE contact")
        return [fetch(url, f"EXPLAIN (COSTS OFF) {read}") for read in READS]
    run_script(url, "ANALYZE TABLE person, contact")
    found = [
        [[cell for cell in row if not isinstance(cell, (int, float))] for row in fetch(url, query)]
        for query in (f"EXPLAIN FORMAT=TRADITIONAL {read}" for read in READS)
    ]
    return repr(found).replace(f"{name_of(url)}.", "")


def test_reads_are_planned_as_without_us(make):
    site, plain = make()
    assert plans(site.url) == plans(plain)


def test_columns_of_the_application_s_tables_stay_as_they_are(make):
    site, plain = make()
    columns = (
        "SELECT table_name, column_name, ordinal_position, column_default, is_nullable, data_type "
        "FROM information_schema.columns WHERE table_name IN ('person', 'contact', 'audit') "
        "AND table_schema IN ('public', {}) ORDER BY 1, 3"
    )
    database = "DATABASE()" if dialect_of(plain) == "mysql" else "'public'"
    assert fetch(site.url, columns.format(database)) == fetch(plain, columns.format(database))


def application_rights(site: Site) -> list[str]:
    """Return what the application's account may: rows of its own tables, nothing else."""
    names = [table.name for table in site.store.tables.values()] + list(estate.LOCAL_TABLES)
    rights = [f"SELECT, INSERT, UPDATE, DELETE ON TABLE {name}" for name in names]
    if site.dialect == "postgresql":
        rights.append("USAGE ON ALL SEQUENCES IN SCHEMA public")
    return rights


def test_application_s_account_needs_no_right_on_what_is_ours(new_site, kind):
    """Cascades, keys that follow and all: the account may write the application's tables only."""
    site, peer = new_site(kind, "estate"), new_site("postgresql", "estate")
    with new_account(site.url, *application_rights(site)) as (theirs, _):
        with closing(Family(theirs)) as application:
            for statement in estate.ROWS:
                application(statement)
            exchange(site, peer)
            application("UPDATE camp SET title = 'u' WHERE id = 3")
            application("UPDATE zone SET code = 'bb' WHERE code = 'b'")
            application("DELETE FROM zone WHERE code = 'a'")
            application("DELETE FROM node WHERE id = 2")
            application("DELETE FROM ledger WHERE id = 1")
            for table in ("captured", "missed", "changelog"):
                with pytest.raises((psycopg.Error, pymysql.Error)):
                    application(f"SELECT count(*) FROM {site.prefix}{table}")
    assert site.fetch("SELECT * FROM {p}missed") == []
    exchange(site, peer)
    assert_in_step(site, peer)
    assert peer.fetch("SELECT count(*) FROM camp") == [(2,)]
