"""What a peer sends that is forged, or merely odd, stops neither this site nor the batches of others."""

# ruff: noqa: E402, E501

import json

import pytest

from changecapture.core.change import Entry
from changecapture.core.codec import Batch, Head, encode_batch
from changecapture.core.scopes import Terms
from changecapture.core.vector import digest_vector
from changecapture.errors import PeerError
from changecapture.sync import receive

PG, MY = "postgresql", "mariadb"
KINDS = [PG, MY]


class Peer:
    def __init__(self, site="evil"):
        self.site, self.n, self.pos = site, 0, 0

    def entry(self, table, key, columns, scope="all", stamp=1_700_000_000_000_000, base=12345, **kw):
        self.n += 1
        return Entry(
            kw.get("origin", self.site),
            kw.get("epoch", 1),
            kw.get("number", self.n),
            1,
            stamp + self.n,
            base,
            scope,
            table,
            key,
            columns if isinstance(columns, str) else json.dumps(columns),
        )

    def batch(self, *entries, target=None):
        passes = {(e.origin, e.epoch, e.pass_number): digest_vector({}) for e in entries}
        end = self.pos + max(1, len(entries))
        b = Batch(
            Head(self.site, 1, {}, target or {}, self.pos, end, end), entries, passes, {digest_vector({}): {}}
        )
        self.pos = end
        return encode_batch(b)


def send(site, peer, *entries, **kw):
    payload = peer.batch(*entries, **kw)
    try:
        return receive(site.store, peer.site, payload)
    except PeerError as e:
        return e


SQL = {
    PG: "CREATE TABLE t (code varchar(20) PRIMARY KEY, n int, s text, b bytea, d date, f double precision, par varchar(20) REFERENCES t(code));"
    "CREATE TABLE num (id serial PRIMARY KEY, uuid varchar(40) UNIQUE NOT NULL, up int REFERENCES num(id));"
    "CREATE TABLE comp (a varchar(20), b int, n int, PRIMARY KEY (a, b));"
    "CREATE TABLE u (id uuid PRIMARY KEY, n int);"
    "CREATE TABLE uref (code varchar(20) PRIMARY KEY, u_id uuid REFERENCES u(id))",
    MY: "CREATE TABLE t (code varchar(20) PRIMARY KEY, n int, s longtext, b longblob, d date, f double, par varchar(20), FOREIGN KEY (par) REFERENCES t(code));"
    "CREATE TABLE num (id int AUTO_INCREMENT PRIMARY KEY, uuid varchar(40) UNIQUE NOT NULL, up int, FOREIGN KEY (up) REFERENCES num(id));"
    "CREATE TABLE comp (a varchar(20), b int, n int, PRIMARY KEY (a, b));"
    "CREATE TABLE u (id varchar(36) PRIMARY KEY, n int);"
    "CREATE TABLE uref (code varchar(20) PRIMARY KEY, u_id varchar(36), FOREIGN KEY (u_id) REFERENCES u(id))",
}

