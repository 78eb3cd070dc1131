"""Laws of the schema builder that need no server."""

import pytest

from tests.support.schemas import read_catalogue, render_schema, select_tables


def test_all_tables_are_selected_when_none_are_named():
    assert len(select_tables(read_catalogue("eden-mysql"))) == 462


def test_selection_follows_references_to_the_end():
    selected = select_tables(read_catalogue("eden-postgresql"), {"pr_person"})
    assert set(selected) == {
        "auth_user", "gis_location", "pr_pentity", "pr_person", "sit_trackable",
    }  # fmt: skip


def test_selection_without_following_drops_references_to_other_tables():
    selected = select_tables(read_catalogue("eden-postgresql"), {"pr_person"}, follow=False)
    assert set(selected) == {"pr_person"}
    assert "REFERENCES" not in render_schema("postgresql", selected, "x")


def test_unknown_table_is_named():
    with pytest.raises(ValueError, match="pr_persn"):
        select_tables(read_catalogue("eden-mysql"), {"pr_person", "pr_persn"})


@pytest.mark.parametrize("name", ["eden-postgresql", "eden-mysql"])
def test_constant_uuid_differs_by_table_and_by_database(name):
    catalogue = select_tables(read_catalogue(name), {"gis_location"})
    dialect = name.removeprefix("eden-")
    scripts = [render_schema(dialect, catalogue, database) for database in ("here", "there")]
    constants = {word for word in "".join(scripts).split("'") if word.startswith("urn:uuid:")}
    assert len(constants) == 2 * len(catalogue)
