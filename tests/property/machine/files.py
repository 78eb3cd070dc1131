"""Files that people carry from site to site, beside all else that happens between sites."""

from itertools import permutations
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import strategies as st
from hypothesis.stateful import rule

from changecapture.apply import retry
from changecapture.record.export import Wanted, export_rows
from changecapture.record.load import Loaded, import_rows
from tests.property.machine.base import SitesMachine, places
from tests.property.machine.people import PeopleMachine
from tests.property.machine.seeds import SeedsMachine
from tests.property.machine.things import ThingsMachine
from tests.support.compare import compare_readers
from tests.support.ledger import LogLedger

FORMS = ("xml", "json", "csv")


class FilesMachine(SitesMachine):
    """Sites of which some meet by files alone."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.files: list[Path] = []

    @rule(source=places, form=st.sampled_from(FORMS), deleted=st.booleans())
    def export(self, source, form, deleted):
        self.set_times(source)
        path = Path(self.folder.name, f"{len(self.files)}.{form}")
        export_rows(self.sites[source].store, path, form, Wanted(deleted=deleted))
        self.files.append(path)

    @rule(to=places, which=st.integers(0, 99))
    def import_late(self, to, which):
        """One of the files that anybody has written, however old, perhaps its own, perhaps again."""
        if self.files:
            self.take(to, self.files[which % len(self.files)])

    @rule(source=places, to=places, form=st.sampled_from(FORMS))
    def carry(self, source, to, form):
        """A second import changes nothing."""
        self.export(source, form, deleted=True)
        self.take(to, self.files[-1])
        assert self.take(to, self.files[-1]).written == 0

    def take(self, to: int, path: Path) -> Loaded:
        self.set_times(to)
        loaded = import_rows(self.sites[to].store, path)
        assert loaded.refused == [], loaded.refused
        return loaded

    def settle(self):
        """By files alone the sites come to show the same; then they meet, and that is what they show."""
        for _ in range(4):
            written = 0
            for source, to in permutations(range(len(self.sites)), 2):
                self.export(source, "json", deleted=True)
                written += self.take(to, self.files[-1]).written
        assert written == 0, "files do not come to rest"
        for site in self.sites:
            retry(site.store)
        first, *others = self.sites
        for other in others:
            with first.reader() as ours, other.reader() as theirs:
                assert compare_readers(ours, theirs).differences == ()
        super().settle()

    def teardown(self):
        with self.folder:
            super().teardown()


class PeopleFilesMachine(FilesMachine, PeopleMachine):
    """People and items."""

    def judge(self):
        """What a file brings has the stamps that it had, so the ledger cannot judge it."""
        LogLedger().check(self.sites, whole=self.whole)


class ThingsFilesMachine(FilesMachine, ThingsMachine):
    """Things, trees and groups."""


class SeedsFilesMachine(FilesMachine, SeedsMachine):
    """Rows that mean the same under several keys."""
