"""``changecapture site``: who a site is."""

import json
from typing import TYPE_CHECKING

import click

from changecapture.cli.conflicts import opened
from changecapture.cli.options import confirm, json_option, url_argument
from changecapture.errors import ConfigError

if TYPE_CHECKING:
    from changecapture.store.sqlstore import SqlStore

EPILOG = """\b
Example:
  changecapture site renew mysql://eden:secret@training/eden
"""


@click.group("site", epilog=EPILOG)
def command() -> None:
    """Say who a site is."""


@command.command("renew", epilog=EPILOG)
@url_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def renew(url: str | None, yes: bool, as_json: bool) -> None:
    """Give a copy of a database a name of its own, so that original and copy are two sites.

    To be run in one of the two, best in the copy, and its relay to be started again. All that it holds stays;
    what it writes from now on is its own. Peers know it as a new site, with a new key: it is paired anew.
    """
    from changecapture.epochs import renew as give_name

    with opened(url) as store:
        _confirm(store, yes)
        origin = give_name(store)
    if as_json:
        click.echo(json.dumps({"site": origin}))
        return
    click.echo(f"this is site {origin} from now on")
    click.echo(
        "its relay needs a key of its own: stop it, rename its state directory (relay.state), start the "
        "relay again, and pair it: changecapture-relay pair"
    )


def _confirm(store: "SqlStore", yes: bool) -> None:
    name = store.read_site().origin
    if not yes and not confirm(f"{store.url} shall no longer be site {name}?"):
        raise ConfigError("nothing was changed")
