"""The same people in Eden's tables and, bridged by a mapping, in an application's own."""

from itertools import count

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from changecapture.core.values import dump
from changecapture.sync import receive
from changecapture.verify.mapped import find_unlike
from tests.property.machine.base import SitesMachine, places
from tests.support.beside import Beside
from tests.support.mapped import EDEN_ACTS, OWN_ACTS, Choice, EdenActs, OwnActs, read_shown

keys = st.sampled_from(["p1", "p2"])
choices = st.tuples(keys, keys, st.sampled_from(["sms", "fax"]))
eden_acts, own_acts = st.sampled_from(EDEN_ACTS), st.sampled_from(OWN_ACTS)


class MappedMachine(SitesMachine):
    """People, numbers, notes. Every text that is written is another, and begins with !: so it can be told
    whether it was published, whatever became of it."""

    judged = False

    def __init__(self) -> None:
        super().__init__()
        self.texts = (f"!{number}" for number in count(1))
        self.written = [{} for _ in self.sites]
        """What each application shows of what it wrote since it was last published."""

    @initialize(everywhere=st.sampled_from([True, True, False]))
    def begin(self, everywhere):
        for name in ("write_person", "add_contact"):
            self.write(0, name, "report", ("p1", "p2", "sms"))
        self.spread(everywhere)

    @rule(place=places, eden=eden_acts, own=own_acts, choice=choices)
    def write(self, place, eden, own, choice):
        """Do one thing, in the one application or the other."""
        site, before = self.sites[place], read_shown(self.sites[place])
        acts, name = (EdenActs, eden) if site.store.mapping is None else (OwnActs, own)
        acts(site.family).act(name, Choice(*choice, next(self.texts)))
        after, written = read_shown(site), self.written[place]
        written |= {
            cell: text for cell, text in after.items() if text.startswith("!") and text != before.get(cell)
        }
        self.written[place] = {cell: text for cell, text in written.items() if after.get(cell) == text}

    @rule(source=places, to=places, moment=st.integers(0, 60), eden=eden_acts, own=own_acts, choice=choices)
    def write_beside_a_pull(self, source, to, moment, eden, own, choice):
        """Somewhere in the middle."""
        site = self.sites[to]

        def act():
            with site.store.application():
                self.write(to, eden, own, choice)

        if source != to:
            batch = self.make_batch(source, to, 20)
            with self.both(source, to, beside=True), Beside(site, moment, act, [*choice[:2]]) as beside:
                receive(site.store, self.sites[source].origin, batch[2])
            if not beside.happened:
                self.written[to].clear()
            self.publish(to)

    def publish(self, place):
        super().publish(place)
        site, written = self.sites[place], self.written[place]
        shown = read_shown(site)
        said = {text for text in written.values() if site.fetch(FIND, [f"%{chr(34)}{text}{chr(34)}%"])}
        unsaid = {cell: text for cell, text in written.items() if cell in shown and text not in said}
        assert not unsaid, f"{site.origin} never said {unsaid}"
        written.clear()

    @rule(place=places)
    def compact(self, place):
        self.publish(place)
        super().compact(place)

    def pull(self, source, target):
        for site in (source, target):
            self.publish(self.sites.index(site))
        return super().pull(source, target)

    def check(self):
        self.check_kept()
        shown = {}
        for site in self.sites:
            assert site.fetch("SELECT count(*) FROM {p}captured") == [(0,)]
            assert site.set_aside() == []
            assert site.parked() == {}
            assert find_unlike(site.store) == {}
            kind = site.store.mapping is None
            assert read_shown(site) == shown.setdefault(kind, read_shown(site)), site.origin
            versions = site.fetch(
                f"SELECT table_name, row_key, stamp, alive{', seen' * self.whole} FROM {{p}}row_version"
            )
            assert set(versions) == shown.setdefault("known", set(versions)), site.origin

    def check_kept(self):
        """Whatever text lost to one whose author had not seen it is kept, wherever the two met."""
        names = {name for site in self.sites for name in site.fetch(NAMES)}
        assert names <= self.ledger.made.keys(), "not in the books"
        kept = {lost for site in self.sites for *_, lost in site.conflicts()}
        for row, column, made in self.ledger.list_lost() if self.whole else ():
            text = made.columns[column]
            assert not str(text).startswith("!") or dump(text) in kept, (
                f"{row}: {column} {text} lost without a record"
            )


NAMES = "SELECT origin, epoch, number FROM {p}changelog"
FIND = "SELECT 1 FROM {p}changelog WHERE columns LIKE %s"
