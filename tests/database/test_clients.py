"""Programs with a token: what they read and put, over both protocols, in Python and in PHP."""

import json
import shutil
import socket
import ssl
import subprocess
import sys
import urllib.request
import xmlrpc.client
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest

from changecapture import clients
from changecapture.core.scopes import EVERY, Scopes
from changecapture.errors import PeerError
from tests.support.patience import Patience
from tests.support.relays import ROOT, Relay
from tests.support.seeds import Seeds
from tests.support.sites import Site, assert_in_step, exchange

NAME = "clinic 17"


def get(site: Site, since: str = "", limit: int = 500) -> dict[str, Any]:
    site.publish()
    return clients.get_changes(site.store, NAME, since, EVERY, limit)


def put(site: Site, *changes: dict[str, Any], since: str = "") -> dict[str, Any]:
    return clients.put_changes(site.store, NAME, changes, since, EVERY)


def parent(key: str, **columns: Any) -> dict[str, Any]:
    return {"table": "parent", "uuid": key, "columns": columns}


def test_a_client_is_told_each_row_once_as_it_stands_deleted_ones_included(home):
    home.family.add_parent("p1")
    home.family.add_parent("p2")
    first = get(home)
    assert {c["uuid"]: c["deleted"] for c in first["changes"]} == {"p1": False, "p2": False}
    home.family("UPDATE parent SET note = 'n' WHERE uuid = 'p1'")
    home.family("DELETE FROM parent WHERE uuid = 'p2'")
    second = get(home, first["until"])
    assert {c["uuid"]: (c["deleted"], c["columns"].get("note")) for c in second["changes"]} == {
        "p1": (False, "n"),
        "p2": (True, None),
    }
    assert get(home, second["until"])["changes"] == []


def test_pages_come_to_the_whole(home):
    for number in range(5):
        home.family.add_parent(f"p{number}")
    since, told, more = "", [], True
    while more:
        page = get(home, since, limit=2)
        told += [change["uuid"] for change in page["changes"]]
        since, more = page["until"], page["more"]
    assert sorted(told) == [f"p{number}" for number in range(5)]


def test_what_a_client_puts_is_shown_and_reaches_peers_under_an_origin_of_its_own(families):
    here, there = families
    assert put(here, parent("p1", name="Amina", note="x")) == {"taken": 1, "shown": 1, "parked": 0}
    exchange(here, there)
    assert there.family.shown("parent")["p1"] == "x"
    origins = {origin for (origin,) in there.fetch("SELECT origin FROM {p}changelog")}
    assert origins == {clients.name_origin(here.origin, NAME)} and here.origin not in origins
    put(here, {"table": "parent", "uuid": "p1", "deleted": True})
    exchange(here, there)
    assert_in_step(here, there)
    assert there.family.shown("parent") == {}


def test_an_older_change_of_a_client_never_overwrites_a_newer_one(home):
    home.family.add_parent("p1")
    home.family("UPDATE parent SET note = 'ours' WHERE uuid = 'p1'")
    home.publish()
    put(home, parent("p1", note="theirs") | {"changed_at": "2001-01-01T00:00:00Z"})
    assert home.family.shown("parent")["p1"] == "ours"
    assert home.fetch("SELECT count(*) FROM {p}conflict") == [(1,)]


def test_a_client_that_has_seen_a_value_replaces_it_whatever_its_clock_says(home):
    home.family.add_parent("p1")
    seen = get(home)["until"]
    put(home, parent("p1", note="theirs") | {"changed_at": "2001-01-01T00:00:00Z"}, since=seen)
    assert home.family.shown("parent")["p1"] == "theirs"
    assert home.fetch("SELECT count(*) FROM {p}conflict") == [(0,)]


def put_back(site: Site, told: dict[str, Any], since: str, **columns: Any) -> dict[str, Any]:
    """Put a row as it was told, with some values edited."""
    return put(site, told | {"columns": told["columns"] | columns}, since=since)


