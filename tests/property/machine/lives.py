"""Databases that are put back or copied, beside all that happens to people and items, or to seeded rows."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from changecapture.epochs import renew
from changecapture.errors import PeerError
from changecapture.greeting import greet, meet
from tests.property.machine.base import COUNT, SitesMachine, places
from tests.property.machine.people import PeopleMachine
from tests.property.machine.seeds import SeedsMachine
from tests.support.backups import back_up, put_back
from tests.support.ledger import LogLedger
from tests.support.memory import KeptMemo


class Lives(SitesMachine):
    """Sites that lose a part of their past, or all of it."""

    refusals = (PeerError,)

    def __init__(self) -> None:
        super().__init__()
        self.backups: dict[int, tuple[Any, bool]] = {}
        self.restored: set[int] = set()
        self.copies = 0
        for site in self.sites:
            site.store.memo = KeptMemo()

    @rule(place=places)
    def back_up(self, place):
        self.backups.setdefault(place, (back_up(self.sites[place]), place in self.upgraded))

    @rule(place=places, remembered=st.booleans())
    def restore_backup(self, place, remembered):
        """The memo tells the relay at once, or is lost as well: then the others tell it."""
        if place in self.backups:
            memo = self.sites[place].store.memo.reread() if remembered else KeptMemo()
            backup, upgraded = self.backups[place]
            self.replace(place, backup, upgraded, memo)
            self.restored.add(place)

    @rule(source=places, to=places, lived=st.booleans())
    def clone(self, source, to, lived):
        """A site is lost, and set up anew from a copy of another, which is made a site of its own; ``lived``:
        after it has published under the name of the other, and a third has told it that it should not.

        Not one that gave names in two lives: nobody could tell any more what it meant by them.
        """
        left, right = self.sites[source], self.sites[to]
        if source != to and to not in self.restored and left.store.engine == right.store.engine:
            self.copies += 1
            self.replace(to, back_up(left), source in self.upgraded, KeptMemo())
            if lived:
                self.restored.add(source)
                self.leave_mark(to, f"copy {self.copies}")
                self.publish(to)
                third = self.sites[COUNT - source - to]
                meet(right.store, greet(third.store, left.origin))
            renew(right.store, f"copy{self.copies}")
            self.backups.pop(to, None)

    def replace(self, place, backup, upgraded, memo):
        put_back(self.sites[place], backup)
        self.sites[place].store.memo = memo
        (self.upgraded.add if upgraded else self.upgraded.discard)(place)
        self.lost = True

    def leave_mark(self, place, text):
        """Write what a copy writes under the name of its original."""
        raise NotImplementedError


class LivesMachine(Lives, PeopleMachine):
    """People and items of several lives."""

    def leave_mark(self, place, text):
        self.write_item(place, "i1", "a", text)

    def judge(self):
        if self.lost:
            LogLedger().check(self.sites, whole=self.whole)
        else:
            super().judge()


class SeedLivesMachine(Lives, SeedsMachine):
    """Seeded rows of several lives: what was lost is entered once more."""

    def leave_mark(self, place, text):
        self.write_skill(place, "x", text)
