# mypy: untyped-calls-exclude=twisted
"""How the relay is, for programs of this machine: ``/healthz``, and ``/metrics`` in Prometheus' text format.

/healthz is 200 while every database can be used, else 503; a line for each site says which cannot, and why.
What /metrics tells is read from the databases when it is asked for, so it survives a restart and needs no
registry; what no database keeps, traffic since the start, the journal counts. Pages under foreign names are
refused: a browser here must not read them for a page that it has open.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from changecapture.status import Status
from relay.address import Address, is_loopback
from relay.clock import cancelled
from relay.journal import Key, Traffic
from relay.log import Log
from relay.meter import Wire
from relay.porch import Porch

US = 1_000_000
Device = tuple[str, str]
"""The beginning of its id, and what people call it."""
PREFIX = "changecapture_"
LIFE_S = 60.0
"""Of a connection; the database may take a while."""


class Told(Protocol):
    """A site that tells how it is."""

    @property
    def name(self) -> str:
        """Return what people call it."""

    @property
    def away(self) -> str:
        """Return what keeps its database from being used, "" while nothing does."""

    @property
    def traffic(self) -> Mapping[Key, Traffic]:
        """Return what was exchanged since the start."""

    @property
    def wires(self) -> Mapping[Device, Wire]:
        """Return what went over the wire since the start."""

    def read_status(self) -> Awaitable[Status | None]:
        """Return how the site stands, None while its database is away."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A number of a site."""

    metric: str
    value: float
    labels: tuple[tuple[str, str], ...] = ()


HELP = {
    "up": "1 while the database can be used",
    "entries": "Entries of all sites that this one holds, compacted ones included",
    "captured": "Changes that are captured and not yet published",
    "lag_seconds": "Age of the oldest change that is captured and not yet published",
    "parked": "Rows that cannot be shown here, by reason",
    "waiting": "References that wait for their row",
    "conflicts": "Values that lost and that nobody has looked at",
    "missed": "Failures of capture, which reconcile has to find",
    "copied": "1 when a copy of the database or of the machine was met alive beside it within a day",
    "peer_lag_seconds": "Since the last contact with a peer",
    "peer_skew_seconds": "How far the clock of a peer is ahead of ours",
    "peer_copied": "1 when a copy of a peer was seen alive beside it within a day",
    "peer_received_entries": "Entries received of a peer since it was met first",
    "traffic_entries_total": "Entries exchanged with a peer since the start, by direction",
    "traffic_bytes_total": "Bytes of payload exchanged with a peer since the start, by direction",
    "traffic_failures_total": "Exchanges with a peer that failed since the start, by direction",
    "wire_bytes_total": "Bytes over the wire since the start, heads and TLS too, by device and direction",
    "wire_connections_total": "Connections with a paired device since the start",
}


def write_metrics(samples: Sequence[Sample]) -> str:
    """Return them in Prometheus' text format, each metric with its help and type."""
    lines: list[str] = []
    for metric, text in HELP.items():
        found = [sample for sample in samples if sample.metric == metric]
        if found:
            kind = "counter" if metric.endswith("_total") else "gauge"
            lines += [f"# HELP {PREFIX}{metric} {text}", f"# TYPE {PREFIX}{metric} {kind}"]
            lines += [f"{PREFIX}{metric}{{{_labels(sample)}}} {sample.value:.15g}" for sample in found]
    return "\n".join(lines) + "\n"