def test_a_row_that_is_put_back_as_it_was_told_with_one_value_edited_changes_that_value_alone(home):
    home.family.add_parent("p1")
    told = get(home)
    home.family("UPDATE parent SET name = 'meanwhile' WHERE uuid = 'p1'")
    home.publish()
    assert put_back(home, told["changes"][0], told["until"], note="edited")["taken"] == 1
    assert home.family.rows("SELECT name, note FROM parent") == [("meanwhile", "edited")]
    assert home.conflicts() == set()
    (row,) = get(home)["changes"]
    (entry,) = home.fetch("SELECT columns FROM {p}changelog ORDER BY position DESC LIMIT 1")
    assert json.loads(entry[0]) == {"@alive": True, "note": "edited"} and row["columns"]["note"] == "edited"


def test_a_row_of_a_page_before_the_last_may_be_put_back_too(home):
    for number in range(3):
        home.family.add_parent(f"p{number}")
    page = get(home, limit=1)
    assert page["more"]
    (told,) = page["changes"]
    home.family(f"UPDATE parent SET name = 'meanwhile' WHERE uuid = '{told['uuid']}'")
    home.publish()
    put_back(home, told, page["until"], note="edited")
    shown = home.family.rows(f"SELECT name, note FROM parent WHERE uuid = '{told['uuid']}'")
    assert shown == [("meanwhile", "edited")]


def test_a_row_that_is_put_back_untouched_is_no_change(home):
    home.family.add_parent("p1")
    home.family.add_parent("p2")
    home.family("DELETE FROM parent WHERE uuid = 'p2'")
    told = get(home)
    assert put(home, *told["changes"], since=told["until"]) == {"taken": 0, "shown": 0, "parked": 0}


def test_a_deleted_row_that_is_put_back_as_alive_is_there_again(home):
    home.family.add_parent("p1")
    home.family("UPDATE parent SET note = 'n' WHERE uuid = 'p1'")
    home.publish()
    home.family("DELETE FROM parent WHERE uuid = 'p1'")
    told = get(home)
    put(home, told["changes"][0] | {"deleted": False}, since=told["until"])
    assert home.family.shown("parent") == {"p1": "n"}


def test_a_value_that_no_column_shows_may_be_put_back_and_no_other_like_it(new_tables):
    table = "CREATE TABLE t (code varchar(9) PRIMARY KEY, v {}, w varchar(20), x varchar(9))"
    wide = new_tables("postgresql", table.format("varchar(30)"))
    slim = new_tables("mariadb", table.format("varchar(5)").replace(", x varchar(9)", ""))
    put(wide, {"table": "t", "uuid": "k", "columns": {"v": "longer than five", "w": "w", "x": "new"}})
    exchange(wide, slim)
    told = get(slim)
    (row,) = told["changes"]
    assert put_back(slim, row, told["until"], w="edited")["taken"] == 1
    for edited in ({"v": "longer still"}, {"x": "edited"}):
        with pytest.raises(PeerError, match=r"v cannot be taken|no synced column 'x'"):
            put_back(slim, row, told["until"], **edited)
    exchange(wide, slim)
    assert wide.fetch("SELECT v, w, x FROM t") == [("longer than five", "edited", "new")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"table": "nothing", "uuid": "x"}, "that table is not taken"),
        ({"table": "parent", "uuid": ""}, "uuid must be"),
        ({"table": "parent", "uuid": "x", "columns": {"nothing": 1}}, "no synced column"),
        ({"table": "parent", "uuid": "x", "columns": {"note": 1}}, "note cannot be taken"),
        ({"table": "parent", "uuid": "x", "changed_at": "soon"}, "changed_at must be"),
        ({"table": "parent", "uuid": "x", "other": 1}, "it is a structure of"),
        ({"table": "parent", "uuid": "x", "columns": ["note"]}, "columns a structure"),
        ("x", "it is a structure of"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_and_none_of_its_call_is_taken(new_site, change, message):
    home = new_site("postgresql", "family")
    with pytest.raises(PeerError, match=message):
        put(home, parent("p1"), change)
    assert home.fetch("SELECT count(*) FROM {p}changelog") == [(0,)]


@pytest.mark.parametrize("columns", [{"note": "\U0001f33e \u202e"}, {"boss": "nobody"}, {"boss": "z" * 600}])
def test_what_comes_after_an_odd_value_is_shown(home, columns):
    done = put(home, parent("p1", **columns), parent("p2", note="fine"))
    assert done["taken"] == 2 and done["shown"] + done["parked"] == 2
    put(home, parent("p3", note="later"))
    assert home.family.shown("parent").items() >= {("p2", "fine"), ("p3", "later")}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("integer", 3.7),
        ("integer", "1_000"),
        ("integer", 10**30),
        ("integer", True),
        ("numeric(10,2)", "1.234"),
        ("numeric(10,2)", "much"),
        ("date", "31.1.2026"),
        ("date", "2026-02-30x"),
        ("varchar(5)", "longer"),
        ("varchar(5)", "a\0b"),
        ("double precision", "one"),
        ("double precision", float("inf")),
    ],
)
def test_a_value_that_the_column_does_not_show_is_refused_at_once(new_tables, kind, value):
    site = new_tables("postgresql", f"CREATE TABLE t (code varchar(9) PRIMARY KEY, v {kind})")
    with pytest.raises(PeerError, match="v cannot be taken"):
        put(site, {"table": "t", "uuid": "x", "columns": {"v": value}})


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
@pytest.mark.parametrize(
    ("type_", "value", "shown"),
    [
        ("numeric(10,2)", "12.50", "12.50"),
        ("numeric(10,2)", 12.5, "12.50"),
        ("integer", "7", "7"),
        ("timestamp NULL", "2026-01-31 12:00:00", "2026-01-31 12:00:00"),
        ("timestamp NULL", "2026-01-31T13:00:00+01:00", "2026-01-31 12:00:00"),
    ],
)
def test_a_value_may_be_spelled_as_people_do(new_tables, kind, type_, value, shown):
    type_ = type_.replace("timestamp", "datetime") if kind == "mariadb" else type_
    site = new_tables(kind, f"CREATE TABLE t (code varchar(9) PRIMARY KEY, v {type_})")
    done = put(site, {"table": "t", "uuid": "x", "columns": {"v": value}})
    assert done["shown"] == 1, done
    assert [str(v) for (v,) in site.fetch("SELECT v FROM t")] == [shown]


