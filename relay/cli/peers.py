"""``changecapture-relay peers``, ``allow`` and ``unpair``."""

import json
from pathlib import Path
from typing import Any

import click

from relay.cli.options import config_option, ending, example, json_option, site_option
from relay.meter import tell_size
from relay.trust.identity import SHORT

MEND = "run changecapture site renew in one of the two"


@click.command(epilog=example("peers", "peers --json"))
@config_option
@site_option
@json_option
def peers(config_file: Path, site: str | None, as_json: bool) -> None:
    """List the paired sites, and others within reach."""
    _order(config_file, site, as_json, {"order": "peers"}, _say_peers)


@click.command(epilog=example("allow hub --introducer", "allow hub --no-introducer"))
@config_option
@site_option
@json_option
@click.option("--introducer/--no-introducer", required=True, help="Whether it may introduce others.")
@click.argument("peer")
def allow(config_file: Path, site: str | None, as_json: bool, introducer: bool, peer: str) -> None:
    """Let a paired site introduce others, or no longer.

    PEER is its name, or the beginning of its id.
    """
    _order(
        config_file,
        site,
        as_json,
        {"order": "allow", "peer": peer, "introducer": introducer},
        lambda peer: click.echo(_line(peer)),
    )


@click.command(epilog=example("limit camp-north --send 'all but mpr'", "limit camp-north --accept cr,gis"))
@config_option
@site_option
@json_option
@click.option("--send", metavar="MODULES", help="Which modules it is sent.")
@click.option("--accept", metavar="MODULES", help="Which modules are taken from it.")
@click.argument("peer")
def limit(
    config_file: Path, site: str | None, as_json: bool, send: str | None, accept: str | None, peer: str
) -> None:
    """Say which modules are exchanged with a paired site.

    PEER is its name, or the beginning of its id. MODULES is all, none, a list (cr,gis) or all but some ('all
    but mpr'); `changecapture plan` names them. What is held back is sent when it is allowed again.
    """
    limits = {name: text for name, text in (("send", send), ("accept", accept)) if text is not None}
    if not limits:
        raise click.UsageError("say what to --send or to --accept")
    request = {"order": "limit", "peer": peer, **limits}
    _order(config_file, site, as_json, request, lambda peer: click.echo(_line(peer)))


@click.command(epilog=example("unpair camp-north"))
@config_option
@site_option
@json_option
@click.argument("peer")
def unpair(config_file: Path, site: str | None, as_json: bool, peer: str) -> None:
    """Let a site in no more, at once.

    PEER is its name, or the beginning of its id.
    """
    _order(config_file, site, as_json, {"order": "unpair", "peer": peer}, _say_unpaired)


def _order(config_file: Path, site: str | None, as_json: bool, request: dict[str, Any], say: Any) -> None:
    from relay.cli.order import give_order

    def hear(said: dict[str, Any]) -> None:
        if as_json:
            click.echo(json.dumps(said["done"], ensure_ascii=False))
            return
        say(said["done"])
        if said.get("checked") is False:
            click.echo("the names of the modules were not looked up: no relay runs", err=True)

    with ending():
        give_order(config_file, request, hear, site)


def _say_peers(done: dict[str, Any]) -> None:
    click.echo(f"this is device {done['device']}")
    if done.get("copied"):
        click.echo(f"A COPY OF THIS MACHINE IS ALIVE BESIDE IT: {MEND}")
    click.echo("paired:" if done["peers"] else "no site is paired: changecapture-relay pair")
    for peer in done["peers"]:
        click.echo(f"  {_line(peer)}")
    if done["others"]:
        click.echo("within reach, not paired, not spoken to:")
    for other in done["others"]:
        click.echo(f"  device {other['device'][:SHORT]} at {', '.join(other['addresses'])}")


def _say_unpaired(done: list[dict[str, Any]]) -> None:
    for peer in done:
        click.echo(f"unpaired: {peer['name']} (device {peer['device'][:SHORT]})")


def _line(peer: dict[str, Any]) -> str:
    """Return what there is to say of a paired site."""
    parts = [f"{peer['name']} (device {peer['device'][:SHORT]})"]
    if peer["paired_at"]:
        parts.append(f"since {peer['paired_at'][:10]}")
    if peer["introducer"]:
        parts.append("may introduce others")
    if peer["introduced_by"]:
        parts.append(f"introduced by device {peer['introduced_by'][:SHORT]}")
    for what, word in (("send", "is sent"), ("accept", "may send")):
        if peer[what] != "all":
            parts.append(f"{word} {peer[what]}")
    if peer.get("addresses"):
        parts.append(f"at {', '.join(peer['addresses'])}")
    if peer.get("copied"):
        parts.append(f"A COPY OF IT IS ALIVE BESIDE IT ({MEND})")
    wire = peer.get("wire")
    if wire and wire["connections"]:
        sent, received = tell_size(wire["sent"]), tell_size(wire["received"])
        parts.append(f"{sent} sent and {received} received over the wire since the relay began")
    return ", ".join(parts)
