# mypy: untyped-calls-exclude=twisted
"""The whole program: every site of a configuration, their health page, and who started it told."""

import time
from pathlib import Path
from typing import IO, Any

from twisted.internet.defer import Deferred


def start_relay(config_file: Path, stream: IO[str]) -> Any:
    """Start what a configuration says; return the reactor, to be run. Raises ChangeCaptureError."""
    from changecapture.memory import spare_collector
    from changecapture.packages import check_packages
    from relay.config import read_program
    from relay.connection import DatabaseExchange
    from relay.health import Health
    from relay.log import LOGS
    from relay.page.server import serve_page
    from relay.service import make_service
    from relay.systemd import Manager

    check_packages()
    config = read_program(config_file)
    log = LOGS[config.log](stream)
    log.begin()
    reactor = clocked_reactor()
    relay = make_service(
        config.sites, lambda site: DatabaseExchange(site.url, site.state), reactor=reactor, log=log
    )
    relay.startService()
    serve_page(config, relay, reactor=reactor, log=log)
    if config.metrics is not None:
        sites: Any = list(relay)
        health = Health(config.metrics, sites, reactor=reactor, log=log)
        health.start()
        reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(health.stop()))
    manager = Manager(reactor)
    reactor.callWhenRunning(manager.ready)
    reactor.addSystemEventTrigger("before", "shutdown", manager.stopping)
    reactor.addSystemEventTrigger("before", "shutdown", relay.stopService)
    spare_collector()
    return reactor


def clocked_reactor() -> Any:
    """Return the reactor, on a clock that nobody sets.

    Twisted's timers follow the wall clock. A site without a battery that gets its time by radio
    would stop polling for as long as its clock was ahead.
    """
    from twisted.internet import reactor

    clocked: Any = reactor
    clocked.seconds = time.monotonic
    return clocked