def _labels(sample: Sample) -> str:
    return ",".join(f'{name}="{_escape(text)}"' for name, text in sample.labels)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def measure(
    name: str, status: Status | None, traffic: Mapping[Key, Traffic], wires: Mapping[Device, Wire]
) -> Iterator[Sample]:
    """Yield what there is to tell of a site; ``status``: None while its database is away."""
    site = (("site", name),)
    yield Sample("up", float(status is not None), site)
    called = {}
    if status is not None:
        called = {instance.base_uuid: instance.name for instance in status.instances}
        oldest = status.oldest_captured_at
        yield Sample("entries", status.entries, site)
        yield Sample("captured", status.captured, site)
        yield Sample("lag_seconds", 0.0 if oldest is None else max(0, status.now - oldest) / US, site)
        yield Sample("waiting", status.waiting, site)
        yield Sample("conflicts", status.conflicts, site)
        yield Sample("missed", sum(missed.count for missed in status.missed), site)
        yield Sample("copied", float(status.copied_at is not None), site)
        for reason in status.parked or {"": 0}:
            yield Sample("parked", status.parked.get(reason, 0), (*site, ("reason", reason)))
        for peer in status.peers:
            labels = (*site, ("peer", peer.site), ("name", called.get(peer.site, "")))
            yield Sample("peer_lag_seconds", max(0, status.now - peer.contact_at) / US, labels)
            yield Sample("peer_received_entries", peer.received, labels)
            yield Sample("peer_copied", float(peer.copied_at is not None), labels)
            if peer.clock_offset is not None:
                yield Sample("peer_skew_seconds", peer.clock_offset / US, labels)
    for (peer_site, direction), sum_ in traffic.items():
        way = (*site, ("peer", peer_site), ("name", called.get(peer_site, "")), ("direction", direction))
        yield Sample("traffic_entries_total", sum_.entries, way)
        yield Sample("traffic_bytes_total", sum_.bytes, way)
        yield Sample("traffic_failures_total", sum_.failures, way)
    for (device, called_so), wire in wires.items():
        of = (*site, ("device", device), ("name", called_so))
        yield Sample("wire_bytes_total", wire.sent, (*of, ("direction", "out")))
        yield Sample("wire_bytes_total", wire.received, (*of, ("direction", "in")))
        yield Sample("wire_connections_total", wire.connections, of)


class _Page(Resource):
    """A text that is made when it is asked for."""

    isLeaf = True

    def __init__(
        self, make: Callable[[], Awaitable[tuple[int, str]]], allowed: Callable[[str], bool]
    ) -> None:
        Resource.__init__(self)
        self._make = make
        self._allowed = allowed

    def render_GET(self, request: Request) -> int:
        """Answer, once it is made."""
        host = request.getRequestHostname().decode("ascii", "replace")
        making = Deferred.fromCoroutine(self._answer(request, host))
        gone: Deferred[Any] = request.notifyFinish()
        gone.addErrback(lambda _: making.cancel())
        making.addErrback(cancelled)
        return NOT_DONE_YET

    async def _answer(self, request: Request, host: str) -> None:
        status, text = await self._make() if self._allowed(host) else (403, "ask for 127.0.0.1\n")
        request.setResponseCode(status)
        request.setHeader("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        request.write(text.encode())
        request.finish()


class Health:
    """The two pages, over all sites of a relay."""

    def __init__(self, address: Address, sites: Sequence[Told], *, reactor: Any, log: Log) -> None:
        """Nothing is opened before ``start``."""
        self._sites = sites
        self._log = log
        # Whoever opens it to a network does so by name, and may call it by any.
        allowed = is_loopback if is_loopback(address.host) else lambda host: True
        self._porch = Porch(
            address,
            {"healthz": _Page(self._healthz, allowed), "metrics": _Page(self._metrics, allowed)},
            setting="[metrics]",
            reactor=reactor,
            life_s=LIFE_S,
        )

    def start(self) -> None:
        """Listen; raise ConfigError when the port cannot be had."""
        self._log.info(f"metrics at http://{self._porch.start()}/metrics")

    async def stop(self) -> None:
        """Hear no more."""
        await self._porch.stop()

    async def _healthz(self) -> tuple[int, str]:
        lines = [f"{site.name}: {site.away or 'ok'}\n" for site in self._sites]
        return (503 if any(site.away for site in self._sites) else 200), "".join(lines)

    async def _metrics(self) -> tuple[int, str]:
        samples: list[Sample] = []
        for site in self._sites:
            samples += measure(site.name, await site.read_status(), site.traffic, site.wires)
        return 200, write_metrics(samples)
