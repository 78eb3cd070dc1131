"""``changecapture verify``."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from changecapture.cli.conflicts import opened
from changecapture.cli.exits import NO
from changecapture.cli.options import config_option, json_option, site_option
from changecapture.cli.output import count, print_table, progress_bar, say
from changecapture.errors import ConfigError

if TYPE_CHECKING:
    from changecapture.verify import Verified
    from changecapture.verify.side import Side

EPILOG = """\b
Example:
  changecapture verify env:CAMP_URL env:CITY_URL
  changecapture verify env:CAMP_URL env:CITY_URL --repair
  changecapture verify --with camp-north

\b
--with needs the relays of both sites running. Only tables are compared that each may have of the other.
With --repair this site takes what the peer has and this one lacks; run it there as well for the reverse.
Exit status: 0 both show the same, 1 they do not, 2 error.
"""
HEADS = ("table", "key", "left", "right", "columns")
NAMED = 10
"""Tables and columns of one site alone that are named in the one line."""


@click.command("verify", epilog=EPILOG)
@click.argument("first", metavar="[URL_A", required=False)
@click.argument("second", metavar="URL_B]", required=False)
@click.option("--with", "peer", metavar="PEER", help="A paired site, asked through the relays of both.")
@config_option
@site_option
@click.option(
    "--repair", is_flag=True, help="Ship the differing rows that one site knows and the other does not."
)
@json_option
def command(
    first: str | None,
    second: str | None,
    peer: str | None,
    config_file: Path,
    site: str | None,
    repair: bool,
    as_json: bool,
) -> int:
    """Say which rows of two sites differ, and why.

    By a hash tree: one row that differs among a million is found with a few kilobytes on the line. Each
    difference is told with its reason at both sites. Rows that a table shows otherwise than its log says are
    for changecapture reconcile: repairing them would lose what the application wrote.
    """
    from changecapture.verify import verify

    if (peer is None) == (second is None):
        raise click.UsageError("name two databases, or a paired site: --with PEER")
    sides = _two_databases(str(first), str(second)) if peer is None else _a_peer(config_file, site, peer)
    with sides as (left, right), progress_bar() as progress:
        found = verify(left, right, repair=repair, progress=progress)
    if as_json:
        click.echo(json.dumps(asdict(found), indent=2, ensure_ascii=False))
    else:
        _print(found)
    return NO if found.differences else 0


@contextmanager
def _two_databases(first: str, second: str) -> Iterator[tuple["Side", "Side"]]:
    from changecapture.verify.side import StoreSide

    with opened(first) as left, opened(second) as right:
        yield StoreSide(left), StoreSide(right)


@contextmanager
def _a_peer(config_file: Path, site: str | None, peer: str) -> Iterator[tuple["Side", "Side"]]:
    """Give this site, and a peer that is asked through the relay that runs here."""
    from changecapture.verify.questions import FarSide
    from changecapture.verify.side import StoreSide
    from relay.config import read_config
    from relay.connection import open_site
    from relay.control import RelayAway, call
    from relay.trust.identity import load_identity
    from relay.trust.peers import Peers
    from relay.trust.state import open_state

    config = read_config(config_file, site=site)
    own = load_identity(open_state(config.state)).device
    paired = Peers(config.state, own).find(peer)

    def ask(question: str) -> str:
        request = {"order": "verify", "peer": paired.device, "question": question}
        try:
            return str([said["done"]["answer"] for said in call(config.state, request)][-1])
        except RelayAway:
            raise ConfigError("no relay runs here", mend="start it: changecapture-relay run") from None

    store = open_site(config)
    try:
        yield StoreSide(store, paired.send & paired.accept), FarSide(ask)
    finally:
        store.close()


def _print(found: "Verified") -> None:
    if found.differences:
        rows = [(d.table, d.key, d.left, d.right, ", ".join(d.columns)) for d in found.differences]
        print_table("Differences", HEADS, rows)
    if found.apart:
        more = f" and {len(found.apart) - NAMED} more (--json names all)" if len(found.apart) > NAMED else ""
        say(f"not compared, at one site only: {', '.join(found.apart[:NAMED])}{more}")
    if not found.in_step:
        click.echo("the sites have not exchanged everything: changecapture sync brings them in step")
    if found.repaired:
        click.echo(f"{count(found.repaired, 'row')} shipped")
    if not found.rows and not found.differences:
        click.echo(f"nothing to compare: no row stands in the {count(found.tables, 'table')} of both")
        return
    verb = "differs" if len(found.differences) == 1 else "differ"
    differ = f"{count(len(found.differences), 'row')} {verb}" if found.differences else "equal"
    click.echo(f"{differ}: {count(found.rows, 'row')} compared, {found.bytes} bytes between the sites")
