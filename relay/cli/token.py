"""``changecapture-relay token add|list|revoke``."""

import json
from pathlib import Path
from typing import Any

import click

from relay.cli.options import config_option, ending, example, json_option, site_option


@click.command(epilog=example("token add kobo --send none --accept cr", "token list", "token revoke kobo"))
@config_option
@site_option
@json_option
@click.option("--send", default="all", metavar="MODULES", help="add: which modules it may read.")
@click.option("--accept", default="all", metavar="MODULES", help="add: which modules are taken from it.")
@click.argument("verb", type=click.Choice(["add", "list", "revoke"]))
@click.argument("name", default="")
def token(
    config_file: Path, site: str | None, as_json: bool, send: str, accept: str, verb: str, name: str
) -> None:
    """Let a program read and put changes, by a token.

    Over XML-RPC or JSON-RPC, at the address of [clients] in the configuration. A token is shown once. MODULES
    is all, none, a list (cr,gis) or all but some ('all but hrm').
    """
    from relay.cli.order import give_order

    if (verb == "list") == bool(name):
        raise click.UsageError("add and revoke take a NAME, list takes none")
    with ending():
        request = {"order": f"token {verb}", "name": name, "send": send, "accept": accept}
        give_order(config_file, request, _say_json if as_json else _say, site)


def _say_json(said: dict[str, Any]) -> None:
    click.echo(json.dumps(said["done"], ensure_ascii=False))


def _say(said: dict[str, Any]) -> None:
    done = said["done"]
    if "token" in done:
        click.echo(f"token: {done['token']}")
        click.echo(f"certificate, where it is TLS: {done['fingerprint']}")
    for each in done.get("tokens", ()):
        click.echo(
            f"{each['name']}, since {each['added_at'][:10]}, reads {each['send']}, puts {each['accept']}"
        )
    if "revoked" in done:
        click.echo(f"revoked: {done['revoked']}")