def test_two_changes_of_one_row_in_a_call_keep_what_both_say_of_a_group(new_site):
    home = new_site("postgresql", "eden")
    place = {"table": "gis_location", "uuid": "urn:uuid:x"}
    put(home, place | {"columns": {"name": "x", "lat": 1.0, "lon": 1.0}})
    put(home, place | {"columns": {"lat": 2.0}}, place | {"columns": {"lon": 3.0}})
    assert home.fetch("SELECT lat, lon FROM gis_location") == [(2.0, 3.0)]


@pytest.fixture
def joined(new_site) -> tuple[Seeds, Seeds, str]:
    """Two sites with a row that is one by its natural key, and what a program was told of it."""
    here, there = (Seeds(new_site(kind, "seeds")) for kind in ("postgresql", "mariadb"))
    here.add("skill", "b", "Nurse")
    there.add("skill", "a", "Nurse")
    exchange(here.site, there.site)
    exchange(here.site, there.site)
    return here, there, get(here.site)["until"]


def test_a_delete_of_a_joined_row_deletes_it_at_every_site(joined):
    here, there, seen = joined
    put(here.site, {"table": "skill", "uuid": "b", "deleted": True}, since=seen)
    exchange(here.site, there.site)
    assert here.rows("skill") == there.rows("skill") == {}


def test_who_has_seen_a_joined_row_replaces_its_value_under_any_of_its_keys(joined):
    here, _, seen = joined
    change = {"table": "skill", "uuid": "b", "columns": {"note": "n"}, "changed_at": "2001-01-01T00:00:00Z"}
    put(here.site, change, since=seen)
    assert here.rows("skill") == {"a": "n"}
    assert here.site.conflicts() == set()


def test_at_a_site_with_other_tables_changes_are_refused_rather_than_lost(new_site):
    home = new_site("mariadb", "vesuvius")
    with pytest.raises(PeerError, match="not taken from programs here"):
        put(home, {"table": "person_uuid", "uuid": "x"})


