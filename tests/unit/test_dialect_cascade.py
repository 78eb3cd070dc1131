"""The procedures that announce what foreign keys do: named by all they reach, typed, within limits."""

import re
from dataclasses import replace

import pytest

from changecapture.core.cascade import Cascades, Walk, find_cascades
from changecapture.core.catalogue import Catalogue, Column, ForeignKey, Table
from changecapture.core.table import SyncedTable
from changecapture.dialect import ACCOUNT
from changecapture.dialect.cascade import Announcers, render_announcers
from changecapture.dialect.mysql import NAME_LENGTH, render_helper
from changecapture.plan import definitions, plan
from changecapture.profiles import choose_profile, load_profile
from tests.support.catalogues import eden, load_catalogue
from tests.support.golden import assert_golden


def render(catalogue: Catalogue, profile: str, definer: str = ACCOUNT) -> tuple[Cascades, Announcers]:
    decided = plan(catalogue, choose_profile(profile, catalogue))
    tables = {table.name: table for table in definitions(decided)}
    cascades = find_cascades(catalogue, tables.values())
    numbers = {name: number for number, name in enumerate(sorted(tables), 1)}
    return cascades, render_announcers(catalogue, cascades, tables, numbers, definer)


def vesuvius() -> Catalogue:
    return load_catalogue("vesuvius-mysql")


def with_key(catalogue: Catalogue, table: str, key: ForeignKey) -> Catalogue:
    changed = replace(catalogue.tables[table], foreign_keys=(*catalogue.tables[table].foreign_keys, key))
    return replace(catalogue, tables={**catalogue.tables, table: changed})


def names(announcers: Announcers) -> set[str]:
    return {*announcers.procedures, *(name for found in announcers.triggers.values() for name in found)}


@pytest.mark.parametrize("application", ["vesuvius", "eden"])
def test_names_are_within_the_limit_and_each_is_called_by_the_name_that_it_has(application: str) -> None:
    _, made = render(vesuvius() if application == "vesuvius" else eden("mysql"), application)
    helpers = {render_helper("capture", "miss", ACCOUNT)[0], render_helper("cascade", "announce", ACCOUNT)[0]}
    assert all(len(name) <= NAME_LENGTH for name in names(made))
    triggers = [text for found in made.triggers.values() for text in found.values()]
    for text in (*made.procedures.values(), *triggers):
        assert set(re.findall(r"CALL `(\w+)`", text)) <= made.procedures.keys() | helpers
        assert "{{" not in text


def test_every_walk_has_a_procedure_and_a_trigger() -> None:
    cascades, made = render(eden("mysql"), "eden")
    assert len(made.procedures) == len(cascades) == sum(map(len, made.triggers.values()))
    assert made.triggers.keys() == {walk.table for walk in cascades}


def test_code_grows_with_the_foreign_keys_and_not_with_the_ways_through_them() -> None:
    cascades, made = render(eden("mysql"), "eden")
    edges = sum(map(len, cascades.values()))
    assert sum(text.count("DECLARE found CURSOR") for text in made.procedures.values()) == edges


def test_foreign_key_more_renames_all_that_leads_to_it_and_nothing_else() -> None:
    key = ForeignKey("new", ("p_uuid",), "person_details", ("p_uuid",), "cascade", "restrict")
    _, before = render(vesuvius(), "vesuvius")
    _, after = render(with_key(vesuvius(), "person_status", key), "vesuvius")
    gone = {name.rpartition("_")[0] for name in names(before) - names(after)}
    assert gone == {
        f"changecapture_{before_}delete_{table}"
        for table in ("person_uuid", "incident", "sys_user_groups")
        for before_ in ("", "before_")
    }
    assert {name.rpartition("_")[0] for name in names(after) - names(before)} == gone | {
        "changecapture_delete_person_details",
        "changecapture_before_delete_person_details",
    }


def test_definer_is_part_of_every_name() -> None:
    _, account = render(vesuvius(), "vesuvius")
    _, current = render(vesuvius(), "vesuvius", "CURRENT_USER")
    assert not names(account) & names(current)


def test_variables_have_the_type_and_the_collation_of_their_columns() -> None:
    """With another collation MySQL would use no index, or refuse to compare."""
    name = Column("name", "varchar(60)", "text", False, character_set="utf8mb4", collation="utf8mb4_bin")
    parent = Table("parent", (name,), ("name",))
    key = ForeignKey("fk", ("name",), "parent", ("name",), "cascade", "restrict")
    child = Table("child", (name,), ("name",), foreign_keys=(key,))
    catalogue = Catalogue("mysql", "db", "db", "", {"parent": parent, "child": child})
    tables = {t.name: t for t in definitions(plan(catalogue, load_profile("generic")))}
    cascades = find_cascades(catalogue, tables.values())
    (text,) = render_announcers(catalogue, cascades, tables, number(tables), "x").procedures.values()
    assert "(old_1 varchar(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)" in text
    assert "DECLARE row_1 varchar(60) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;" in text


def number(tables: dict[str, SyncedTable]) -> dict[str, int]:
    return {name: n for n, name in enumerate(sorted(tables), 1)}


def test_tables_whose_names_are_cut_alike_have_procedures_of_their_own() -> None:
    serial = Column("id", "int(11)", "integer", False, automatic=True)
    uuid = Column("uuid", "char(36)", "text", False)
    tables = {}
    for parent, child in ((f"{'t' * 60}1", "one"), (f"{'t' * 60}2", "two")):
        key = ForeignKey("fk", ("parent",), parent, ("id",), "cascade", "cascade")
        columns = (serial, uuid, Column("parent", "int(11)", "integer", True))
        tables[parent] = Table(parent, (serial, uuid), ("id",), (("uuid",),))
        tables[child] = Table(child, columns, ("id",), (("uuid",),), (key,))
    catalogue = Catalogue("mysql", "db", "db", "", tables)
    synced = {t.name: t for t in definitions(plan(catalogue, load_profile("generic")))}
    cascades = find_cascades(catalogue, synced.values())
    made = render_announcers(catalogue, cascades, synced, number(synced), "x")
    assert len(made.procedures) == 4
    assert all(len(name) <= NAME_LENGTH for name in names(made))


def test_rendered_announcements_of_a_hospital_of_vesuvius() -> None:
    cascades, made = render(vesuvius(), "vesuvius")
    walks = [walk for walk in cascades if walk.table == "hospital"]
    assert walks == [Walk("hospital", "delete"), Walk("hospital", "update")]
    procedures = [text for name, text in made.procedures.items() if "_hospital_" in name]
    statements = [*made.triggers["hospital"].values(), *procedures]
    statements.append(render_helper("cascade", "announce", ACCOUNT)[1])
    assert_golden("hospital.cascade.mysql.sql", ";\n\n".join(statements) + "\n")


def test_rendered_announcements_of_a_group_of_eden() -> None:
    _, made = render(eden("mysql"), "eden")
    procedures = [text for name, text in made.procedures.items() if "_delete_pr_group_" in name]
    statements = [*made.triggers["pr_group"].values(), procedures[-1]]
    assert_golden("pr_group.cascade.mysql.sql", ";\n\n".join(statements) + "\n")
