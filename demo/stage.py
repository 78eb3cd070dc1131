"""The sites side by side, and what is asked of them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from demo.screen import Screen
from demo.site import Site
from tests.support.eden import Record
from tests.support.pairing import Pairing
from tests.support.patience import Patience

NAMES = ("camp", "city", "hotline")


class Stage:
    """``camp`` is an Eden on PostgreSQL, ``city`` an Eden on MariaDB, ``hotline`` a Vesuvius on MariaDB."""

    def __init__(self, screen: Screen, patience: Patience, directory: Path) -> None:
        """Nothing is started before ``build``; ``close`` ends everything, whatever was started."""
        self.directory = directory
        self.camp = Site(NAMES[0], "postgresql", directory, patience)
        self.city = Site(NAMES[1], "mysql", directory, patience)
        self.hotline = Site(NAMES[2], "mysql", directory, patience, "vesuvius")
        self.sites = (self.camp, self.city)
        self.everywhere = (*self.sites, self.hotline)
        self._screen = screen
        self._patience = patience
        self._told = True

    def build(self) -> None:
        """Start a server with its application for each site, side by side."""
        self._patience.together(*(site.build for site in self.everywhere))

    def install(self) -> dict[str, list[str]]:
        """Install change capture on both; return what the command printed, by site."""
        said: dict[str, list[str]] = {}

        def run(site: Site) -> Callable[[], None]:
            return lambda: said.update({site.name: site.install()})

        self._patience.together(*map(run, self.sites))
        return said

    def open_relays(self, *sites: Site) -> None:
        """Start relays; their logs are printed as they come. Wait until they are announced."""
        for site in sites:
            site.open_relay(self._hear)
        for site in sites:
            site.relay.wait_for("announced to other sites", self._patience)

    def pair(self, shower: Site, typer: Site) -> None:
        """Pair two sites by a code, as two people would on the telephone. Wait until they are in step."""
        pairing = Pairing(shower.relay.config, typer.relay.config, self._patience)
        try:
            self._screen.site(shower.name, "$ changecapture-relay pair")
            self._screen.detail(f"code: {pairing.show()}")
            self._screen.site(typer.name, f"$ changecapture-relay pair {pairing.code}")
            for line in pairing.type():
                self._screen.detail(line)
        finally:
            pairing.close()
        for site, other in ((shower, typer), (typer, shower)):
            site.relay.wait_for(f"up to date with {other.name}", self._patience)

    def close(self) -> None:
        """End everything."""
        self._told = False
        # Not the patience's: it may have ended, the closing must not.
        Patience().together(*(site.close for site in self.everywhere))

    def other(self, site: Site) -> Site:
        """Return the other one."""
        return self.city if site is self.camp else self.camp

    def find_person(self, first_name: str) -> Record:
        """Return a person of the camp."""
        found = self.camp.eden.fetch("SELECT uuid FROM pr_person WHERE first_name = %s", [first_name])
        return self.camp.eden.find(Record("pr_person", 0, str(found[0][0])))

    def edit(self, site: Site, record: Record, **columns: Any) -> Callable[[], object]:
        """Return the writing of an edit, as a person at a site makes it in a form."""
        here = site.eden.find(record)
        now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        return lambda: site.eden.update(here.table, here.id, **columns, modified_on=now)

    def sees(self, site: Site, record: Record, column: str, value: Any) -> bool:
        """Return whether the application of a site reads this value."""
        try:
            return bool(site.eden.value(record, column) == value)
        except LookupError:
            return False

    def settle(self) -> None:
        """Wait until all sites that have a relay hold the same and nothing waits."""
        sites = [site for site in self.everywhere if site.log()]

        def settled() -> bool:
            idle = not any(site.count("captured") for site in sites)
            return idle and all(site.vector() == self.camp.vector() for site in sites)

        self._patience.wait(settled, "the sites to hold the same")

    @contextmanager
    def silence(self) -> Iterator[None]:
        """Do not print what the relays say."""
        self._told = False
        try:
            yield
        finally:
            self._told = True

    def _hear(self, name: str, line: str) -> None:
        if self._told:
            self._screen.relay(name, line)
