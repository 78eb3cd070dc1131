# mypy: untyped-calls-exclude=twisted
"""``changecapture-relay run``."""

import sys
import time
from pathlib import Path
from typing import Any

import click

from relay.cli.options import config_option, ending


@click.command()
@config_option
def run(config_file: Path) -> None:
    """Run in the foreground until SIGTERM or Ctrl-C; log to stderr."""
    from changecapture.memory import spare_collector
    from changecapture.packages import check_packages
    from relay.config import read_program
    from relay.exchange import DatabaseExchange
    from relay.log import LOGS
    from relay.page.server import serve_page
    from relay.service import make_service

    with ending():
        check_packages()
        config = read_program(config_file)
        log = LOGS[config.log](sys.stderr)
        log.begin()
        reactor = clocked_reactor()
        relay = make_service(
            config.sites, lambda site: DatabaseExchange(site.url, site.state), reactor=reactor, log=log
        )
        relay.startService()
        serve_page(config, relay, reactor=reactor, log=log)
    spare_collector()
    reactor.addSystemEventTrigger("before", "shutdown", relay.stopService)
    reactor.run()


def clocked_reactor() -> Any:
    """Return the reactor, on a clock that nobody sets.

    Twisted's timers follow the wall clock. A site without a battery that gets its time by radio
    would stop polling for as long as its clock was ahead.
    """
    from twisted.internet import reactor

    clocked: Any = reactor
    clocked.seconds = time.monotonic
    return clocked
