"""``changecapture-relay pair [CODE]``."""

import json
from pathlib import Path
from typing import Any

import click

from relay.cli.options import config_option, ending, example, introducer_option, json_option, site_option


@click.command(epilog=example("pair", "pair 42-river-lemon-tiger --at 192.168.1.20:7480"))
@config_option
@site_option
@json_option
@click.option("--at", metavar="HOST:PORT", help="Where the other machine is, when it is not found by itself.")
@introducer_option
@click.argument("code", nargs=-1)
def pair(
    config_file: Path,
    site: str | None,
    as_json: bool,
    at: str | None,
    introducer: bool,
    code: tuple[str, ...],
) -> None:
    """Pair two sites. On one machine: pair. It shows a code; on the other: pair CODE.

    The code is good for one guess, within ten minutes. Both ends let each other in, or neither does.
    """
    from relay.cli.order import give_order

    request = {"order": "pair", "introducer": introducer}
    if code:
        request = {"order": "join", "code": "-".join(code), "at": at, "introducer": introducer}
    elif at:
        raise click.UsageError("--at is for the machine where the code is typed")
    with ending():
        give_order(config_file, request, _say_json if as_json else _say, site)


def _say_json(said: dict[str, Any]) -> None:
    click.echo(json.dumps(said, ensure_ascii=False))


def _say(said: dict[str, Any]) -> None:
    if "code" in said:
        click.echo(f"code: {said['code']}")
        click.echo(f"on the other machine, within 10 minutes: changecapture-relay pair {said['code']}")
        click.echo(f"where this one is not found by itself: --at {' or '.join(said['addresses'])}")
    if "done" in said:
        click.echo(f"paired with {said['done']['name']} (device {said['done']['device'][:8]})")
