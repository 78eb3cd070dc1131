"""The plan of Eden, from its catalogue alone."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from changecapture.core.catalogue import Engine, Table
from changecapture.core.rank import rank
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.plan import Decision, definitions, excluded_instances, plan
from changecapture.profiles import load_profile
from tests.support.catalogues import eden
from tests.support.golden import assert_golden
from tests.support.schemas import CATALOGUES

ENGINES: tuple[Engine, ...] = ("postgresql", "mysql")
EDEN = load_profile("eden")


@cache
def planned(engine: Engine = "postgresql") -> dict[str, Decision]:
    return {decision.table: decision for decision in plan(eden(engine), EDEN)}


@cache
def synced(engine: Engine = "postgresql") -> dict[str, SyncedTable]:
    return {table.name: table for table in definitions(planned(engine).values())}


def fields(table: SyncedTable) -> Iterator[SyncedColumn]:
    yield from table.identity.columns
    yield from table.columns


def test_every_eden_table_has_a_decision_and_a_reason() -> None:
    decisions = planned()
    assert decisions.keys() == eden("postgresql").tables.keys()
    assert all(len(decision.reason) > 8 and decision.module for decision in decisions.values())


def test_postgresql_and_mysql_decide_alike() -> None:
    one, other = (planned(engine) for engine in ENGINES)
    assert [(d.table, d.synced, d.module, d.reason) for d in one.values()] == [
        (d.table, d.synced, d.module, d.reason) for d in other.values()
    ]


def test_postgresql_and_mysql_send_the_same_columns_and_references() -> None:
    def shape(table: SyncedTable) -> object:
        return (
            [(c.wire, c.reference and (c.reference.table, c.reference.by_key)) for c in fields(table)],
            table.identity.kind,
            table.deleted_flag,
            table.fill,
        )

    one, other = (synced(engine) for engine in ENGINES)
    assert {name: shape(table) for name, table in one.items()} == {
        name: shape(table) for name, table in other.items()
    }


def test_decisions_are_the_golden_ones() -> None:
    lines = [f"{'in ' if d.synced else 'out'} {d.module}.{d.table}: {d.reason}\n" for d in planned().values()]
    assert_golden("eden-plan.txt", "".join(lines))


def test_columns_that_stay_at_their_site_are_the_golden_ones() -> None:
    everywhere = {why for rule in EDEN.columns for why in [rule.why] if "." not in rule.columns[0]}
    lines = [
        f"{d.table}.{column}: {why}\n"
        for d in planned().values()
        for column, why in d.local
        if why not in everywhere
    ]
    assert_golden("eden-local-columns.txt", "".join(lines))


@pytest.mark.parametrize("engine", ENGINES)
def test_every_reference_that_travels_names_a_row_of_a_synced_table(engine: Engine) -> None:
    tables = synced(engine)
    for table in tables.values():
        for column in fields(table):
            if column.reference:
                assert column.reference.table in tables, f"{table.name}.{column.name}"


def test_no_foreign_key_travels_as_a_plain_number() -> None:
    catalogue = eden("postgresql")
    for table in synced().values():
        linked = {key.columns[0] for key in catalogue.tables[table.name].foreign_keys}
        for column in table.columns:
            assert column.reference or column.name not in linked, f"{table.name}.{column.name}"


@pytest.mark.parametrize("engine", ENGINES)
def test_every_column_travels_or_says_why_not(engine: Engine) -> None:
    for name, table in synced(engine).items():
        known = {column.name for column in (*fields(table), *table.locator)}
        known |= {column for column, _ in planned(engine)[name].local}
        known |= {table.deleted_flag.column} if table.deleted_flag else set()
        assert known == {column.name for column in eden(engine).tables[name].columns}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_row_from_elsewhere_has_a_value_for_every_column_that_must_have_one(
    engine: Engine,
) -> None:
    for name, table in synced(engine).items():
        given = {column.name for column in fields(table)} | dict(table.fill).keys()
        for column in eden(engine).tables[name].columns:
            if not (column.nullable or column.default is not None or column.automatic):
                assert column.name in given, f"{name}.{column.name}"


def test_no_secret_travels() -> None:
    secrets = ("password", "secret", "token", "api_key", "access_key", "private_key", "salt")
    for table in synced().values():
        for column in fields(table):
            assert not any(word in column.wire for word in secrets), f"{table.name}.{column.name}"


def test_the_name_of_every_eden_row_is_its_uuid_and_the_constant_default_is_none() -> None:
    for name, table in synced().items():
        assert table.identity.kind == "uuid"
        uuid = eden("postgresql").tables[name].column("uuid")
        constant = (uuid.default,) if uuid and uuid.default else ()
        assert table.identity.missing == ("", *constant)
        assert [column.name for column in table.locator] == list(eden("postgresql").tables[name].primary_key)


def test_only_the_super_entities_lack_a_unique_index_on_uuid() -> None:
    loose = {table.name for table in synced().values() if not table.identity.indexed}
    assert loose == {entity.table for entity in EDEN.super_entities}


def test_every_table_with_a_deleted_column_uses_it_as_the_flag() -> None:
    for name, table in synced().items():
        assert bool(table.deleted_flag) == bool(eden("postgresql").tables[name].column("deleted"))


def test_definitions_survive_json() -> None:
    for table in synced().values():
        assert SyncedTable.from_json(table.to_json()) == table


def test_parents_come_before_children() -> None:
    tables = synced()
    places = rank(tables.values())
    assert sorted(places.values()) == list(range(len(tables)))
    for table in tables.values():
        for column in table.columns:
            if column.reference and column.reference.table != table.name:
                assert places[column.reference.table] < places[table.name]


def test_rows_of_a_super_entity_without_a_synced_instance_are_told() -> None:
    excluded = excluded_instances(EDEN, planned().values())
    assert "cms_post" in excluded["doc_entity"]
    assert "cr_shelter" not in excluded["doc_entity"]
    assert "cms_post" in " ".join(planned()["doc_entity"].notes)


def place(name: str, table: Table | None, *columns: str) -> str | None:
    """Return what is missing of these columns in a table of the catalogue."""
    if table is None:
        return name
    return next((f"{name}.{c}" for c in columns if table.column(c) is None), None)


def test_the_profile_names_only_what_eden_has() -> None:
    tables = eden("postgresql").tables
    lacking = [place(k.table, tables.get(k.table), *k.columns) for k in EDEN.natural_keys]
    lacking += [place(t.table, tables.get(t.table), t.column) for t in EDEN.trees]
    lacking += [place(r.table, tables.get(r.table), r.column) for r in EDEN.references]
    for entity in EDEN.super_entities:
        lacking.append(place(entity.table, tables.get(entity.table), entity.key, entity.type))
        lacking += [place(i, tables[i], entity.key) for i in entity.instances if i in tables]
    assert [missing for missing in lacking if missing] == []


def test_every_tree_is_a_reference_of_a_table_to_itself() -> None:
    for tree in EDEN.trees:
        keys = eden("postgresql").tables[tree.table].foreign_keys
        assert any(k.columns == (tree.column,) and k.target == tree.table for k in keys)


def test_every_natural_key_called_unique_is_unique() -> None:
    for key in EDEN.natural_keys:
        if key.why == "unique":
            assert key.columns in eden("postgresql").tables[key.table].uniques


def write_profile(path: Path, text: str) -> str:
    path.write_text('extends = "eden"\n' + text)
    return str(path)


def test_a_list_that_an_operator_leaves_out_takes_along_what_says_nothing_without_it(tmp_path: Path) -> None:
    own = write_profile(
        tmp_path / "own.toml",
        '[[table]]\ntables = ["hrm_skill"]\nsync = false\nwhy = "our own skills"',
    )
    decisions = {d.table: d for d in plan(eden("postgresql"), load_profile(own))}
    assert planned()["hrm_competency"].synced and planned()["req_need_skill"].synced
    assert not decisions["hrm_competency"].synced and not decisions["req_need_skill"].synced
    assert decisions["hrm_skill"].reason == "our own skills" and decisions["hrm_shift"].synced


def test_lists_that_a_first_run_fills_under_uuids_of_its_own_are_joined() -> None:
    """What is left has one by the uuid of its instance, or at every site the same uuid."""
    joined = {name for name, table in synced().items() if table.natural}
    tables = json.loads((CATALOGUES / "eden-postgresql.json").read_text())["tables"]
    seeded = {name for name in synced() if tables[name].get("rows")}
    instances = {"doc_entity", "pr_pentity", "sit_trackable", "stats_parameter"}
    assert seeded - joined - instances == {"gis_location", "pr_contact", "pr_person"}
    assert {rule.table for rule in EDEN.natural_keys} - joined == {"cms_series", "cms_status"}


def test_goods_that_an_operator_leaves_out_take_stock_and_requests_along(tmp_path: Path) -> None:
    own = write_profile(
        tmp_path / "own.toml",
        '[[table]]\ntables = ["supply_item"]\nsync = false\nwhy = "no goods"',
    )
    decisions = {d.table: d for d in plan(eden("postgresql"), load_profile(own))}
    assert not decisions["inv_inv_item"].synced
    assert not decisions["inv_inv_item_bin"].synced
    assert "supply_item" in decisions["inv_req_item"].reason


def test_a_table_that_no_rule_knows_stays_out_and_says_so() -> None:
    catalogue = eden("postgresql")
    strange = replace(catalogue.tables["pr_note"], name="zzz_note")
    enlarged = replace(catalogue, tables={**catalogue.tables, "zzz_note": strange})
    decision = next(d for d in plan(enlarged, EDEN) if d.table == "zzz_note")
    assert not decision.synced
    assert "no rule" in decision.reason
