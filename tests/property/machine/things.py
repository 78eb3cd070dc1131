"""Rows that are one thing, trees, columns that belong together, flags: Eden's ways in five tables."""

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from changecapture.core.change import ALIVE
from tests.property.machine.base import SitesMachine, places
from tests.support.things import ACTS, Choice, Things, climb, read_edges, read_where

keys = st.sampled_from(["1", "2"])
camps = st.sampled_from(["x", "y", "z"])
choices = st.builds(
    Choice,
    st.sampled_from(["person", "unit"]),
    keys,
    camps,
    camps,
    st.sampled_from(["lat", "lon"]),
    st.integers(1, 9),
)


class ThingsMachine(SitesMachine):
    """Things, trees and groups; the ledger does not know that two rows share one life."""

    may_stay_parked = frozenset(["reference", "value"])
    judged = False

    def __init__(self) -> None:
        super().__init__()
        self.put: set[tuple[str, int, int]] = set()
        """Where an application has put a place, or seen it when it shifted it; also what it then deleted."""

    @initialize(everywhere=st.sampled_from([True, True, False]))
    def begin(self, everywhere):
        for place, other in (("x", "y"), ("y", "x"), ("z", "y")):
            self.do(0, "write_place", Choice("person", "1", place, other, "lat", 1))
        self.do(0, "write_thing", Choice("person", "1", "x", "y", "lat", 1))
        self.do(0, "write_contact", Choice("person", "1", "x", "y", "lat", 1))
        self.do(0, "write_thing", Choice("unit", "1", "x", "y", "lat", 1))
        self.spread(everywhere)

    @rule(place=places, name=st.sampled_from(ACTS), choice=choices)
    def do(self, place, name, choice):
        """Do one thing."""
        run = self.sites[place].family
        Things(run).act(name, choice)
        self.put |= read_where(run)

    @rule(place=places, acts=st.lists(st.tuples(st.sampled_from(ACTS), choices), min_size=2, max_size=4))
    def transact(self, place, acts):
        """Do several in one transaction."""
        run = self.sites[place].family
        run("BEGIN")
        for name, choice in acts:
            run("SAVEPOINT act")
            if not Things(run).act(name, choice):
                run("ROLLBACK TO SAVEPOINT act")
            run("RELEASE SAVEPOINT act")
            self.put |= read_where(run)
        run("COMMIT")

    @rule(source=places, to=places, name=st.sampled_from(ACTS), choice=choices)
    def write_beside_a_pull(self, source, to, name, choice):
        self.receive_beside(source, to, lambda: self.do(to, name, choice))

    def check(self):
        super().check()
        for site in self.sites:
            for row in (row for row, reason in site.parked().items() if reason == "value"):
                # Deleted for good before anybody had heard of it, and brought back by its other half.
                said = site.entries(row.table, row.key)
                never_lived = all(columns.get(ALIVE) is False for columns in said)
                known = set().union(*said)
                assert never_lived or (row.table == "entity" and "instance_type" not in known), row
            run = site.family
            edges = dict(read_edges(run))
            assert not any(edges.get(list(climb(edges, key))[-1]) for key in edges), f"a cycle: {edges}"
            assert read_where(run) <= self.put, "a place where nobody put it"
            for table in ("person", "unit"):
                both = f"SELECT e.deleted, i.deleted FROM entity e JOIN {table} i ON i.uuid = e.uuid"
                for entity, instance in run.rows(both):
                    assert entity == instance, f"half of a {table} is archived"
