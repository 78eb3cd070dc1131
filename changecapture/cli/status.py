"""``changecapture status``."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from changecapture.cli.options import find_url, url_argument
from changecapture.cli.output import count, describe_age, print_table, say
from changecapture.cli.standing import describe_standing, sum_up

if TYPE_CHECKING:
    from changecapture.status import InstanceStatus, PeerStatus, Status
    from changecapture.store.records import Exchanged

INSTANCE = ("base_uuid", "name", "owner", "contact", "url", "last update", "sync count")
EXCHANGE = ("exchange", "peer", "direction", "entries", "bytes", "ended", "took", "outcome")
EPILOG = """\b
Example:
  changecapture status postgresql://eden:secret@localhost/eden
  changecapture status env:EDEN_URL --json | jq .captured
"""


@click.command("status", epilog=EPILOG)
@url_argument
@click.option("--json", "as_json", is_flag=True, help="All of it as JSON; times are microseconds since 1970.")
def command(url: str | None, as_json: bool) -> None:
    """Show whether all is well, who is in step, what waits.

    The first line says it in short. Then: what the site holds of the others, what needs a person, the peers
    and the last exchanges.
    """
    from changecapture.drift import describe_drift
    from changecapture.history import read_names
    from changecapture.status import read_status
    from changecapture.store import open_store

    store = open_store(find_url(url), installed=False)
    try:
        status = read_status(store)
        drift = describe_drift(store)
        names = read_names(store)
    finally:
        store.close()
    if as_json:
        click.echo(
            json.dumps(
                {**_to_json(status), "drift": drift or None, "in_short": sum_up(status, drift, names)},
                indent=2,
            )
        )
    else:
        _print(status, drift, names)


def _to_json(status: "Status") -> dict[str, object]:
    from changecapture.core.vector import dump_vector

    peers = [{**asdict(peer), "in_step": peer.in_step} for peer in status.peers]
    return {**asdict(status), "vector": json.loads(dump_vector(status.vector)), "peers": peers}


def _print(status: "Status", drift: str, names: Mapping[str, str]) -> None:
    for name, text in [("in short", sum_up(status, drift, names)), *_lines(status, drift)]:
        say(f"{name + ':':<14}{text}")
    if status.vector:
        rows = [(names.get(h.origin, ""), h.origin, str(h.epoch), str(h.number)) for h in status.held]
        click.echo()
        print_table("Held of each site", ("site", "its id", "epoch", "last number"), rows)
    if status.peers:
        peers = [
            (
                names.get(p.site, p.site),
                describe_standing(status, p),
                _ago(status, p.contact_at),
                str(p.received),
                _describe_clock(p),
            )
            for p in status.peers
        ]
        click.echo()
        print_table("Peers", ("peer", "in step", "last contact", "received", "its clock"), peers)
    if status.instances:
        click.echo()
        print_table("Instances", INSTANCE, [_instance(status, i) for i in status.instances])
    if status.exchanges:
        click.echo()
        print_table("Last exchanges", EXCHANGE, [_exchange(status, e, names) for e in status.exchanges])


def _instance(status: "Status", i: "InstanceStatus") -> tuple[str, ...]:
    updated = "never" if i.last_update is None else _ago(status, i.last_update)
    name = i.name if i.alike else f"{i.name} (other tables or columns)"
    return i.base_uuid, name, i.owner, i.contact, i.url, updated, str(i.sync_count)


def _exchange(status: "Status", e: "Exchanged", names: Mapping[str, str]) -> tuple[str, ...]:
    seconds = (e.ended_at - e.started_at) / 1_000_000
    carried = (names.get(e.peer, e.peer), e.direction, str(e.entries), str(e.bytes))
    return e.exchange, *carried, _ago(status, e.ended_at), f"{seconds:.1f} s", e.outcome


def _describe_clock(peer: "PeerStatus") -> str:
    """Return how far a peer's clock is off ours, as far as that was measured."""
    if peer.clock_offset is None or peer.clock_error is None:
        return "not measured"
    return f"{peer.clock_offset / 1_000_000:+.1f} s, give or take {peer.clock_error / 1_000_000:.1f} s"


def _lines(status: "Status", drift: str) -> Iterator[tuple[str, str]]:
    yield "database", status.database
    yield "site", f"{status.site}, epoch {status.epoch}, installed {_ago(status, status.installed_at)}"
    if status.copied_at is not None:
        told = f"a copy of this database is alive, met {_ago(status, status.copied_at)}"
        yield "copied", f"{told} (run changecapture site renew in one of them, and start its relay again)"
    yield "profile", status.profile
    behind = f", {status.to_backfill} of them to be backfilled" if status.to_backfill else ""
    unfinished = "" if status.finished else "; not finished: run changecapture install URL"
    yield "tables", f"{status.tables}{behind}{unfinished}"
    if status.mapping is not None:
        cut = f", {count(status.shortened, 'text')} shown cut" if status.shortened else ""
        yield "mapping", f"{status.mapping}: {count(status.mapped_tables, 'table')} as rows of Eden's{cut}"
    if drift:
        yield "drift", drift
    oldest = status.oldest_captured_at
    age = f", the oldest {_ago(status, oldest)}" if oldest is not None else ""
    yield "captured", f"{status.captured} waiting{age}"
    for missed in status.missed:
        yield (
            "missed",
            (
                f"changes of {missed.table}, last {_ago(status, missed.last_at)}: {missed.reason} "
                "(run: changecapture install, then changecapture reconcile)"
            ),
        )
    yield "changelog", count(status.entries, "entry")
    parked = ", ".join(f"{reason} {number}" for reason, number in status.parked.items())
    yield "parked", f"{count(sum(status.parked.values()), 'row')}{f': {parked}' if parked else ''}"
    yield "waiting", count(status.waiting, "reference")
    yield "conflicts", f"{status.conflicts} open"
    if status.twice_named:
        names = ", ".join(status.twice_named[:3])
        told = f"{count(len(status.twice_named), 'name')} given by two sites to what differs, shown as one: "
        yield "one for two", f"{told}{names} (run: changecapture doctor)"
    yield "deleted", f"{count(status.deleted_rows, 'row')} kept"


def _ago(status: "Status", at: int) -> str:
    return f"{describe_age(status.now - at)} ago"
