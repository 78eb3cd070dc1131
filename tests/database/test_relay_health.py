"""/healthz and /metrics of a relay process over a real database."""

import re
from collections.abc import Iterator
from http.client import HTTPConnection
from itertools import takewhile
from pathlib import Path

import pytest
from click.testing import CliRunner

from changecapture.status import read_status
from relay.cli import main as relay_commands
from tests.support.applications import add_camps, create_camps
from tests.support.commands import run_command
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


def read_table(text: str, first_head: str) -> list[dict[str, str]]:
    """Return the rows of one of the tables that a command prints for a pipe, each cell under its head."""
    lines = text.splitlines()
    (start,) = [n for n, line in enumerate(lines) if line.startswith(f"{first_head} ")]
    heads = [m for m in re.finditer(r"\S+(?: \S+)*", lines[start])]
    ends = [head.start() for head in heads[1:]] + [None]
    rows = takewhile(str.strip, lines[start + 1 :])
    return [
        {h.group(): row[h.start() : end].strip() for h, end in zip(heads, ends, strict=True)} for row in rows
    ]


def test_what_was_exchanged_is_told_by_metrics_and_by_the_tables_of_both_commands(
    new_site, tmp_path, started
):
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

    wire = {name: value for name, value in found.items() if name.startswith("changecapture_wire_bytes")}
    payload = found[f'changecapture_traffic_bytes_total{{{peer},direction="in"}}']
    assert len(wire) == 2 and min(wire.values()) > payload
    told = CliRunner().invoke(relay_commands, ["peers", "--config", str(relays[1].config)]).output
    assert re.search(
        r"^  here \(device \w{8}\), at 127\.0\.0\.1:\d+, "
        r"[\d.]+ kB sent and [\d.]+ kB received over the wire since the relay began$",
        told,
        re.MULTILINE,
    )
    shown = Patience().wait(lambda: show_exchanged(there.url), "the exchange in the journal", look_s=0.2)
    (contact,) = read_table(shown, "peer")
    assert contact["peer"] == "here" and contact["received"] == "1" and "give or take" in contact["its clock"]
    (instance,) = read_table(shown, "base_uuid")
    assert (instance["name"], instance["owner"], instance["sync count"]) == ("here", "owner of here", "1")
    (exchange,) = read_table(shown, "exchange")
    assert (exchange["peer"], exchange["direction"], exchange["entries"]) == ("here", "in", "1")
    assert exchange["outcome"] == "done" and int(exchange["bytes"]) > 100


def show_exchanged(url: str) -> str:
    """Return what ``changecapture status`` prints, once it lists an exchange."""
    shown = run_command("status", url).out
    return shown if "\nexchange " in shown else ""


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


def test_uninstall_sees_a_relay_and_the_relay_says_what_another_installation_means(
    server, new_database, tmp_path, started
):
    url = create_camps(new_database(server))
    run_command("install", url, "--profile", "generic")
    relay = start(Relay("here", url, tmp_path, peers=()))
    started.append(relay)
    add_camps(url, 3)
    Patience().wait(lambda: "3 entries" in run_command("status", url).out, "published rows", look_s=0.2)
    asked = run_command("uninstall", url, answer="n\n")
    assert asked.err.startswith("warning: a relay works with ") and asked.status == 1
    assert run_command("uninstall", url, "--yes").status == 0
    relay.wait_for("make a new site of it: changecapture install URL", Patience())
    relay.stop()
    run_command("install", url, "--profile", "generic")
    assert "a relay works with" not in run_command("uninstall", url, answer="n\n").err
