"""The installed definition of a table: what is stored beside the triggers reads back the same."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changecapture.core.table import DeletedFlag, Identity, Reference, SyncedColumn, SyncedTable
from changecapture.plan import definitions, plan
from changecapture.profiles import choose_profile
from tests.support.catalogues import eden

words = st.text(min_size=1, max_size=6)
references = st.builds(Reference, words, words, st.booleans(), st.booleans())
columns = st.builds(SyncedColumn, words, words, words, st.booleans(), st.none() | references)
column_lists = st.lists(columns, max_size=3, unique_by=lambda column: column.name).map(tuple)
tables = st.builds(
    SyncedTable,
    name=words,
    scope=words,
    locator=column_lists,
    identity=st.builds(
        Identity,
        st.sampled_from(["uuid", "natural", "composite", "assigned"]),
        column_lists,
        st.lists(st.text(max_size=3), max_size=2).map(tuple),
        st.booleans(),
    ),
    columns=column_lists,
    deleted_flag=st.none() | st.builds(DeletedFlag, words, words, words),
    modified=st.none() | words,
    fill=st.lists(st.tuples(words, words), max_size=2).map(tuple),
    touch=st.lists(words, max_size=2).map(tuple),
)


@given(tables)
def test_definition_reads_back(table):
    assert SyncedTable.from_json(table.to_json()) == table


@given(tables)
def test_equal_definitions_have_equal_texts(table):
    assert SyncedTable.from_json(table.to_json()).to_json() == table.to_json()


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_every_definition_of_eden_reads_back(engine):
    catalogue = eden(engine)
    found = definitions(plan(catalogue, choose_profile("eden", catalogue)))
    assert len(found) > 200
    for table in found:
        assert SyncedTable.from_json(table.to_json()) == table
        assert json.loads(table.to_json())["name"] == table.name


@given(tables)
def test_key_columns_hold_the_locator_and_then_the_rest_of_the_identity(table):
    names = [column.name for column in table.key_columns]
    assert names[: len(table.locator)] == [column.name for column in table.locator]
    assert {c.name for c in table.identity.columns} <= set(names)
    assert len(names) == len(set(names))
