"""Sites whose tables differ: what one has not is carried, forwarded, and shown when its schema catches up."""

import pytest

from changecapture.config import parse_url
from changecapture.core.change import Row
from changecapture.install import converge, install
from tests.support import family, seeds
from tests.support.seeds import Seeds
from tests.support.sites import assert_in_step, exchange, send

ENGINES = {"postgresql": "", "mariadb": " ENGINE=InnoDB CHARSET=utf8mb4"}
PERSON = "CREATE TABLE person (id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, {columns}){engine}"


def spell(kind, text, **names):
    serial = "serial" if kind == "postgresql" else "integer AUTO_INCREMENT"
    return text.format(serial=serial, engine=ENGINES[kind], **names)


@pytest.fixture(params=["mariadb", pytest.param("postgresql", marks=pytest.mark.long)])
def kind(request):
    """The engine of the site that is behind; the other's is the other."""
    return request.param


@pytest.fixture
def places(kind, new_tables):
    """A site whose persons have a phone and a nurse, and one whose persons have only a name."""
    other = "mariadb" if kind == "postgresql" else "postgresql"
    columns = "name varchar(40), phone varchar(40), nurse integer NOT NULL DEFAULT 0"
    ahead = new_tables(other, spell(other, PERSON, columns=columns))
    behind = new_tables(kind, spell(kind, PERSON, columns="name varchar(40)"))
    return ahead, behind


def add(site, uuid, **columns):
    names = ["uuid", *columns]
    marks = ", ".join(["%s"] * len(names))
    site.family(f"INSERT INTO person ({', '.join(names)}) VALUES ({marks})", uuid, *columns.values())


def reinstall(site, profile="generic"):
    install(parse_url(site.url), profile)
    site.store.refresh_tables()


def rows(site, columns="uuid, name, phone, nurse"):
    return sorted(site.family.rows(f"SELECT {columns} FROM person"))


def test_columns_that_a_site_lacks_are_shown_when_it_has_them(places):
    ahead, behind = places
    add(ahead, "a", name="Ana", phone="1", nurse=1)
    add(ahead, "b", name="Ben", phone="2")
    exchange(ahead, behind)
    behind.family("UPDATE person SET name = 'Anna' WHERE uuid = 'a'")
    exchange(ahead, behind)
    behind.run("ALTER TABLE person ADD phone varchar(40)")
    behind.run("ALTER TABLE person ADD nurse integer NOT NULL DEFAULT 0")
    reinstall(behind)
    expected = [("a", "Anna", "1", 1), ("b", "Ben", "2", 0)]
    assert rows(behind) == rows(ahead) == expected
    assert_in_step(ahead, behind)


def test_edit_at_a_site_that_lacks_a_column_leaves_it_unchanged(places):
    ahead, behind = places
    add(ahead, "a", name="Ana", phone="1", nurse=1)
    exchange(ahead, behind)
    behind.family("UPDATE person SET name = 'Anna' WHERE uuid = 'a'")
    add(behind, "b", name="Ben")
    exchange(ahead, behind)
    assert rows(ahead) == [("a", "Anna", "1", 1), ("b", "Ben", None, 0)]


def test_columns_that_a_site_lacks_go_on_to_the_next(places, kind, new_tables):
    ahead, behind = places
    third = new_tables(kind, spell(kind, PERSON, columns="name varchar(40), phone varchar(40)"))
    add(ahead, "a", name="Ana", phone="1")
    exchange(ahead, behind)
    exchange(behind, third)
    assert rows(third, "uuid, name, phone") == [("a", "Ana", "1")]


def test_what_was_carried_and_cannot_be_shown_is_parked_like_anything(places):
    ahead, behind = places
    add(ahead, "a", name="Ana", phone="0123456789")
    add(ahead, "b", name="Ben", phone="1")
    exchange(ahead, behind)
    behind.run("ALTER TABLE person ADD phone varchar(5)")
    reinstall(behind)
    assert rows(behind, "uuid, phone") == [("a", None), ("b", "1")]
    assert behind.parked() == {Row("person", "a"): "value"}


def test_installation_that_was_killed_shows_what_was_carried_when_it_is_run_again(places):
    ahead, behind = places
    add(ahead, "a", name="Ana", phone="1")
    exchange(ahead, behind)
    behind.run("ALTER TABLE person ADD phone varchar(40)")

    def die(what, *_):
        if what == "rows backfilled":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        converge(parse_url(behind.url), "generic", die)
    assert rows(behind, "uuid, phone") == [("a", None)]
    reinstall(behind)
    assert rows(behind, "uuid, phone") == [("a", "1")]


