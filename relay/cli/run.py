"""``changecapture-relay run``."""

import sys
from pathlib import Path

import click

from relay.cli.options import config_option, ending, example


@click.command(epilog=example("run --config /etc/changecapture/relay.toml"))
@config_option
def run(config_file: Path) -> None:
    """Run in the foreground until SIGTERM or Ctrl-C; log to stderr."""
    from relay.program import start_relay

    with ending():
        reactor = start_relay(config_file, sys.stderr)
    reactor.run()
