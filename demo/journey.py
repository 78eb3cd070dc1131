"""A piece of work at one site and its way to the other: written, seen there, and how long it took."""

import time
from collections import Counter
from collections.abc import Callable
from statistics import median

from demo.arrivals import Arrival
from demo.screen import Screen
from demo.site import Site
from demo.stage import Stage
from tests.support.eden import Record
from tests.support.patience import Patience

LISTED = 5


class Journeys:
    """Lets changes travel and shows them, or measures them."""

    def __init__(self, stage: Stage, screen: Screen, patience: Patience) -> None:
        self._stage = stage
        self._screen = screen
        self._patience = patience
        self._seconds: dict[str, list[float]] = {}

    def add(self, site: Site, text: str, write: Callable[[], Record]) -> Record:
        """Show a new record travel; return it."""
        written: list[Record] = []
        self._screen.site(site.name, text)

        def seen() -> bool:
            record = written[0]
            return self._stage.sees(self._stage.other(site), record, "uuid", record.uuid)

        self.show(site, self._stage.other(site), lambda: written.append(write()), seen)
        return written[0]

    def change(
        self, site: Site, text: str, record: Record, column: str, value: str, write: Callable[[], object]
    ) -> None:
        """Show a change of a record travel, until its column has the value."""
        self._screen.site(site.name, text)
        other = self._stage.other(site)
        self.show(site, other, write, lambda: self._stage.sees(other, record, column, value))

    def measure(self, site: Site, record: Record, note: str) -> None:
        """Change a record's comments; remember how long it took until they were seen."""
        other = self._stage.other(site)
        took = self._travel(
            site,
            self._stage.edit(site, record, comments=note),
            lambda: self._stage.sees(other, record, "comments", note),
        )
        self._seconds.setdefault(f"{site.name} to {other.name}", []).append(took)

    def summary(self) -> list[str]:
        """Return a line for each direction that was measured."""
        return [
            f"{way}: median {median(times) * 1000:.0f} ms, longest {max(times) * 1000:.0f} ms "
            f"of {len(times)} changes"
            for way, times in self._seconds.items()
        ]

    def list(self, arrived: list[Arrival]) -> None:
        """Print what arrived: each entry, or how many of which table when it is much."""
        if len(arrived) <= LISTED:
            for arrival in arrived:
                self._screen.detail(str(arrival), "green")
            return
        for (sign, table), number in Counter((a.sign, a.table) for a in arrived).items():
            self._screen.detail(f"{sign} {table:<14} {number} rows", "green")

    def show(self, site: Site, other: Site, write: Callable[[], object], seen: Callable[[], bool]) -> None:
        """Write at a site; show what arrives at another, and how long it took until it was seen there."""
        heard = len(other.relay.lines)
        took = self._travel(site, write, seen)
        other.relay.wait_for("received", self._patience, heard)
        self.list(other.arrivals.read())
        self._screen.detail(f"visible at the other site {took * 1000:.0f} ms after the commit", "bold")

    def _travel(self, site: Site, write: Callable[[], object], seen: Callable[[], bool]) -> float:
        """Return the seconds from just before the commit to the first look that saw it."""
        with site.eden.request():
            write()
            before_commit = time.monotonic()
        self._patience.wait(seen, f"a change of the {site.name} to be seen at the other site")
        return time.monotonic() - before_commit
