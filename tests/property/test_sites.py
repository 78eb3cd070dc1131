"""Whole sites: whatever people do and however the sites meet, they end equal (machine/).

Hundreds of runs in memory, some on real servers of both engines; thousands and more with `make test-all`.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import TypeVar

import pytest

from tests.property.machine.base import SitesMachine, run_machine
from tests.property.machine.families import FamilyMachine
from tests.property.machine.files import PeopleFilesMachine, SeedsFilesMachine, ThingsFilesMachine
from tests.property.machine.lives import LivesMachine, SeedLivesMachine
from tests.property.machine.mapped import MappedMachine
from tests.property.machine.people import PEOPLE, PROFILE, PeopleMachine
from tests.property.machine.seeds import SeedsMachine
from tests.property.machine.statements import StatementsMachine
from tests.property.machine.things import ThingsMachine
from tests.support import family, mapped, seeds, statements, things
from tests.support.backups import back_up, put_back
from tests.support.databases import run_script
from tests.support.memory import KeptMemo, MemorySite
from tests.support.seeds import Seeds
from tests.support.sites import AnySite, Site

KINDS = ("postgresql", "mariadb", "postgresql")
APART = 800
"""Files do not keep who wrote a value, and so not which of two rows of one microsecond is the later."""
Machine = TypeVar("Machine", bound=SitesMachine)
ROWS = ("eoo", "eoe", "ooo", "oeo")
"""Sites in a row, of two applications (mapped_sites)."""


@pytest.fixture
def flagged(tmp_path) -> str:
    """A profile with a deleted flag."""
    path = tmp_path / "flagged.toml"
    path.write_text(PROFILE)
    return str(path)


@pytest.fixture
def thing_profile(tmp_path) -> str:
    """A profile with rows that are one thing, a tree, a group and a flag."""
    path = tmp_path / "things.toml"
    path.write_text(things.PROFILE)
    return str(path)


@pytest.fixture
def real_sites(postgres, mariadb) -> Iterator:
    """Make sites on real servers, dropped after the test."""
    servers = {"postgresql": postgres, "mariadb": mariadb}
    made: list[tuple[str, str, Site]] = []

    def make(tables: str, profile: str) -> Callable[[], list[AnySite]]:
        for number, kind in enumerate(KINDS):
            name = f"cc_{os.getpid()}_machine_{number}"
            url = servers[kind].create_database(name)
            run_script(url, family.spell(tables, kind))
            made.append((kind, name, Site(url, profile)))
        return begin_anew

    def begin_anew() -> list[AnySite]:
        for _, _, site in made:
            site.clean()
        return [site for _, _, site in made]

    yield make
    for kind, name, site in made:
        site.close()
        servers[kind].drop_database(name)


def memory_sites(tables: str, profile: str, step: int = 1) -> Callable[[], list[AnySite]]:
    """Make sites in memory; their clocks tick, and are all the same one.

    ``step``: eighths of a microsecond from look to look: by 1 many a stamp is that of others too.
    """
    script = family.spell(tables, "memory")

    def make() -> list[AnySite]:
        ticks = count(1_700_000_000_000_000, step)
        return [MemorySite(script, profile, lambda: next(ticks) // 8, origin) for origin in "abc"]

    return make


def mapped_sites(kinds: str) -> Callable[[], list[AnySite]]:
    """Make sites in memory, in a row: e for one of Eden's tables, o for one of its own."""

    def make() -> list[AnySite]:
        ticks = count(1_700_000_000_000_000)
        made = {"e": (mapped.EDEN, mapped.PROFILE, None), "o": (mapped.OWN, "generic", mapped.MAPPING)}
        found: list[AnySite] = []
        for kind, origin in zip(kinds, "abc", strict=True):
            tables, profile, mapping = made[kind]
            script = family.spell(tables, "memory")
            found.append(MemorySite(script, profile, lambda: next(ticks) // 8, origin, mapping))
        return found

    return make


def test_sites_with_people_and_items_end_equal_in_memory(flagged):
    run_machine(PeopleMachine, memory_sites(PEOPLE, flagged), examples=100, steps=30)


def test_sites_with_families_end_equal_in_memory():
    run_machine(FamilyMachine, memory_sites(family.TABLES, "generic"), examples=100, steps=30)


def test_sites_whose_databases_do_more_than_is_written_end_equal_in_memory():
    run_machine(StatementsMachine, memory_sites(statements.TABLES, "generic"), examples=60, steps=25)


def test_sites_that_seed_the_same_end_equal_in_memory():
    run_machine(SeedsMachine, memory_sites(seeds.TABLES, seeds.PROFILE), examples=60, steps=30)


def test_sites_with_things_end_equal_in_memory(thing_profile):
    run_machine(ThingsMachine, memory_sites(things.TABLES, thing_profile), examples=40, steps=25)


@pytest.mark.parametrize("kinds", ROWS)
def test_sites_with_a_mapping_end_equal_in_memory(kinds):
    run_machine(MappedMachine, mapped_sites(kinds), examples=30, steps=25)


def test_sites_with_people_and_files_end_equal_in_memory(flagged):
    run_machine(PeopleFilesMachine, memory_sites(PEOPLE, flagged), examples=40, steps=20)


def test_sites_that_seed_the_same_and_carry_files_end_equal_in_memory():
    run_machine(SeedsFilesMachine, memory_sites(seeds.TABLES, seeds.PROFILE, APART), examples=25, steps=20)


def test_sites_with_things_and_files_end_equal_in_memory(thing_profile):
    run_machine(ThingsFilesMachine, memory_sites(things.TABLES, thing_profile, APART), examples=25, steps=20)


@contextmanager
def once(machine: type[Machine], open_sites: Callable[[], list[AnySite]]) -> Iterator[Machine]:
    """Give sites for one run, and look at what they come to."""
    sites = type("Once", (machine,), {"open_sites": staticmethod(open_sites)})()
    yield sites
    sites.teardown()


def seeded() -> AbstractContextManager[SeedsMachine]:
    """Give sites with skills."""
    return once(SeedsMachine, memory_sites(seeds.TABLES, seeds.PROFILE))


def test_row_that_its_site_deleted_and_made_anew_is_joined_with_that_of_another():
    """Deleted and made anew by the one while the other joined the two that there were."""
    with seeded() as sites:
        sites.begin()
        sites.crash(moment="read_captured", source=1, to=0)
        sites.repeat()
        sites.delete_skill(name="x", place=1)
        sites.write_skill(name="x", place=1, text="x")


def test_row_that_its_site_saw_deleted_and_made_anew_is_joined_with_that_of_another():
    """Deleted by a third under the one key that it knew, while another joined the two that there were."""
    with seeded() as sites:
        sites.write_skill(0, "x", None)
        sites.exchange(0, 2)
        sites.write_skill(1, "x", None)
        sites.exchange(0, 1)
        sites.delete_skill(2, "x")
        sites.exchange(2, 0)
        sites.write_skill(0, "x", "x")


@contextmanager
def second_life(sites: SeedsMachine, *, noticed: bool = True) -> Iterator[None]:
    """What the first site does inside, and what others get of it, is of a life that it loses after it."""
    first, sites.lost = sites.sites[0], True
    first.store.memo = KeptMemo()
    first.publish()
    backup = back_up(first)
    yield
    memo = first.store.memo.reread()
    put_back(first, backup)
    first.store.memo = memo if noticed else KeptMemo()


@pytest.mark.parametrize("noticed", [True, False])
def test_row_that_a_site_lost_and_made_anew_is_joined_with_the_one_that_comes_back(noticed):
    """People enter once more what a backup lacks: the two never stood side by side."""
    with seeded() as sites:
        with second_life(sites, noticed=noticed):
            sites.write_skill(0, "x", "lost")
            sites.exchange(0, 1)
        sites.write_skill(0, "x", "once more")


def test_rows_that_a_site_had_side_by_side_are_two_whichever_of_its_lives_wrote_of_them_last():
    """The second is of a life that was lost; the next one wrote of the first."""
    with seeded() as sites:
        first = Seeds(sites.sites[0])
        first.add("sector", "a", "Nurse")
        with second_life(sites):
            first.add("sector", "b", "Nurse")
            sites.exchange(0, 1)
        first.set("sector", "a", note="after")
        sites.exchange(0, 1)
        assert set(Seeds(sites.sites[1]).rows("sector")) == {"a", "b"}


def test_rows_of_two_lives_are_two_where_what_was_said_first_of_one_is_given_up():
    """All that is left of it is an edit of the life that was lost, which the next one did not know."""
    with seeded() as sites:
        first = Seeds(sites.sites[0])
        first.add("sector", "a", "Nurse")
        with second_life(sites):
            for name in ("Doctor", "Nurse"):
                first.set("sector", "a", name=name, note="lost")
            sites.exchange(0, 1)
            sites.compact(1)
            assert len(sites.sites[1].entries("sector", "a")) == 1
        first.add("sector", "b", "Nurse")
        sites.exchange(0, 1)
        assert set(Seeds(sites.sites[1]).rows("sector")) == {"a", "b"}


def test_what_an_application_writes_beside_a_pull_is_in_the_books():
    """Nothing was captured when the pull began."""
    with once(MappedMachine, mapped_sites("oeo")) as sites:
        sites.begin(everywhere=False)
        sites.write(2, "tell", "report", ("p1", "p1", "sms"))
        sites.publish(0)
        sites.write_beside_a_pull(2, 0, 10, "tell", "report", ("p1", "p1", "sms"))


def test_sites_with_several_lives_end_equal_in_memory(flagged):
    run_machine(LivesMachine, memory_sites(PEOPLE, flagged), examples=60, steps=30)


def test_sites_with_several_lives_that_seed_the_same_end_equal_in_memory():
    run_machine(SeedLivesMachine, memory_sites(seeds.TABLES, seeds.PROFILE), examples=40, steps=25)


def test_sites_with_several_lives_end_equal(real_sites, flagged):
    run_machine(LivesMachine, real_sites(PEOPLE, flagged), examples=3, steps=15)


def test_sites_with_people_and_items_end_equal(real_sites, flagged):
    run_machine(PeopleMachine, real_sites(PEOPLE, flagged), examples=8, steps=20)


def test_sites_with_families_end_equal(real_sites):
    run_machine(FamilyMachine, real_sites(family.TABLES, "generic"), examples=4, steps=20)


def test_sites_whose_databases_do_more_than_is_written_end_equal(real_sites):
    run_machine(StatementsMachine, real_sites(statements.TABLES, "generic"), examples=4, steps=20)


@pytest.mark.long
def test_sites_with_people_and_items_end_equal_in_memory_for_a_long_time(flagged):
    run_machine(PeopleMachine, memory_sites(PEOPLE, flagged), examples=3000, steps=50)


@pytest.mark.long
def test_sites_with_families_end_equal_in_memory_for_a_long_time():
    run_machine(FamilyMachine, memory_sites(family.TABLES, "generic"), examples=3000, steps=50)


@pytest.mark.long
def test_sites_that_seed_the_same_end_equal_in_memory_for_a_long_time():
    run_machine(SeedsMachine, memory_sites(seeds.TABLES, seeds.PROFILE), examples=3000, steps=50)


@pytest.mark.long
def test_sites_with_several_lives_end_equal_in_memory_for_a_long_time(flagged):
    run_machine(LivesMachine, memory_sites(PEOPLE, flagged), examples=3000, steps=50)


@pytest.mark.long
def test_sites_with_several_lives_that_seed_the_same_end_equal_in_memory_for_a_long_time():
    run_machine(SeedLivesMachine, memory_sites(seeds.TABLES, seeds.PROFILE), examples=2000, steps=40)


@pytest.mark.long
def test_sites_with_several_lives_end_equal_for_a_long_time(real_sites, flagged):
    run_machine(LivesMachine, real_sites(PEOPLE, flagged), examples=60, steps=40)


@pytest.mark.long
def test_sites_that_seed_the_same_end_equal_for_a_long_time(real_sites):
    run_machine(SeedsMachine, real_sites(seeds.TABLES, seeds.PROFILE), examples=100, steps=40)


@pytest.mark.long
def test_sites_with_people_and_items_end_equal_for_a_long_time(real_sites, flagged):
    run_machine(PeopleMachine, real_sites(PEOPLE, flagged), examples=150, steps=40)


@pytest.mark.long
def test_sites_with_families_end_equal_for_a_long_time(real_sites):
    run_machine(FamilyMachine, real_sites(family.TABLES, "generic"), examples=150, steps=40)


@pytest.mark.long
def test_sites_whose_databases_do_more_than_is_written_end_equal_in_memory_for_a_long_time():
    run_machine(StatementsMachine, memory_sites(statements.TABLES, "generic"), examples=3000, steps=50)


@pytest.mark.long
def test_sites_whose_databases_do_more_than_is_written_end_equal_for_a_long_time(real_sites):
    run_machine(StatementsMachine, real_sites(statements.TABLES, "generic"), examples=150, steps=40)


@pytest.mark.long
def test_sites_with_things_end_equal_in_memory_for_a_long_time(thing_profile):
    run_machine(ThingsMachine, memory_sites(things.TABLES, thing_profile), examples=3000, steps=50)


@pytest.mark.long
def test_sites_with_things_end_equal_for_a_long_time(real_sites, thing_profile):
    run_machine(ThingsMachine, real_sites(things.TABLES, thing_profile), examples=100, steps=40)


@pytest.mark.long
@pytest.mark.parametrize("kinds", ROWS)
def test_sites_with_a_mapping_end_equal_in_memory_for_a_long_time(kinds):
    run_machine(MappedMachine, mapped_sites(kinds), examples=1000, steps=40)


@pytest.mark.long
def test_sites_with_people_and_files_end_equal_in_memory_for_a_long_time(flagged):
    run_machine(PeopleFilesMachine, memory_sites(PEOPLE, flagged), examples=1000, steps=40)


@pytest.mark.long
def test_sites_that_seed_the_same_and_carry_files_end_equal_in_memory_for_a_long_time():
    run_machine(SeedsFilesMachine, memory_sites(seeds.TABLES, seeds.PROFILE, APART), examples=500, steps=40)


@pytest.mark.long
def test_sites_with_things_and_files_end_equal_in_memory_for_a_long_time(thing_profile):
    run_machine(ThingsFilesMachine, memory_sites(things.TABLES, thing_profile, APART), examples=500, steps=40)
