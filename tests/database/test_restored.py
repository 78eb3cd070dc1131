"""A backup of the whole database, by the server's own program, comes back with capture working."""

import re
from contextlib import closing, suppress

import pymysql
import pytest

from changecapture.errors import ChangeCaptureError
from tests.support import estate, family
from tests.support.backups import clear, dump
from tests.support.commands import run_command
from tests.support.databases import dialect_of, fetch, name_of, run_script
from tests.support.dumps import dump_installation, run_script_file
from tests.support.family import Family
from tests.support.servers import MariaDBServer
from tests.support.sites import Site, assert_in_step, exchange

KINDS = {"postgresql": "postgresql", "mysql": "mariadb"}


def write(url):
    """Write as the application, with a cascade and a key that follows."""
    with closing(Family(url)) as application:
        application("UPDATE zone SET code = 'bb' WHERE code = 'b'")
        application("DELETE FROM zone WHERE code = 'a'")
        application("INSERT INTO zone VALUES ('d', 'D')")


def fill(server, new_database):
    """Make an installed application with rows that are published, and one that is only captured."""
    kind = "postgresql" if server.dialect == "postgresql" else "mariadb"
    url = new_database(server)
    run_script(url, estate.script(kind))
    site = Site(url, estate.PROFILE)
    with closing(Family(url)) as application:
        for statement in estate.ROWS:
            application(statement)
        site.publish()
        application("UPDATE camp SET title = 'late' WHERE id = 1")
    site.close()
    return url


@pytest.fixture
def filled(server, new_database):
    return fill(server, new_database)


def shape(url):
    """Return what is installed, without the comments in it, which the mariadb program leaves out; MySQL says
    of a column whether its character set was given or is the table's."""
    schema, *rest = dump_installation(url)
    return re.sub(r"(?m)^ *(--.*)?\n| CHARACTER SET utf8mb4(?= COLLATE)", "", schema), rest


def test_database_that_is_restored_in_its_place_captures_and_ships_what_was_waiting(filled, server, new_site):
    backup, before = dump(filled), shape(filled)
    server.drop_database(name_of(filled))
    server.create_database(name_of(filled))
    run_script_file(filled, backup)
    assert shape(filled) == before
    assert run_command("doctor", filled).status == 0
    write(filled)
    site, peer = Site(filled, estate.PROFILE), new_site("postgresql", "estate")
    with closing(site):
        assert site.fetch("SELECT * FROM {p}missed") == []
        exchange(site, peer)
        assert_in_step(site, peer)
        assert peer.fetch("SELECT count(*) FROM camp WHERE title = 'late'") == [(0,)]
        assert ("bb", "B") in peer.fetch("SELECT * FROM zone")


def test_nothing_is_lost_of_what_arrives_while_a_dump_is_being_put_back(server, new_tables):
    """The relay goes on meanwhile: nothing is read or written before all is there."""
    kind = KINDS[server.dialect]
    home, peer = new_tables(kind, family.script(kind)), new_tables("postgresql", family.script("postgresql"))
    home.family("INSERT INTO word (text, note) VALUES ('old', '')")
    exchange(home, peer)
    backup = dump(home.url)
    peer.family("INSERT INTO word (text, note) VALUES ('since', '')")
    exchange(home, peer)
    home.close()
    clear(home.url)
    arrived: list[int] = []
    for number, part in enumerate(parts_of(home.url, backup)):
        run_script_file(home.url, part)
        peer.family("INSERT INTO word (text, note) VALUES (%s, '')", f"part {number}")
        with suppress(ChangeCaptureError):
            exchange(home, peer)
            arrived.append(number)
        home.close()
    assert arrived == [number], "only when all is there"
    assert_in_step(home, peer, whole=False)
    assert len(home.family.rows("SELECT text FROM word")) == number + 3


def parts_of(url, backup):
    """Return a dump as scripts that run one after the other, some tables in each."""
    begins = "Data for Name: " if dialect_of(url) == "postgresql" else "Table structure for table "
    backup = re.sub(r"(?m)^\\(un)?restrict .*\n", "", backup)
    first, *tables = re.split(rf"(?m)^--\n(?=-- {begins})", backup)
    settings = first.partition("\n--\n-- Name: ")[0] if begins.startswith("Data") else first
    return [first, *(settings + "".join(tables[n : n + 5]) for n in range(0, len(tables), 5))]


def test_database_that_is_restored_under_another_name_is_made_whole_by_doctor(filled, server, new_database):
    """MariaDB's account has its rights by database: doctor names them, and what happens without them."""
    other = new_database(server)
    run_script_file(other, dump(filled))
    shown = run_command("doctor", other)
    if server.dialect == "mysql":
        assert "every write of the application fails (error 1142)" in shown.out
        with pytest.raises(pymysql.OperationalError) as refused:
            write(other)
        assert refused.value.args[0] == 1142
    grants = [line.strip() for line in shown.out.splitlines() if line.startswith("  GRANT")]
    assert bool(grants) == (server.dialect == "mysql")
    for grant in grants:
        run_script(other, grant)
    assert run_command("doctor", other).status == 0
    prefix = "changecapture." if server.dialect == "postgresql" else "changecapture_"
    before = fetch(other, f"SELECT count(*) FROM {prefix}captured")
    write(other)
    assert fetch(other, f"SELECT count(*) FROM {prefix}captured") > before
    assert fetch(other, f"SELECT * FROM {prefix}missed") == []


def test_dump_without_routines_is_made_whole_by_an_installation(mariadb, new_database):
    """What mysqldump makes unasked, under another name: no procedures, no rights."""
    filled = fill(mariadb, new_database)
    other = new_database(mariadb)
    run_script_file(other, dump(filled, routines=False))
    assert run_command("doctor", other).status == 1
    assert run_command("install", other).status == 0
    assert run_command("doctor", other).status == 0
    (captured,) = fetch(other, "SELECT count(*) FROM changecapture_captured")
    write(other)
    assert fetch(other, "SELECT count(*) FROM changecapture_captured") > [captured]
    assert fetch(other, "SELECT * FROM changecapture_missed") == []


def test_database_that_is_restored_on_a_server_without_our_account_is_made_whole_by_doctor(
    mariadb, new_database, scratch
):
    """PostgreSQL's functions get an owner who is there."""
    filled = fill(mariadb, new_database)
    with MariaDBServer(scratch / "elsewhere") as elsewhere:
        url = elsewhere.create_database(name_of(filled))
        run_script_file(url, dump(filled))
        with pytest.raises(pymysql.OperationalError) as refused:
            write(url)
        assert refused.value.args[0] == 1449
        shown = run_command("doctor", url)
        assert "an account that does not exist" in shown.out
        for line in shown.out.splitlines():
            if line.startswith(("  GRANT", "  CREATE")):
                run_script(url, line)
        assert run_command("doctor", url).status == 0
        write(url)
        assert fetch(url, "SELECT * FROM changecapture_missed") == []


def test_transaction_that_does_not_begin_is_not_left_open(new_site):
    """It would hold up the dump that it waits for, and be in the way of the next one."""
    site = new_site("mariadb", "family")
    site.run("RENAME TABLE changecapture TO changecapture_away")
    for begin in (site.store.snapshot, site.store.applying):
        with pytest.raises(ChangeCaptureError), begin():
            pass
    site.run("RENAME TABLE changecapture_away TO changecapture")
    site.family.add_parent("p")
    assert site.publish() == 1
