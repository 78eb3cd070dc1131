"""Families whose application leaves more to its database, in transactions of which it takes back a part."""

from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from tests.property.machine.base import SitesMachine, places, texts
from tests.support.acts import REFUSED
from tests.support.statements import ACTS, Choice, Statements

parents = st.sampled_from(["p1", "p2", "p3"])
columns = st.sampled_from(["must", "may", "keep"])
children = st.sampled_from(["c1", "c2"])
choices = st.builds(Choice, parents, parents, children, columns, texts)
endings = st.sampled_from(["COMMIT"] * 5 + ["ROLLBACK"])
steps = st.tuples(st.sampled_from(ACTS), choices, st.sampled_from(["kept"] * 4 + ["taken back"]))


class StatementsMachine(SitesMachine):
    """Cascades, refused and swapped keys, savepoints, upserts, statements about many rows."""

    may_stay_parked = frozenset(["reference"])

    @initialize(everywhere=st.sampled_from([True, True, False]))
    def begin(self, everywhere):
        site = self.sites[0]
        does = Statements(site.family, site.store.engine)
        for parent, other, child in (("p1", "p2", "c1"), ("p2", "p1", "c2")):
            choice = Choice(parent, other, child, "keep", "x")
            does.insert_parent(choice)
            does.upsert_word(choice)
            does.add_child(choice)
            does.write_seat(choice)
        self.spread(everywhere)

    @rule(place=places, steps=st.lists(steps, min_size=1, max_size=4), ending=endings)
    def transact(self, place, steps, ending):
        """Do some things in one transaction; what is refused or taken back leaves the rest as it is."""
        site = self.sites[place]
        run = site.family
        does = Statements(run, site.store.engine)
        run("BEGIN")
        for name, choice, end in steps:
            run("SAVEPOINT step")
            try:
                does.act(name, choice)
            except REFUSED:
                end = "refused"
            if end != "kept":
                run("ROLLBACK TO SAVEPOINT step")
            run("RELEASE SAVEPOINT step")
        run(ending)

    @rule(place=places, name=st.sampled_from(ACTS), choice=choices)
    def do(self, place, name, choice):
        """Do one thing, each statement a transaction of its own."""
        site = self.sites[place]
        with suppress(*REFUSED):
            Statements(site.family, site.store.engine).act(name, choice)
