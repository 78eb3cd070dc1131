"""/healthz and /metrics of a relay process over a real database."""

from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from changecapture.status import read_status
from tests.support.databases import run_script
from tests.support.pairing import pair_all
from tests.support.patience import Patience
from tests.support.relays import Relay

MARK = "metrics at http://127.0.0.1:"


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[Relay]]:
    relays: list[Relay] = []
    yield relays
    for relay in relays:
        relay.stop()


def start(relay: Relay) -> Relay:
    relay.config.write_text(relay.config.read_text() + "[metrics]\nport = 0\n")
    relay.start()
    return relay


def ask(relay: Relay, page: str, host: str = "127.0.0.1") -> tuple[int, str]:
    relay.wait_for(MARK, Patience())
    (line,) = [line for line in relay.lines if MARK in line]
    port = int(line.removeprefix(MARK).partition("/")[0])
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", page, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def read_metrics(relay: Relay) -> dict[str, float]:
    status, text = ask(relay, "/metrics")
    assert status == 200
    samples = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in samples}


def test_metrics_tell_entries_traffic_and_lag_of_each_peer(new_site, tmp_path, started):
    here, there = (new_site(kind, "family") for kind in ("postgresql", "mariadb"))
    relays = [Relay(name, site.url, tmp_path) for name, site in (("here", here), ("there", there))]
    pair_all(*relays)
    started += map(start, relays)
    here.family.add_parent("p1")
    peer = f'site="there",peer="{here.origin}",name="here"'

    def arrived() -> dict[str, float]:
        found = read_metrics(relays[1])
        known = f"changecapture_peer_received_entries{{{peer}}}" in found
        return found if known and found['changecapture_entries{site="there"}'] == 1 else {}

    found = Patience().wait(arrived, "the metrics of what arrived", look_s=0.2)
    assert found['changecapture_up{site="there"}'] == 1
    assert found['changecapture_captured{site="there"}'] == 0
    assert found['changecapture_conflicts{site="there"}'] == 0
    assert found['changecapture_parked{site="there",reason=""}'] == 0
    assert found[f"changecapture_peer_received_entries{{{peer}}}"] == 1
    assert 0 <= found[f"changecapture_peer_lag_seconds{{{peer}}}"] < 60
    assert abs(found[f"changecapture_peer_skew_seconds{{{peer}}}"]) < 60
    assert found[f'changecapture_traffic_entries_total{{{peer},direction="in"}}'] == 1
    assert found[f'changecapture_traffic_bytes_total{{{peer},direction="in"}}'] > 0
    assert read_metrics(relays[0])['changecapture_entries{site="here"}'] == 1
    assert ask(relays[0], "/healthz") == (200, "here: ok\n")


def test_a_database_that_is_away_is_not_healthy(tmp_path, started):
    relay = start(Relay("lonely", "postgresql://u:p@127.0.0.1:1/d", tmp_path, peers=()))
    started.append(relay)
    relay.wait_for("waiting for the database", Patience())
    status, text = ask(relay, "/healthz")
    assert status == 503 and text.startswith("lonely: cannot reach")
    assert read_metrics(relay)['changecapture_up{site="lonely"}'] == 0


def test_a_web_page_cannot_read_the_metrics_under_a_name_of_its_own(tmp_path, started):
    relay = start(Relay("lonely", "postgresql://u:p@127.0.0.1:1/d", tmp_path, peers=()))
    started.append(relay)
    assert ask(relay, "/metrics", host="evil.example.org")[0] == 403


def test_what_the_metrics_read_counts_no_changelog(home):
    for number in range(3):
        home.family.add_parent(f"p{number}")
    home.publish()
    run_script(home.url, f"DELETE FROM {home.prefix}changelog")
    assert read_status(home.store, counted=False).entries == 3
    assert read_status(home.store).entries == 0