BAD = {
    "unseen number": ("t", "k", {"@alive": True, "n": 1, "@unseen": 5}),
    "unseen null": ("t", "k", {"@alive": True, "n": 1, "@unseen": None}),
    "at name": ("t", "k", {"@alive": True, "@x": [1]}),
    "alive list": ("t", "k", {"@alive": [1], "n": 1}),
    "list value": ("t", "k", {"@alive": True, "n": [1, 2]}),
    "list text": ("t", "k", {"@alive": True, "s": ["a", "b"]}),
    "dict text": ("t", "k", {"@alive": True, "s": {}}),
    "dict int": ("t", "k", {"@alive": True, "n": {"a": 1}}),
    "bad base64": ("t", "k", {"@alive": True, "b": {"base64": "x"}}),
    "base64 number": ("t", "k", {"@alive": True, "b": {"base64": 7}}),
    "bytes as text": ("t", "k", {"@alive": True, "b": "text"}),
    "nul in text": ("t", "k", '{"@alive":true,"s":"a\\u0000b"}'),
    "ref list": ("t", "k", {"@alive": True, "par": ["a"]}),
    "ref dict": ("t", "k", {"@alive": True, "par": {"a": 1}}),
    "ref nul": ("t", "k", '{"@alive":true,"par":"a\\u0000b"}'),
    "ref long": ("t", "k", {"@alive": True, "par": "x" * 5000}),
    "ref int": ("num", "k", {"@alive": True, "up": 5}),
    "ref int list": ("num", "k", {"@alive": True, "up": [5]}),
    "huge int": ("t", "k", '{"@alive":true,"n":' + "9" * 400 + "}"),
    "huger int": ("t", "k", '{"@alive":true,"n":' + "9" * 5000 + "}"),
    "infinity": ("t", "k", {"@alive": True, "f": "Infinity", "d": "infinity"}),
    "comp not json": ("comp", "k", {"@alive": True, "n": 5}),
    "comp nested": ("comp", '[["a"],1]', {"@alive": True, "n": 5}),
    "comp dict": ("comp", '[{"a":1},1]', {"@alive": True, "n": 5}),
    "comp nul": ("comp", '["a\\u0000",1]', {"@alive": True, "n": 5}),
    "comp surrogate": ("comp", '["a\\ud800",1]', {"@alive": True, "n": 5}),
    "comp text for int": ("comp", '["a","x"]', {"@alive": True, "n": 5}),
    "comp big int": ("comp", '["a",99999999999999999999]', {"@alive": True, "n": 5}),
    "comp null": ("comp", "[null,1]", {"@alive": True, "n": 5}),
    "comp nan": ("comp", '["a",NaN]', {"@alive": True, "n": 5}),
    "not a uuid": ("u", "hello", {"@alive": True, "n": 5}),
    "ref not a uuid": ("uref", "k", {"@alive": True, "u_id": "hello"}),
    "key too long": ("t", "k" * 500, {"@alive": True, "n": 5}),
    "identity column": ("t", "k", {"@alive": True, "code": "other", "n": 1}),
    "identity column uuid": ("num", "k", {"@alive": True, "uuid": "other", "id": 77}),
    "only unknown": ("t", "k", {"@alive": True, "nocol": 1}),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("twice", [False, pytest.param(True, marks=pytest.mark.long)], ids=["new", "again"])
@pytest.mark.parametrize("name", BAD)
def test_bad_entry_does_not_stop_the_others(request, sites, kind, twice, name):
    site = sites(kind)
    peer = Peer(f"evil{next(N)}")
    table, key, columns = BAD[name]
    good = f"good{next(N)}"
    if twice:
        # The row is there already: the entry must be settled against another
        send(site, peer, peer.entry(table, key, {"@alive": True}))
    result = send(
        site, peer, peer.entry(table, key, columns), peer.entry("t", good, {"@alive": True, "n": 7})
    )
    if isinstance(result, PeerError):
        return  # refused as malformed: the peer's fault, said so
    assert site.fetch("SELECT n FROM t WHERE code = %s", [good]) == [(7,)]
    # a later honest entry for the same row
    result = send(
        site,
        peer,
        peer.entry(table, key, {"@alive": True}),
        peer.entry("t", good + "b", {"@alive": True, "n": 7}),
    )
    assert site.fetch("SELECT n FROM t WHERE code = %s", [good + "b"]) == [(7,)]


from itertools import count

N = count(1)


@pytest.fixture(scope="module")
def sites(request):
    from tests.support.databases import run_script
    from tests.support.sites import Site

    made = {}

    def get(kind):
        if kind not in made:
            server = request.getfixturevalue({PG: "postgres", MY: "mariadb"}[kind])
            name = f"cc_h_{next(N)}"
            url = server.create_database(name)
            run_script(url, SQL[kind])
            made[kind] = Site(url, "generic"), server, name
        return made[kind][0]

    yield get
    for site, server, name in made.values():
        site.close()
        server.drop_database(name)


@pytest.mark.parametrize("kind", KINDS)
def test_own_origin_forged(new_tables, kind):
    """A peer sends entries under our own name with numbers that we have not given yet."""
    site = new_tables(kind, SQL[kind])
    me = site.store.read_site()
    peer = Peer()
    send(
        site,
        peer,
        peer.entry("t", "x", {"@alive": True, "n": 1}, origin=me.origin, epoch=me.epoch, number=1),
        peer.entry("t", "y", {"@alive": True, "n": 1}, origin=me.origin, epoch=me.epoch, number=2),
    )
    site.run("INSERT INTO t (code, n) VALUES ('mine', 3)")
    site.publish()
    assert site.fetch("SELECT count(*) FROM {p}changelog WHERE row_key = 'mine'") == [(1,)]


@pytest.mark.parametrize("kind", KINDS)
def test_target_vector_lies_about_us(new_tables, kind):
    """A peer's target names our own future numbers, or another origin's: we then believe we hold them."""
    a, b = new_tables(kind, SQL[kind]), new_tables(kind, SQL[kind])
    peer = Peer()
    me = a.store.read_site()
    send(a, peer, target={(me.origin, me.epoch, "all"): 2**53 - 1, (b.origin, 1, "all"): 2**53 - 1})
    b.run("INSERT INTO t (code, n) VALUES ('b', 3)")
    a.run("INSERT INTO t (code, n) VALUES ('a', 3)")
    from tests.support.sites import exchange

    exchange(a, b)
    assert b.fetch("SELECT count(*) FROM t") == [(2,)]
    assert a.fetch("SELECT count(*) FROM t") == [(2,)]


@pytest.mark.parametrize("kind", KINDS)
def test_unseen_that_is_no_list(new_tables, kind):
    """The entry's context covers another entry of the row, @unseen is 5: TypeError, for every later batch too."""
    site = new_tables(kind, SQL[kind])
    one, two, three = Peer("one"), Peer("two"), Peer("three")
    e1 = one.entry("t", "k", {"@alive": True, "n": 1}, base=0)
    send(site, one, e1)
    e2 = two.entry("t", "k", {"n": 2, "@unseen": 5})
    ctx = {("one", 1, "all"): 1}
    d = digest_vector(ctx)
    b = Batch(Head("two", 1, {}, {}, 0, 1, 1), (e2,), {("two", 1, 1): d}, {d: ctx})
    try:
        receive(site.store, "two", encode_batch(b))
    except PeerError:
        return
    e3 = three.entry("t", "k", {"n": 3})
    send(site, three, e3)


@pytest.mark.parametrize("kind", KINDS)
def test_unseen_on_the_fast_path_poisons_the_row(new_tables, kind):
    """First entry of a row goes the fast path: @unseen is not looked at, and stored. Later an honest peer's
    concurrent entry makes the row settle: TypeError, that peer is never in step again."""
    site = new_tables(kind, SQL[kind])
    honest, evil = Peer("honest"), Peer("evil")
    e0 = honest.entry("t", "k", {"@alive": True, "n": 1}, base=0)
    from changecapture.core.change import hash_name

    ctx = {("honest", 1, "all"): 1}
    d = digest_vector(ctx)
    e1 = evil.entry(
        "t", "k", {"n": 2, "@unseen": 5}, base=hash_name("honest", 1, 1), stamp=1_800_000_000_000_000
    )
    send(site, honest, e0)
    try:
        receive(
            site.store,
            "evil",
            encode_batch(Batch(Head("evil", 1, {}, {}, 0, 1, 1), (e1,), {("evil", 1, 1): d}, {d: ctx})),
        )
    except PeerError:
        return
    send(site, honest, honest.entry("t", "k", {"n": 3}), honest.entry("t", "other", {"@alive": True}))
    assert site.fetch("SELECT count(*) FROM t WHERE code = 'other'") == [(1,)]


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_change_forged_under_our_own_name_stops_nobody(new_tables, kind):
    site = new_tables(kind, SQL[kind])
    me = site.store.read_site()
    evil, honest = Peer("evil"), Peer("honest")
    send(
        site,
        evil,
        evil.entry("t", "x", {"@alive": True}, origin=me.origin, epoch=me.epoch, number=me.last_number + 1),
    )
    site.run("INSERT INTO t (code, n) VALUES ('mine', 3)")
    send(site, honest, honest.entry("t", "y", {"@alive": True}))
    assert site.fetch("SELECT count(*) FROM t WHERE code = 'y'") == [(1,)]


@pytest.mark.parametrize("kind", KINDS)
def test_origins_that_a_peer_invents_are_taken_up_to_what_is_left_for_it(new_tables, kind):
    site = new_tables(kind, SQL[kind])
    evil = Peer("evil")

    def bring(first, last, room):
        target = {(f"invented {n}", 1, "all"): 1 for n in range(first, last)}
        return receive(site.store, evil.site, evil.batch(target=target), Terms(room=room))

    assert bring(0, 10, 10).brought == 10
    before = site.store.read_vector()
    with pytest.raises(
        PeerError, match=r"brings 11 origins and modules that nobody here knew, and 10 are taken"
    ):
        bring(10, 21, 10)
    assert site.store.read_vector() == before and len(before) == 10
    honest = Peer("honest")
    send(site, honest, honest.entry("t", "y", {"@alive": True}), target={("honest", 1, "all"): 1})
    assert site.fetch("SELECT count(*) FROM t WHERE code = 'y'") == [(1,)]
