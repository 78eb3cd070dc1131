# mypy: untyped-calls-exclude=twisted
"""Gives an order to the relay that runs; where none runs, carries it out alone."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import click

from relay.config import RelayConfig, read_config

Said = dict[str, Any]


class Quiet:
    """The log of a command: warnings only."""

    def info(self, text: str) -> None:
        """Say nothing."""

    def warning(self, text: str) -> None:
        """Say it."""
        click.echo(f"warning: {text}", err=True)

    def failure(self, text: str) -> None:
        """Say it, with what is being handled."""
        import traceback

        click.echo(f"error: {text}\n{traceback.format_exc().rstrip()}", err=True)


def give_order(
    config_file: Path, request: Said, say: Callable[[Said], None], site: str | None = None
) -> None:
    """Let a request be carried out, ``say`` what comes of it; raise ChangeCaptureError."""
    from relay.control import RelayAway, call

    config = read_config(config_file, database=False, site=site)
    try:
        for said in call(config.state, request):
            say(said)
    except RelayAway:
        _carry_out(config, request, say)


def _carry_out(config: RelayConfig, request: Said, say: Callable[[Said], None]) -> None:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from relay.node import Node
    from relay.orders import ON_THE_NETWORK, Orders
    from relay.program import clocked_reactor

    reactor = clocked_reactor()
    node = Node(config, reactor=reactor, rng=Random(), log=Quiet())
    failures: list[Failure] = []

    async def work() -> None:
        try:
            if request["order"] in ON_THE_NETWORK:
                node.start()
            async for said in Orders(node).carry_out(request):
                say(said)
        finally:
            await node.stop()

    def begin() -> None:
        working = Deferred.fromCoroutine(work())
        stopping = reactor.addSystemEventTrigger("before", "shutdown", working.cancel)
        working.addErrback(failures.append)
        working.addBoth(lambda _: (reactor.removeSystemEventTrigger(stopping), reactor.stop()))

    reactor.callWhenRunning(begin)
    reactor.run()
    for failure in failures:
        failure.raiseException()
