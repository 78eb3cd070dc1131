"""What a peer sends that is forged, or merely odd, stops neither this site nor the batches of others.

What no honest program writes is refused as a whole batch, and the next one is taken. What an honest one of
another shape may write is taken: shown as far as it can be, else parked, and kept either way.
"""

import os
from itertools import count

import pytest

from changecapture.core.change import hash_name
from changecapture.core.scopes import Terms
from changecapture.errors import PeerError
from tests.support.databases import run_script
from tests.support.forger import Peer, send
from tests.support.sites import Site

KINDS = ("postgresql", "mariadb")
SERVERS = {"postgresql": "postgres", "mariadb": "mariadb"}
TABLES = (
    "CREATE TABLE t (code varchar(20) PRIMARY KEY, n int, s {text}, b {bytes}, d date, f double precision, "
    "par varchar(20), FOREIGN KEY (par) REFERENCES t (code));"
    "CREATE TABLE num (id {serial} PRIMARY KEY, uuid varchar(40) UNIQUE NOT NULL, up int, "
    "FOREIGN KEY (up) REFERENCES num (id));"
    "CREATE TABLE comp (a varchar(20), b int, n int, PRIMARY KEY (a, b));"
    "CREATE TABLE u (id {uuid} PRIMARY KEY, n int);"
    "CREATE TABLE uref (code varchar(20) PRIMARY KEY, u_id {uuid}, FOREIGN KEY (u_id) REFERENCES u (id));"
    "CREATE TABLE latin (code varchar(20){latin} PRIMARY KEY, n int)"
)
TYPES = {
    "postgresql": {"text": "text", "bytes": "bytea", "serial": "serial", "uuid": "uuid", "latin": ""},
    "mariadb": {
        "text": "longtext",
        "bytes": "longblob",
        "serial": "int AUTO_INCREMENT",
        "uuid": "varchar(36)",
        "latin": " CHARACTER SET latin1",
    },
}
LIVES = {"@alive": True}

MALFORMED = {
    "unseen that is a number": {**LIVES, "@unseen": 5},
    "unseen that is null": {**LIVES, "@unseen": None},
    "alive that is a list": {"@alive": [1]},
    "number without end": '{"@alive":true,"n":' + "9" * 5000 + "}",
    "number that is none": '{"@alive":true,"f":NaN}',
    "half of a surrogate pair": '{"@alive":true,"s":"a\\ud800"}',
    "columns that are no object": "[1]",
}
"""Columns that no honest program writes."""

ODD_VALUES = {
    "name of ours that is unknown": {"@x": [1]},
    "list for a number": {"n": [1, 2]},
    "list for a text": {"s": ["a", "b"]},
    "object for a text": {"s": {}},
    "object for a number": {"n": {"a": 1}},
    "base64 that is none": {"b": {"base64": "x"}},
    "base64 of a number": {"b": {"base64": 7}},
    "text for bytes": {"b": "text"},
    "nul in a text": '{"@alive":true,"s":"a\\u0000b"}',
    "reference that is a list": {"par": ["a"]},
    "reference that is an object": {"par": {"a": 1}},
    "reference with a nul": '{"@alive":true,"par":"a\\u0000b"}',
    "reference that is too long": {"par": "x" * 5000},
    "reference in another script": {"par": "\U0001f600 \u0628"},
    "number of 400 digits": '{"@alive":true,"n":' + "9" * 400 + "}",
    "date that never comes": {"f": "Infinity", "d": "infinity"},
    "own key among the columns": {"code": "other", "n": 1},
    "column that nobody has": {"nocol": 1},
}
"""Columns of a new row of ``t``."""

ODD_KEYS = {
    "composite key that is no json": ("comp", "k"),
    "composite key with a list in it": ("comp", '[["a"],1]'),
    "composite key with an object in it": ("comp", '[{"a":1},1]'),
    "composite key with a nul": ("comp", '["a\\u0000",1]'),
    "composite key with half of a surrogate pair": ("comp", '["a\\ud800",1]'),
    "composite key with a text for a number": ("comp", '["a","x"]'),
    "composite key with a number that is too large": ("comp", '["a",99999999999999999999]'),
    "composite key with a null": ("comp", "[null,1]"),
    "composite key with a nan": ("comp", '["a",NaN]'),
    "composite key in another script": ("comp", '["\U0001f600",1]'),
    "key that is no uuid": ("u", "hello"),
    "key that is too long": ("t", "k" * 500),
    "key in another script": ("t", "\u0628\u0627\u0628"),
    "key of four bytes": ("t", "\U0001f600"),
    "key that its character set cannot hold": ("latin", "\u0628"),
    "key of four bytes that its character set cannot hold": ("latin", "\U0001f600"),
    "key that ends in a space": ("latin", "k "),
    "key that reads from right to left": ("t", "\u202ek"),
}
"""Rows by a key that their table may not be able to hold."""

