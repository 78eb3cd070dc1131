# mypy: untyped-calls-exclude=twisted
"""Sending to a site that does not ask: one that cannot call us, because we are behind NAT.

The roles of a pull, with the other end calling. The site tells what it lacks, as the request that it
would pull with; we answer that request, as if it had been asked, and carry the answer there. Nothing
else differs: its vector and progress say what follows, each payload is durable before it is
acknowledged, and one that arrives twice changes nothing.

- Who can pull does. We ask only a site that has held no poll here for ``Timing.patience_s``, and it tells us
  nothing while it pulls from us itself; as soon as it calls, our poll is let go and we are silent. After
  a cut, a site that took our pushes before is asked at once.
- The size of a payload follows what the link bears (``relay.load``).
- While there is nothing to send we hold a poll here in its name: so it hears of news by the rules of
  ``relay.polls``, as if it had called, and is asked again where its vector may have moved.
"""

from dataclasses import replace
from random import Random

from twisted.internet.defer import CancelledError, Deferred

from changecapture.errors import PeerError, RetryLater
from changecapture.sync import PullRequest
from relay.address import Address
from relay.client import Client
from relay.clock import Clock, cancelled, pause
from relay.database import Database
from relay.exchange import Answer
from relay.journal import Journal, new_exchange
from relay.load import Load, Timing
from relay.log import Log
from relay.polls import Outcome, Polls
from relay.session import MAX_WAIT_S, back_off
from relay.trust.peers import Peers

HOLD_S = 600.0


class Pusher:
    """Pushes to the site at one address, from ``start`` to ``stop``."""

    def __init__(
        self,
        address: Address,
        *,
        own_site: str,
        peers: Peers,
        client: Client,
        database: Database,
        polls: Polls,
        journal: Journal,
        timing: Timing,
        clock: Clock,
        rng: Random,
        log: Log,
    ) -> None:
        """``own_site`` is ours; nothing is sent before ``start``."""
        self._address = address
        self._own_site = own_site
        self._peers = peers
        self._client = client
        self._database = database
        self._polls = polls
        self._clock = clock
        self._rng = rng
        self._journal = journal
        self._log = log
        self._patience_s = timing.patience_s
        self._load = Load(timing.aim_s)
        self._told = ""
        self._device = ""
        self._wanted = False
        """Whether the site took our pushes when it was last asked: after a cut it need not be waited for."""
        self._running: Deferred[None] | None = None

    def start(self, site: str, device: str) -> None:
        """Begin: the site at the address was greeted; ``device`` is who speaks for it."""
        self.stop()
        self._device = device
        self._running = Deferred.fromCoroutine(self._push_for_ever(site))
        self._running.addErrback(cancelled)

    def stop(self) -> None:
        """End: it is spoken to no longer, or over another address."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()

    async def _push_for_ever(self, site: str) -> None:
        failures = 0
        while True:
            if not self._wanted:
                await pause(self._clock, self._patience_s)
            if self._polls.holds(site):
                self._wanted = False
                continue
            try:
                await self._push_while_wanted(site)
                failures = 0
                continue
            except CancelledError:
                raise
            except (PeerError, RetryLater) as error:
                self._tell(error)
            except Exception:
                self._log.failure(f"a mistake in the relay, while it pushed to {self._address}")
            await pause(self._clock, back_off(failures, MAX_WAIT_S, self._rng))
            failures += 1

    async def _push_while_wanted(self, site: str) -> None:
        """Send what the site lacks, now and whenever there is news, until it pulls itself."""
        exchange = new_exchange()
        wanted = await self._send(site, exchange, b"")
        while wanted is not None and not self._polls.holds(site):
            poll = self._polls.open(site)
            try:
                request = replace(wanted, size=self._load.size)
                answer = await self._database.answer(request, self._peers.terms(self._device))
                self._polls.answered(poll, answer.entries)
                if answer.entries or answer.raises or not answer.last:
                    wanted = await self._carry(site, exchange, answer)
                    exchange = new_exchange() if answer.last else exchange
                    continue
                self._journal.in_step(site, "out", answer.end)
                outcome = await poll.hold(HOLD_S)
            finally:
                self._polls.close(poll)
            if outcome is not Outcome.ANSWER and not self._polls.holds(site):
                wanted = await self._send(site, exchange, b"")

    async def _carry(self, site: str, exchange: str, answer: Answer) -> PullRequest | None:
        """Send an answer, and learn from it how much the next should carry."""
        began = self._clock.seconds()
        try:
            wanted = await self._send(site, exchange, answer.payload)
        except (PeerError, RetryLater) as error:
            if isinstance(error, RetryLater):
                self._load.failed()
            self._journal.broken(exchange, site, "out", str(error))
            raise
        self._load.took(self._clock.seconds() - began, full=not answer.last)
        self._journal.note(
            exchange,
            site,
            "out",
            entries=answer.entries,
            size=len(answer.payload),
            began=began,
            last=answer.last,
        )
        return wanted

    async def _send(self, site: str, exchange: str, payload: bytes) -> PullRequest | None:
        """Carry a payload there; return what the site lacks then, None when it pulls itself."""
        text = await self._client.push(self._address, self._device, self._own_site, exchange, payload)
        self._wanted = bool(text)
        if not text:
            return None
        wanted = self._database.exchange.read_request(text)
        if wanted.site != site:
            raise PeerError(f"it tells what {wanted.site} lacks, not {site}")
        return wanted

    def _tell(self, error: Exception) -> None:
        """Say once what the site has against our pushes; that it is out of reach its session says."""
        if isinstance(error, PeerError) and str(error) != self._told:
            self._told = str(error)
            self._log.warning(f"{self._address} does not take what is pushed: {error}")
