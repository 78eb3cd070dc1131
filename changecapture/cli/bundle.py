"""``changecapture bundle``: a USB stick as a link between two paired sites."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from changecapture.cli.exits import NO
from changecapture.cli.options import config_option, json_option, site_option
from changecapture.cli.output import count, progress_bar, show_time
from changecapture.errors import ConfigError

if TYPE_CHECKING:
    from relay.bundle.carry import Imported, Site

EPILOG = """\b
Example:
  changecapture bundle export --for camp /media/stick/city.bundle       # at the city
  changecapture bundle import /media/stick/city.bundle                  # at the camp
  changecapture bundle import /media/stick/city.bundle.receipt          # at the city again

\b
The sites are paired (changecapture-relay pair), and what each may have holds here too
(changecapture-relay limit). Only the site that it is for can read a bundle. The configuration of the
relay says which database and which key; no relay need run.
"""
RECEIPT = ".receipt"
FILE = click.Path(path_type=Path, dir_okay=False)

peer_option = click.option(
    "--for",
    "peer",
    metavar="PEER",
    required=True,
    help="A paired site: its name, or the beginning of its id.",
)


@click.group("bundle", epilog=EPILOG)
def command() -> None:
    """Carry changes to a paired site in a file, as on a USB stick."""


@command.command("export", epilog=EPILOG)
@peer_option
@config_option
@site_option
@json_option
@click.argument("file", type=FILE)
def export(peer: str, config_file: Path, site: str | None, as_json: bool, file: Path) -> None:
    """Write what PEER lacks into FILE, as its last receipt says; without a receipt, all that it may have."""
    from relay.bundle.carry import export_bundle

    with opened(config_file, site) as here, progress_bar() as progress:
        paired = here.peers.find(peer)
        made = export_bundle(here, paired, file, lambda done: progress("changes written", done, 0))
    if as_json:
        found = {"file": str(file), "for": paired.name, "device": paired.device, "bundle": made.bundle}
        click.echo(
            json.dumps({**found, "changes": made.entries, "bytes": made.bytes, "receipt": made.receipt})
        )
        return
    click.echo(f"{count(made.entries, 'change')} for {paired.label} written to {file}, {made.bytes} bytes")
    if made.receipt is None:
        click.echo("no receipt of that site is here: all that it may have was written")
    else:
        click.echo(f"after what it had by its receipt of {show_time(made.receipt)}")


@command.command("import", epilog=EPILOG)
@config_option
@site_option
@click.option(
    "--receipt", metavar="FILE", type=FILE, help="Where the receipt goes; FILE.receipt if left out."
)
@json_option
@click.argument("file", type=FILE)
def import_(config_file: Path, site: str | None, receipt: Path | None, as_json: bool, file: Path) -> int:
    """Take a bundle, or a receipt that was carried back.

    To import twice changes nothing; an import that was interrupted is run again and goes on. Of a file that
    ends too early the whole parts are taken.
    Exit status: 0 all taken, 1 the file ends early or something is parked, 2 error.
    """
    from relay.bundle.carry import import_bundle, make_receipt
    from relay.bundle.keep import is_receipt

    with opened(config_file, site) as here, _reading(file) as source, progress_bar() as progress:
        if is_receipt(source.peek(64)):
            click.echo(_take_receipt(here, source.read(), as_json))
            return 0
        taken = import_bundle(here, source, lambda done: progress("changes taken", done, 0))
        place = receipt or file.with_name(file.name + RECEIPT)
        try:
            _write(place, make_receipt(here, taken.sender))
        except ConfigError as error:
            mend = (
                "what was imported stands; changecapture bundle receipt --for PEER FILE writes it elsewhere"
            )
            raise ConfigError(error.what, why=error.why, mend=mend) from error
    if as_json:
        click.echo(json.dumps(_describe(taken, place)))
    else:
        _print(taken, place)
    return NO if taken.parked or not taken.whole else 0


@command.command("receipt", epilog=EPILOG)
@peer_option
@config_option
@site_option
@json_option
@click.argument("file", type=FILE)
def receipt(peer: str, config_file: Path, site: str | None, as_json: bool, file: Path) -> None:
    """Write a receipt for PEER without a bundle: what this site has, which modules it takes from there."""
    from relay.bundle.carry import make_receipt

    with opened(config_file, site) as here:
        paired = here.peers.find(peer)
        _write(file, make_receipt(here, paired))
    if as_json:
        click.echo(json.dumps({"file": str(file), "for": paired.name, "device": paired.device}))
    else:
        click.echo(f"receipt for {paired.label} written to {file}: carry it there, and import it")


@contextmanager
def opened(config_file: Path, site: str | None) -> Iterator["Site"]:
    """Give a relay's site for one command, with its database, its key and its peers."""
    from changecapture.config import parse_url
    from changecapture.memo import find_memo
    from changecapture.store import open_store
    from relay.bundle.carry import Site
    from relay.bundle.keep import Keep
    from relay.config import read_config
    from relay.trust.identity import load_identity
    from relay.trust.owner import check_owner
    from relay.trust.peers import Peers
    from relay.trust.state import open_state

    config = read_config(config_file, site=site)
    url = parse_url(config.url)
    identity = load_identity(open_state(config.state))
    peers = Peers(config.state, identity.device, config.most_brought)
    keep = Keep(config.state, peers)
    with keep.held():
        store = open_store(url, memo=find_memo(url, config.state))
        try:
            check_owner(config.state, store.read_site(), store.read_vector())
            yield Site(store, identity, peers, keep)
        finally:
            store.close()


@contextmanager
def _reading(file: Path) -> Iterator[Any]:
    try:
        source = file.open("rb")
    except OSError as error:
        raise ConfigError(f"cannot read {file}", why=error.strerror or str(error)) from error
    with source:
        yield source


def _write(file: Path, content: bytes) -> None:
    from relay.bundle.keep import names_receipt
    from relay.bundle.place import written_whole

    with written_whole(file, "receipt", names_receipt) as receipt:
        receipt.write(content)


def _take_receipt(here: "Site", content: bytes, as_json: bool) -> str:
    from relay.bundle.carry import take_receipt
    from relay.bundle.keep import read_receipt

    found = read_receipt(content, here.identity.device)
    paired, news = take_receipt(here, found)
    if as_json:
        return json.dumps(
            {"receipt": found.serial, "from": paired.name, "device": paired.device, "news": news}
        )
    if not news:
        return f"a receipt of {paired.label} that is as new is here already: nothing was changed"
    return f"receipt of {paired.label} taken: the next bundle for it begins after what it has"


def _describe(taken: "Imported", place: Path) -> dict[str, Any]:
    return {
        "bundle": taken.bundle,
        "from": taken.sender.name,
        "device": taken.sender.device,
        "changes": taken.entries,
        "applied": taken.applied,
        "parked": taken.parked,
        "known": taken.known,
        "whole": taken.whole,
        "healed": taken.healed,
        "receipt": str(place),
    }


def _print(taken: "Imported", place: Path) -> None:
    if taken.healed:
        click.echo(f"this database was restored or copied: {count(taken.healed, 'change')} published anew")
    if taken.known:
        click.echo(f"from {taken.sender.label}: all of it was here already")
    else:
        click.echo(
            f"from {taken.sender.label}: {count(taken.entries, 'change')}, {taken.applied} applied, "
            f"{taken.parked} parked"
        )
    if not taken.whole:
        click.echo("the file ends too early: its whole parts were taken; import the whole file to go on")
    click.echo(f"receipt written to {place}: carry it back, so that the next bundle begins after this")