ODD_OTHERS = {
    "reference that is no uuid": ("uref", {"u_id": "hello"}),
    "number for a reference": ("num", {"up": 5}),
    "list for a reference": ("num", {"up": [5]}),
    "uuid and number among the columns": ("num", {"uuid": "other", "id": 77}),
}
"""Columns of a new row of another table."""


def odd_entries():
    for name, columns in ODD_VALUES.items():
        yield pytest.param("t", None, columns, id=name)
    for name, (table, key) in ODD_KEYS.items():
        yield pytest.param(table, key, {"n": 5}, id=name)
    for name, (table, columns) in ODD_OTHERS.items():
        yield pytest.param(table, None, columns, id=name)


_numbers = count(1)


@pytest.fixture(scope="module")
def sites(request):
    """Give one site of these tables on each kind of server; the tests share it, each with keys of its own."""
    made = {}

    def lend(kind):
        if kind not in made:
            server, name = request.getfixturevalue(SERVERS[kind]), f"cc_{os.getpid()}_hostile"
            url = server.create_database(name)
            run_script(url, TABLES.format(**TYPES[kind]))
            made[kind] = Site(url, "generic"), server, name
        return made[kind][0]

    yield lend
    for site, server, name in made.values():
        site.close()
        server.drop_database(name)


@pytest.fixture(params=KINDS)
def new(request, new_tables):
    """Make an empty site of these tables, on each kind of server."""
    return lambda: new_tables(request.param, TABLES.format(**TYPES[request.param]))


def shown(site, key):
    return site.fetch("SELECT n FROM t WHERE code = %s", [key]) == [(7,)]


