"""Attack 8.2: big rows over real relays, a small max_allowed_packet at one side, bundles by hand. Copy to tests/database."""
import time
from contextlib import ExitStack, closing
import pytest
from tests.support.databases import run_script, fetch, connect_mysql
from tests.support.link import Link
from tests.support.pairing import pair_all
from tests.support.patience import Patience
from tests.support.relays import Relay
from tests.support.servers import MariaDBServer
from tests.support.sites import Site, exchange, assert_in_step
PG, MY = "postgresql", "mariadb"
T = {PG: "CREATE TABLE file (name varchar(20) PRIMARY KEY, data bytea, note text); CREATE TABLE word (text varchar(40) PRIMARY KEY, note text)",
     MY: "CREATE TABLE file (name varchar(20) PRIMARY KEY, data longblob, note longtext); CREATE TABLE word (text varchar(40) PRIMARY KEY, note longtext)"}
def test_relays_big_rows(new_tables, tmp_path):
    sites = [new_tables(k, T[k]) for k in (PG, MY)]
    patience = Patience()
    with ExitStack() as stack:
        links = [stack.enter_context(Link()) for _ in sites]
        relays = [Relay(f"camp{n}", s.url, tmp_path, peers=[links[1 - n].port]) for n, s in enumerate(sites)]
        pair_all(*relays)
        for r, l in zip(relays, links):
            r.start(); stack.callback(r.stop); r.wait_for("listening on", patience); l.target = r.port
        for n, s in enumerate(sites):
            s.family(f"INSERT INTO file (name, data) VALUES (%s, %s)", f"b{n}", bytes(range(256)) * 40000)       # 10 MB
            s.family(f"INSERT INTO file (name, note) VALUES (%s, repeat('\\\"\\\\é', 3000000))" if s.dialect == MY else "INSERT INTO file (name, note) VALUES (%s, repeat(E'\"\\\\é', 3000000))", f"t{n}")
            s.family("INSERT INTO word VALUES (%s, 'after')", f"w{n}")
            s.run(f"INSERT INTO file (name, note) VALUES ('huge{n}', repeat('x', 30000000))")
            s.run(f"INSERT INTO file (name, note) VALUES ('limit{n}', repeat('y', 20000000))")
            s.family("INSERT INTO word VALUES (%s, 'last')", f"z{n}")
        def same(): return all(len(s.family.rows("SELECT 1 FROM word")) == 4 and len(s.family.rows("SELECT 1 FROM file WHERE name LIKE %s OR name LIKE %s OR name LIKE %s", "b_", "t_", "limit_")) == 6 for s in sites)
        try: patience.wait(same, "all", look_s=.5, bound_s=120)
        finally:
            for r in relays: print("==", r.name); print("\n".join(l[:300] for l in r.lines if "received" not in l)[-2000:])
            for s in sites: print(s.dialect, s.parked(), s.set_aside(), s.family.rows("SELECT name, length(data), char_length(note) FROM file ORDER BY name"))
        assert sites[0].family.rows("SELECT name, length(data), char_length(note) FROM file WHERE name NOT LIKE 'huge%%' ORDER BY name") == [tuple(r) for r in sites[1].family.rows("SELECT name, length(data), char_length(note) FROM file WHERE name NOT LIKE 'huge%%' ORDER BY name")]
def test_small_packet(scratch, new_tables, tmp_path):
    with MariaDBServer(scratch / "packet", options={"max-allowed-packet": "1M"}) as server:
        url = server.create_database("t"); run_script(url, T[MY]); a = Site(url, "generic"); b = new_tables(PG, T[PG])
        with closing(a):
            a.family("INSERT INTO word VALUES ('w', 'x')")
            a.family("INSERT INTO file (name, note) VALUES ('own', repeat('q', 900000))")
            b.run("INSERT INTO file (name, note) VALUES ('big', repeat('x', 5000000))"); b.family("INSERT INTO word VALUES ('after', 'x')"); b.run("INSERT INTO file (name, data) VALUES ('bin', decode(repeat('ff', 800000), 'hex'))")
            for _ in range(3):
                try: print("moved", exchange(a, b))
                except Exception as e: print("SAID", type(e).__name__, str(e)[:300])
                a.close()
            print(a.parked(), a.set_aside(), a.captured()[:2] if not a.captured() else [c[0] for c in a.captured()], a.family.rows("SELECT name, length(note), length(data) FROM file"), b.family.rows("SELECT name, length(note), length(data) FROM file"))
            assert a.family.rows("SELECT text FROM word ORDER BY 1") == [("after",), ("w",)]
            a.close(); run_script(url, "SET GLOBAL max_allowed_packet = 67108864"); 
            exchange(a, b); from changecapture.apply import retry
            retry(a.store); exchange(a, b); print(a.parked(), a.set_aside()); assert_in_step(a, b)
from tests.database.test_own_triggers import test_trigger_that_asks_who_writes_keeps_counts_and_copies_the_same as test_asks  # noqa