@pytest.fixture
def halves(kind, new_site, new_tables):
    """A site of the small application, and one that has only its parents."""
    other = "mariadb" if kind == "postgresql" else "postgresql"
    parent = family.script(kind).split(";")[0]
    return new_site(other, "family"), new_tables(kind, parent)


def create(site, kind, *numbers):
    site.run(";".join(family.script(kind).split(";")[number] for number in numbers))


def test_tables_that_a_site_lacks_are_shown_when_it_has_them(halves, kind):
    ahead, behind = halves
    ahead.family.add_parent("p", "Ana")
    ahead.family.add_child("c", "p")
    ahead.family.add_child("d", "p")
    ahead.family.add_toy("t", "c")
    ahead.family.add_link("p", "c", "n")
    exchange(ahead, behind)
    ahead.family.note("child", "c", "edited")
    ahead.family.delete("child", "d")
    exchange(ahead, behind)
    create(behind, kind, *range(1, 6))
    reinstall(behind)
    assert behind.family.shown("child") == {"c": "edited"}
    assert set(behind.family.shown("toy")) == {"t"}
    assert_in_step(ahead, behind)


def test_rows_that_came_to_be_before_and_are_carried_as_well_are_merged(halves, kind):
    """The table is there with rows of its own when the installation finds it."""
    ahead, behind = halves
    ahead.family.add_parent("p", "Ana")
    ahead.family.add_child("c", "p")
    ahead.family.note("child", "c", "there")
    exchange(ahead, behind)
    create(behind, kind, *range(1, 6))
    behind.family.add_child("c", "p")
    behind.family.add_child("own", "p")
    reinstall(behind)
    exchange(ahead, behind)
    assert ahead.family.shown("child") == {"c": "there", "own": None}
    assert_in_step(ahead, behind)


def test_table_that_comes_back_has_its_rows_again_and_what_came_meanwhile(new_site, new_tables, kind):
    ahead = new_site("postgresql", "family")
    behind = new_tables(kind, family.script(kind))
    ahead.family.add_parent("p", "Ana")
    ahead.family.add_child("c", "p")
    exchange(ahead, behind)
    behind.family.add_child("own", "p")
    exchange(ahead, behind)
    behind.run("DROP TABLE link; DROP TABLE toy; DROP TABLE child")
    reinstall(behind)
    ahead.family.add_child("late", "p")
    ahead.family.note("child", "c", "late")
    exchange(ahead, behind)
    create(behind, kind, 1, 2, 3)
    reinstall(behind)
    assert behind.family.shown("child") == {"c": "late", "own": None, "late": None}
    assert ahead.family.shown("child") == {"c": "late", "own": None, "late": None}
    assert_in_step(ahead, behind)


def test_row_that_waits_in_a_table_that_left_stops_nothing(new_site, new_tables, kind):
    ahead = new_site("postgresql", "family")
    behind = new_tables(kind, family.script(kind))
    behind.family.add_parent("x", "Ana")
    ahead.family.add_parent("y", "Ana")
    ahead.family.add_child("c", "y")
    exchange(ahead, behind)
    assert behind.parked() == {Row("parent", "y"): "unique", Row("child", "c"): "reference"}
    behind.run("DROP TABLE link; DROP TABLE toy; DROP TABLE child")
    reinstall(behind)
    behind.family("UPDATE parent SET name = 'Bea' WHERE uuid = 'x'")
    exchange(ahead, behind)
    assert set(behind.family.shown("parent")) == {"x", "y"}


def test_alias_that_was_carried_by_an_older_version_is_heard(new_site, kind):
    here, there = Seeds(new_site(kind, "seeds")), Seeds(new_site("postgresql", "seeds"))
    here.add("skill", "b", "Nurse")
    there.add("skill", "a", "Nurse")
    send(there.site, here.site)
    # As a version leaves it that knows no aliases: the entry is carried, the row is parked.
    store = here.site.store
    store.execute(f"UPDATE {store.prefix}changelog SET applied = 0 WHERE table_name = '@alias'")
    store.execute(f"DELETE FROM {store.prefix}row_version WHERE table_name = '@alias'")
    store.execute(f"DELETE FROM {store.prefix}key_alias")
    store.execute(f"UPDATE {store.prefix}row_version SET seen = 0")
    reinstall(here.site, seeds.PROFILE)
    names = here.site.fetch("SELECT row_key, name FROM {p}key_alias ORDER BY row_key")
    assert names == [("a", "a"), ("b", "a")]
    assert here.rows("skill") == {"a": None}
