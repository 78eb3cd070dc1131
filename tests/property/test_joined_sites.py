"""Three sites that were seeded alike, left to chance: whoever joins, edits, deletes and discards, and in
whatever order they meet, they end equal. Each scenario is its seed; the sites are in memory."""

import random
from itertools import count

import pytest

from changecapture.apply import retry
from changecapture.core.change import Row
from changecapture.errors import ConfigError
from changecapture.review import discard_parked, join_parked, read_parked_rows
from tests.support.memory import MemorySite, pull
from tests.support.seeds import PROFILE, Seeds, script
from tests.support.sites import assert_sound_log

NAMES = ("Health", "Water", "Shelter")
START = 1_795_000_000_000_000


@pytest.fixture(scope="module")
def camps():
    """Three sites, made once."""
    clock = count(START, 1000)
    made = [MemorySite(script("memory"), PROFILE, clock.__next__, origin) for origin in "abc"]
    yield [Seeds(site) for site in made]
    for site in made:
        site.close()


class Scenario:
    """What happens at three sites, by one seed."""

    def __init__(self, camps, seed):
        self.rng = random.Random(seed)
        self.camps = camps
        self.keys = iter(f"{n:02}" for n in self.rng.sample(range(100), 60))
        for camp in camps:
            camp.site.clean()

    def any_of(self, camp, table):
        known = sorted(camp.rows(table))
        return self.rng.choice(known) if known else None

    def act(self):
        camp = self.rng.choice(self.camps)
        acts = [self.add] * 5 + [self.edit] * 3 + [self.delete, self.decide] + [self.meet] * 4
        self.rng.choice(acts)(camp)

    def add(self, camp):
        table = self.rng.choice(["skill", "sector", "grade", "person", "work"])
        name, key = self.rng.choice(NAMES), next(self.keys)
        skill, person, sector = (self.any_of(camp, other) for other in ("skill", "person", "sector"))
        taken = {*camp.rows(table, "name").values()} if table in ("skill", "person") else ()
        if table == "work":
            if person and sector and (person, sector) not in camp.links():
                camp.link(person, sector, name)
        elif table == "grade":
            grades = camp.run.rows(
                "SELECT 1 FROM grade g JOIN skill s ON s.id = g.skill_id WHERE s.uuid = %s AND g.name = %s",
                *(skill, name),
            )
            if skill and not grades:
                camp.add(table, key, name, skill_id=skill)
        elif name not in taken:
            camp.add(table, key, name, **({"skill_id": skill} if table == "person" and skill else {}))

    def edit(self, camp):
        table = self.rng.choice(["skill", "sector", "grade", "person"])
        key = self.any_of(camp, table)
        if key is None:
            return
        name = self.rng.choice(NAMES)
        column = self.rng.choice(["note", "name"]) if table != "grade" else "note"
        if column == "note" or table == "sector" or name not in camp.rows(table, "name").values():
            camp.set(table, key, **{column: name})
        if table == "sector" and self.rng.random() < 0.3:
            camp.set(table, key, deleted=self.rng.choice("TF"))

    def delete(self, camp):
        table = self.rng.choice(["skill", "sector", "grade", "person"])
        key = self.any_of(camp, table)
        if key is not None:
            camp.delete(table, key)

    def decide(self, camp):
        """Join or discard a row that is parked, or join two that stand side by side."""
        parked = [row for row in read_parked_rows(camp.site.store) if row.reason == "unique"]
        if parked:
            decide(self.rng, camp, self.rng.choice(parked))
        elif len(known := sorted(camp.rows("sector"))) > 1:
            camp.site.publish()
            join(camp, "sector", *self.rng.sample(known, 2))

    def meet(self, camp):
        other = self.rng.choice([one for one in self.camps if one is not camp])
        pull(other.site.store, camp.site.store)

    def settle(self):
        """Let all meet, and decide about what is parked, until nothing is left to be said."""
        for _ in range(30):
            moved = sum(
                pull(left.site.store, right.site.store)
                for left in self.camps
                for right in self.camps
                if left is not right
            )
            for camp in self.camps:
                retry(camp.site.store)
            stuck = [
                (c, p) for c in self.camps for p in read_parked_rows(c.site.store) if p.reason == "unique"
            ]
            if stuck:
                decide(self.rng, *self.rng.choice(stuck))
            elif not moved:
                return
        raise AssertionError("they never came to an end")


def decide(rng, camp, parked):
    row = Row(parked.table, parked.key)
    try:
        if rng.random() < 0.7:
            join_parked(camp.site.store, row)
        else:
            discard_parked(camp.site.store, row)
    except ConfigError:
        discard_parked(camp.site.store, row)


def join(camp, table, one, other):
    try:
        join_parked(camp.site.store, Row(table, one), other)
    except ConfigError as error:
        assert "one row already" in str(error)


def shown(camp):
    """Return what a site shows. Links to rows that are flagged are all named alike, and left out."""
    with camp.site.reader() as reader:
        rows = {table: reader.rows(table) for table in reader.tables}
    rows["work"] = {key: row for key, row in rows["work"].items() if "null" not in key}
    return rows


def play(camps, seed):
    scenario = Scenario(camps, seed)
    for _ in range(scenario.rng.randrange(10, 50)):
        scenario.act()
    scenario.settle()
    first, *others = [shown(camp) for camp in camps]
    for other in others:
        assert other == first, seed
    for camp in camps:
        assert_sound_log(camp.site)
    return camps[0].site.fetch("SELECT count(*) FROM {p}key_alias")[0][0] > 0


@pytest.mark.parametrize("scenarios", [60, pytest.param(5000, marks=pytest.mark.long)])
def test_sites_that_were_seeded_alike_end_equal(camps, scenarios):
    joined = sum(play(camps, seed) for seed in range(scenarios))
    assert joined > scenarios / 4