def logged(site, key):
    return site.fetch("SELECT count(*) FROM {p}changelog WHERE row_key = %s", [key])[0][0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("known", [False, pytest.param(True, marks=pytest.mark.long)], ids=["new", "known"])
@pytest.mark.parametrize(("table", "key", "columns"), [*odd_entries()])
def test_odd_entry_is_kept_and_stops_no_other(sites, kind, known, table, key, columns):
    """Nor the next honest word about the same row. ``known``: it is merged with what is there."""
    site, number = sites(kind), next(_numbers)
    peer, key = Peer(f"odd {number}"), f"k{number}" if key is None else key
    if known:
        send(site, peer, peer.entry(table, key, LIVES))
    before = logged(site, key)
    for good in (f"good {number}", f"later {number}"):
        columns = columns if isinstance(columns, str) else {**LIVES, **columns}
        taken = send(site, peer, peer.entry(table, key, columns), peer.entry("t", good, {**LIVES, "n": 7}))
        assert taken.entries == 2
        assert shown(site, good)
        columns = LIVES
    assert logged(site, key) == before + 2
    reasons = site.fetch("SELECT reason FROM {p}parked WHERE row_key = %s", [key])
    assert {reason for (reason,) in reasons} <= {"value", "key"}, "each was foreseen"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", MALFORMED.values(), ids=MALFORMED)
def test_malformed_entry_is_refused_with_its_batch_and_the_next_one_is_taken(sites, kind, columns):
    site, number = sites(kind), next(_numbers)
    peer, other = Peer(f"bad {number}"), Peer(f"other {number}")
    key, good = f"k{number}", f"good {number}"
    with pytest.raises(PeerError, match="malformed"):
        send(site, peer, peer.entry("t", key, columns), peer.entry("t", good, {**LIVES, "n": 7}))
    assert logged(site, key) == logged(site, good) == 0
    for sender in (other, peer):
        name = f"{good} of {sender.site[:3]}"
        assert send(site, sender, sender.entry("t", name, {**LIVES, "n": 7})).applied == 1
        assert shown(site, name)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", ["a\0b", "", "k" * 2000], ids=["a nul", "nothing", "too long"])
def test_key_that_no_database_could_keep_is_refused_with_its_batch(sites, kind, key):
    site, peer = sites(kind), Peer(f"bad {next(_numbers)}")
    with pytest.raises(PeerError, match="malformed"):
        send(site, peer, peer.entry("t", key, LIVES))


def test_unseen_that_is_no_list_is_refused_where_another_entry_is_covered(new):
    """A context that covers the row's other entry is what makes a site look at it."""
    site, one, two, three = new(), Peer("one"), Peer("two"), Peer("three")
    send(site, one, one.entry("t", "k", {**LIVES, "n": 1}, base=0))
    with pytest.raises(PeerError, match="@unseen"):
        send(site, two, two.entry("t", "k", {"n": 2, "@unseen": 5}), seen={("one", 1, "all"): 1})
    send(site, three, three.entry("t", "k", {"n": 7}))
    assert shown(site, "k")


def test_unseen_that_is_no_list_is_refused_where_nothing_would_look_at_it(new):
    """An entry that follows what is here is merged at once; the next concurrent one looks at it."""
    site, honest, evil = new(), Peer("honest"), Peer("evil")
    send(site, honest, honest.entry("t", "k", {**LIVES, "n": 1}, base=0))
    entry = evil.entry("t", "k", {"n": 2, "@unseen": 5}, base=hash_name("honest", 1, 1), begin=10**15 * 2)
    with pytest.raises(PeerError, match="@unseen"):
        send(site, evil, entry, seen={("honest", 1, "all"): 1})
    send(site, honest, honest.entry("t", "k", {"n": 3}), honest.entry("t", "other", {**LIVES, "n": 7}))
    assert shown(site, "other")
    assert site.fetch("SELECT n FROM t WHERE code = 'k'") == [(3,)]


@pytest.mark.parametrize("way", ["entries", "vector"])
def test_name_that_we_have_still_to_give_is_refused_and_stops_neither_us_nor_others(new, way):
    site, evil, honest = new(), Peer("evil"), Peer("honest")
    me = site.store.read_site()
    names = [(me.origin, me.epoch, number) for number in (1, 2)]
    forged = [evil.entry("t", f"x{name[2]}", LIVES, name=name) for name in names if way == "entries"]
    claimed = {(me.origin, me.epoch, "all"): 2**53 - 1} if way == "vector" else {}
    with pytest.raises(PeerError, match="has changes of this one"):
        send(site, evil, *forged, target=claimed)
    site.run("INSERT INTO t (code, n) VALUES ('mine', 7)")
    send(site, honest, honest.entry("t", "theirs", {**LIVES, "n": 7}))
    site.publish()
    assert shown(site, "mine") and shown(site, "theirs")
    assert logged(site, "mine") == logged(site, "theirs") == 1
    assert logged(site, "x1") == 0


def test_origins_that_a_peer_invents_are_taken_up_to_what_is_left_for_it(new):
    site, evil, honest = new(), Peer("evil"), Peer("honest")

    def bring(first, last):
        target = {(f"invented {n}", 1, "all"): 1 for n in range(first, last)}
        return send(site, evil, target=target, terms=Terms(room=10))

    assert bring(0, 10).brought == 10
    before = site.store.read_vector()
    with pytest.raises(
        PeerError, match="brings 11 origins and modules that nobody here knew, and 10 are taken"
    ):
        bring(10, 21)
    assert site.store.read_vector() == before
    send(site, honest, honest.entry("t", "theirs", {**LIVES, "n": 7}), target={("honest", 1, "all"): 1})
    assert shown(site, "theirs")


def test_entry_for_a_table_that_is_not_synced_writes_nothing_into_it(new):
    site, evil, honest = new(), Peer("evil"), Peer("honest")
    site.run("CREATE TABLE account (name varchar(20) PRIMARY KEY, n int)")
    site.run("INSERT INTO account VALUES ('root', 7)")
    before = site.store.read_site()
    for table in ("account", "public.account", "site", "changecapture_site", "changecapture.site"):
        send(site, evil, evil.entry(table, "root", {**LIVES, "name": "root", "n": 0, "last_number": 0}))
        send(site, evil, evil.entry(table, "other", {**LIVES, "name": "other", "n": 1}))
    send(site, honest, honest.entry("t", "theirs", {**LIVES, "n": 7}))
    assert site.fetch("SELECT name, n FROM account") == [("root", 7)]
    assert site.store.read_site() == before
    assert shown(site, "theirs")