def test_modules_that_a_token_lacks_are_neither_told_nor_taken(new_site):
    home = new_site("postgresql", "family")
    home.family.add_parent("p1")
    home.publish()
    none = Scopes(frozenset({"another"}), but=False)
    assert clients.get_changes(home.store, NAME, "", none)["changes"] == []
    with pytest.raises(PeerError, match="not taken"):
        clients.put_changes(home.store, NAME, [parent("p2")], "", none)


def test_nonsense_as_since_is_refused(new_site):
    home = new_site("postgresql", "family")
    for text in ("x", "eJw=", "a" * 10000, "eJyrVspLzE1VslJQCi5JLCpRqgUALe4Eyw=="):
        with pytest.raises(PeerError, match="since"):
            get(home, text)


class Served:
    """A relay that serves clients, and a token."""

    def __init__(self, relay: Relay, host: str = "127.0.0.1") -> None:
        mark = "programs with a token call "
        relay.config.write_text(relay.config.read_text() + f'[clients]\nhost = "{host}"\nport = 0\n')
        relay.start()
        relay.wait_for("this is", Patience())
        (line,) = [line for line in relay.lines if mark in line]
        kind, _, where = line.removeprefix(mark).partition("://")
        self.port = int(where.partition("/")[0].rpartition(":")[2])
        self.url = f"{kind}://127.0.0.1:{self.port}"
        self.relay = relay
        added = self.order("add", NAME)
        self.token = added.partition("token: ")[2].splitlines()[0]
        self.fingerprint = added.partition("where it is TLS: ")[2].splitlines()[0]

    def order(self, *words: str) -> str:
        command = [sys.executable, "-m", "relay", "token", "--config", str(self.relay.config), *words]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
        ).stdout

    def ask(self, method: str, *parameters: Any, token: str = "") -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": parameters}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token or self.token}"}
        with urllib.request.urlopen(
            urllib.request.Request(f"{self.url}/jsonrpc", body, headers), timeout=60
        ) as answer:
            return json.loads(answer.read())

    def ask_over_tls(self, method: str, *parameters: Any) -> Any:
        """Call as one who has pinned the device."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with closing(HTTPSConnection("127.0.0.1", self.port, context=context, timeout=30)) as link:
            link.connect()
            assert sha256(link.sock.getpeercert(True)).hexdigest() == self.fingerprint
            body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters})
            link.request("POST", "/jsonrpc", body, {"Authorization": f"Bearer {self.token}"})
            return json.loads(link.getresponse().read())


@pytest.fixture
def served(new_site, tmp_path: Path) -> Iterator[tuple[Site, Served]]:
    site = new_site("mariadb", "family")
    relay = Relay("camp", site.url, tmp_path, peers=())
    try:
        yield site, Served(relay)
    finally:
        relay.stop()


def test_tokens_let_in_and_out_at_once_and_only_their_hash_is_kept(served):
    _, service = served
    assert service.ask("sync.put_changes", "u-1", [parent("p1", note="x")])["result"]["taken"] == 1
    url = service.url.replace("http://", f"http://any:{service.token}@") + "/RPC2"
    with xmlrpc.client.ServerProxy(url, allow_none=True) as proxy:
        told = proxy.sync.get_changes("u-1", "", 500)
        (row,) = told["changes"]
        assert (row["uuid"], row["columns"]["note"], row["deleted"]) == ("p1", "x", False)
        row["columns"]["note"] = "edited \u263a"
        assert proxy.sync.put_changes("u-1", [row], told["until"])["taken"] == 1
        (row,) = proxy.sync.get_changes("u-1", told["until"])["changes"]
        assert row["columns"]["note"] == "edited \u263a"
        with pytest.raises(xmlrpc.client.Fault, match="no such method"):
            proxy.system.listMethods()
    assert "no such method" in service.ask("sync.drop", "u-1")["error"]["message"]
    kept = service.relay.state / "clients.json"
    assert service.token not in kept.read_text() and kept.stat().st_mode & 0o777 == 0o600
    assert NAME in service.order("list") and service.token not in service.order("list")
    with pytest.raises(HTTPError, match="401"):
        service.ask("sync.get_changes", "u-1", token="0" * 64)
    service.order("revoke", NAME)
    with pytest.raises(HTTPError, match="401"):
        service.ask("sync.get_changes", "u-1")


@pytest.fixture
def served_by_tls(new_site, tmp_path: Path) -> Iterator[Served]:
    relay = Relay("camp", new_site("postgresql", "family").url, tmp_path, peers=())
    try:
        yield Served(relay, "*")
    finally:
        relay.stop()


def test_a_header_of_any_bytes_is_refused_and_leaves_no_trace(served):
    _, service = served
    with socket.create_connection(("127.0.0.1", service.port), 30) as connection:
        connection.sendall(b"POST /jsonrpc HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\r\n\r\n")
        assert connection.recv(9000).startswith(b"HTTP/1.1 401")
    assert not [line for line in service.relay.lines if "Error" in line or "Traceback" in line]


def test_of_many_calls_at_once_with_one_token_none_that_was_begun_is_cut(served):
    site, service = served

    def write(number: int) -> bool:
        try:
            return bool(service.ask("sync.put_changes", "u-1", [parent(f"m{number}")])["result"]["taken"])
        except HTTPError as error:
            assert error.code == 503
            return False
        except ConnectionResetError:  # refused before its body was read: the answer may be lost on the way
            return False

    with ThreadPoolExecutor(24) as threads:
        done = list(threads.map(write, range(72)))
    assert set(site.family.shown("parent")) == {f"m{n}" for n, taken in enumerate(done) if taken}
    assert sum(done) >= 24


def test_on_another_address_programs_speak_tls_with_the_device_that_they_pinned(served_by_tls):
    service = served_by_tls
    assert service.url.startswith("https:")
    for _ in range(2):
        assert service.ask_over_tls("sync.put_changes", "u-1", [parent("p1")])["result"]["taken"] == 1
    with pytest.raises(OSError):
        urllib.request.urlopen(service.url.replace("https:", "http:") + "/jsonrpc", b"{}", timeout=30)


PHP = """<?php
[$_, $url, $token, $fingerprint] = $argv;
function call($url, $token, $method, $params) {
    global $fingerprint;
    $body = json_encode(["jsonrpc" => "2.0", "id" => 1, "method" => $method, "params" => $params]);
    $http = ["method" => "POST", "content" => $body,
             "header" => "Content-Type: application/json\\r\\nAuthorization: Bearer $token"];
    $tls = ["verify_peer" => false, "verify_peer_name" => false,
            "peer_fingerprint" => ["sha256" => $fingerprint]];
    $context = stream_context_create(["http" => $http, "ssl" => $tls]);
    $answer = json_decode(file_get_contents($url, false, $context), true);
    if (isset($answer["error"])) die($answer["error"]["message"]);
    return $answer["result"];
}
$told = call($url, $token, "sync.get_changes", ["php-1"]);
$row = $told["changes"][0];
$row["columns"]["note"] = "from PHP";
echo json_encode(call($url, $token, "sync.put_changes", ["php-1", [$row], $told["until"]]));
"""


def run_php(service: Served, directory: Path, fingerprint: str) -> str:
    php = shutil.which("php")
    assert php, "php is missing: apt-get install php-cli"
    script = directory / "client.php"
    script.write_text(PHP)
    ended = subprocess.run(
        [php, str(script), f"{service.url}/jsonrpc", service.token, fingerprint],
        capture_output=True,
        text=True,
        timeout=60,
    )
    print(ended.stderr)
    return ended.stdout


@pytest.mark.long
def test_a_php_script_reads_edits_one_value_and_puts_the_row_back_with_its_standard_library(served, tmp_path):
    site, service = served
    site.family.add_parent("p1")
    site.publish()
    assert json.loads(run_php(service, tmp_path, "")) == {"taken": 1, "shown": 1, "parked": 0}
    assert site.family.shown("parent")["p1"] == "from PHP"


@pytest.mark.long
def test_a_php_script_pins_the_device_by_its_fingerprint(served_by_tls, tmp_path):
    served_by_tls.ask_over_tls("sync.put_changes", "u-1", [parent("p1")])
    assert "shown" in run_php(served_by_tls, tmp_path, served_by_tls.fingerprint)
    assert "shown" not in run_php(served_by_tls, tmp_path, "0" * 64)
