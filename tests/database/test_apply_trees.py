"""Tree columns: of edges that close a cycle the latest is empty, and is a conflict."""

import pytest

from changecapture.apply import retry
from tests.support.family import script
from tests.support.sites import exchange

SET_BOSS = (
    "UPDATE parent SET boss = (SELECT id FROM (SELECT * FROM parent) b WHERE uuid = %s) WHERE uuid = %s"
)


@pytest.fixture(params=["postgresql", "mariadb"])
def trees(request, new_tables, tmp_path):
    """Two sites and a third whose profile says that bosses are a tree."""
    profile = tmp_path / "tree.toml"
    profile.write_text('title = "Trees"\nextends = "generic"\n[[tree]]\ncolumn = "parent.boss"\n')
    kinds = (request.param, "mariadb", "postgresql")
    return [new_tables(kind, script(kind), str(profile)) for kind in kinds]


def edges(site):
    return {
        row: boss
        for row, boss in site.family.rows(
            "SELECT p.uuid, b.uuid FROM parent p JOIN parent b ON b.id = p.boss ORDER BY p.uuid"
        )
    }


def close_cycle(here, there):
    """x -> y is written first, y -> x after it, by one who has not seen the first."""
    here.family.add_parent("x")
    here.family.add_parent("y")
    exchange(here, there)
    here.family(SET_BOSS, "y", "x")
    here.publish()
    there.family(SET_BOSS, "x", "y")
    exchange(here, there)


def test_two_edits_that_close_a_cycle_leave_a_tree(trees):
    here, there, third = trees
    close_cycle(here, there)
    exchange(here, third)
    for site in trees:
        assert edges(site) == {"x": "y"}
        assert site.conflicts() == {("parent", "y", "boss", "null", '"x"')}
        retry(site.store)
        assert edges(site) == {"x": "y"}
        assert len(site.fetch("SELECT 1 FROM {p}conflict")) == 1


def test_edge_that_closed_a_cycle_is_shown_when_the_cycle_is_broken(trees):
    here, there, third = trees
    close_cycle(here, there)
    there.family(SET_BOSS, None, "x")
    for _ in range(2):
        exchange(here, there)
        exchange(here, third)
    assert [edges(site) for site in trees] == [{"y": "x"}] * 3
