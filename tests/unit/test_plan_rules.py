"""The laws of the plan, on catalogues of a few tables."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changecapture.core.catalogue import Action, Catalogue, Column, ForeignKey, Table
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.plan import Decision, plan
from changecapture.profiles import Profile, load_profile
from changecapture.profiles.model import (
    ColumnRule,
    HiddenReference,
    KeyRule,
    Need,
    TableRule,
)

SERIAL = Column("id", "integer", "integer", nullable=False, automatic=True)
EVERYTHING = TableRule(("*",), True, "all of it")


def text(name: str, *, nullable: bool = False, default: str | None = None) -> Column:
    return Column(name, "character varying(60)", "text", nullable, default)


def number(name: str, *, nullable: bool = True, default: str | None = None) -> Column:
    return Column(name, "integer", "integer", nullable, default)


def link(column: str, target: str, there: str = "id", on_delete: Action = "restrict") -> ForeignKey:
    return ForeignKey(f"fk_{column}_{target}", (column,), target, (there,), on_delete, "no action")


def table(
    name: str,
    *columns: Column,
    key: tuple[str, ...] = (),
    uniques: tuple[tuple[str, ...], ...] = (),
    links: tuple[ForeignKey, ...] = (),
) -> Table:
    return Table(name, columns, key, uniques, links)


def numbered(name: str, *columns: Column, links: tuple[ForeignKey, ...] = ()) -> Table:
    """A table with a serial id and a uuid."""
    return table(name, SERIAL, text("uuid"), *columns, key=("id",), uniques=(("uuid",),), links=links)


def profile(*rules: TableRule, **values: object) -> Profile:
    base = Profile("test", "Test", module="all", uuid_columns=("uuid",))
    return replace(base, tables=(*rules, EVERYTHING), **values)  # type: ignore[arg-type]


def without(name: str) -> TableRule:
    return TableRule((name,), False, f"{name} is private")


def decide(chosen: Profile, *tables: Table) -> dict[str, Decision]:
    catalogue = Catalogue("postgresql", "db", "public", "", {t.name: t for t in tables})
    return {decision.table: decision for decision in plan(catalogue, chosen)}


def define(chosen: Profile, *tables: Table) -> dict[str, SyncedTable]:
    decisions = decide(chosen, *tables).values()
    return {d.table: d.definition for d in decisions if d.definition is not None}


def column(definition: SyncedTable, name: str) -> SyncedColumn:
    return next(c for c in (*definition.identity.columns, *definition.columns) if c.name == name)


# ---- references ----


def test_a_reference_that_must_be_there_to_a_table_that_is_out_takes_its_table_out() -> None:
    child = numbered("child", number("a_id", nullable=False), links=(link("a_id", "a"),))
    decision = decide(profile(without("a")), numbered("a"), child)["child"]
    assert not decision.synced
    assert "a_id" in decision.reason and "a, which is not synced" in decision.reason


def test_dropping_out_spreads_along_the_references_that_must_be_there() -> None:
    chain = [numbered("a")]
    for parent, name in (("a", "b"), ("b", "c"), ("c", "d")):
        required = number("up", nullable=False)
        chain.append(numbered(name, required, links=(link("up", parent),)))
    decisions = decide(profile(without("a")), *chain)
    assert not any(decision.synced for decision in decisions.values())


def test_an_optional_reference_to_a_table_that_is_out_stays_at_home() -> None:
    child = numbered("child", number("a_id"), text("name"), links=(link("a_id", "a"),))
    decision = decide(profile(without("a")), numbered("a"), child)["child"]
    assert decision.definition is not None
    assert [c.name for c in decision.definition.columns] == ["name"]
    assert [name for name, _ in decision.local] == ["a_id"]


def test_a_fill_keeps_a_table_whose_required_reference_cannot_travel() -> None:
    child = numbered("child", number("a_id", nullable=False), links=(link("a_id", "a"),))
    rule = ColumnRule(("child.a_id",), False, "its own", fill="1")
    definition = define(profile(without("a"), columns=(rule,)), numbered("a"), child)["child"]
    assert definition.fill == (("a_id", "1"),)


def test_a_local_column_that_must_have_a_value_needs_a_fill() -> None:
    rule = ColumnRule(("secret",), False, "private")
    decision = decide(profile(columns=(rule,)), numbered("a", text("secret")))["a"]
    assert not decision.synced
    assert "fill" in decision.reason


def test_a_needed_reference_counts_as_one_that_must_be_there() -> None:
    child = numbered("child", number("a_id"), links=(link("a_id", "a"),))
    chosen = profile(without("a"), needs=(Need(("child.a_id",), "no use alone"),))
    assert decide(chosen, numbered("a"), child)["child"].reason.endswith("no use alone")


def test_a_need_by_action_counts_only_for_foreign_keys_with_that_action() -> None:
    parts = [
        numbered(name, number("a_id"), links=(link("a_id", "a", on_delete=action),))
        for name, action in (("dies", "cascade"), ("lives", "set null"))
    ]
    chosen = profile(without("a"), needs=(Need(("*",), "dies with it", "cascade"),))
    decisions = decide(chosen, numbered("a"), *parts)
    assert (decisions["dies"].synced, decisions["lives"].synced) == (False, True)


def test_of_several_foreign_keys_on_one_column_the_one_to_a_synced_table_counts() -> None:
    links = (link("x_id", "a"), link("x_id", "b"))
    child = numbered("child", number("x_id"), links=links)
    definition = define(profile(without("a")), numbered("a"), numbered("b"), child)["child"]
    reference = column(definition, "x_id").reference
    assert reference and reference.table == "b"


def test_a_hidden_reference_travels_as_a_key_where_its_target_exists() -> None:
    hidden = HiddenReference("child", "a_id", "a", "id", "undeclared")
    child = numbered("child", number("a_id"))
    there = define(profile(references=(hidden,)), numbered("a"), child)["child"]
    reference = column(there, "a_id").reference
    assert reference and (reference.table, reference.by_key) == ("a", False)
    absent = define(profile(references=(hidden,)), child)["child"]
    assert not absent.columns


def test_a_table_may_refer_to_itself() -> None:
    tree = numbered("tree", number("parent"), links=(link("parent", "tree"),))
    reference = column(define(profile(), tree)["tree"], "parent").reference
    assert reference and reference.table == "tree"


def test_a_foreign_key_of_several_columns_leaves_them_plain_and_tells_of_numbers() -> None:
    parent = table("p", SERIAL, text("code"), key=("id",), uniques=(("id", "code"),))
    key = ForeignKey("fk", ("p_id", "p_code"), "p", ("id", "code"), "restrict", "restrict")
    child = numbered("child", number("p_id"), text("p_code", nullable=True), links=(key,))
    decision = decide(profile(), parent, child)["child"]
    assert decision.definition is not None
    assert all(c.reference is None for c in decision.definition.columns)
    assert any("p_id" in note for note in decision.notes)


# ---- identity ----


def test_a_textual_primary_key_is_the_name_and_references_to_it_travel_as_they_are() -> None:
    person = table("person", text("p_uuid"), key=("p_uuid",))
    note = numbered("note", text("about"), links=(link("about", "person", "p_uuid"),))
    definitions = define(profile(), person, note)
    assert definitions["person"].identity.kind == "natural"
    reference = column(definitions["note"], "about").reference
    assert reference and reference.by_key and reference.required


def test_a_composite_key_keeps_its_references() -> None:
    membership = table(
        "membership",
        number("a_id", nullable=False),
        text("role"),
        key=("a_id", "role"),
        links=(link("a_id", "a"),),
    )
    definition = define(profile(), numbered("a"), membership)["membership"]
    assert definition.identity.kind == "composite"
    assert [c.reference is not None for c in definition.identity.columns] == [True, False]
    assert definition.locator == definition.identity.columns
    assert definition.columns == ()


def test_a_number_that_names_another_row_is_a_name_and_one_of_the_application_is_not() -> None:
    part = table("part", number("a_id", nullable=False), key=("a_id",), links=(link("a_id", "a"),))
    loose = table("loose", number("code", nullable=False), key=("code",))
    decisions = decide(profile(), numbered("a"), part, loose)
    assert decisions["part"].definition is not None
    assert decisions["part"].definition.identity.kind == "composite"
    assert not decisions["loose"].synced and "no key" in decisions["loose"].reason


def test_a_row_that_only_the_database_numbers_is_given_a_key() -> None:
    definition = define(profile(), table("t", SERIAL, text("name"), key=("id",)))["t"]
    assert definition.identity.kind == "assigned"
    assert definition.identity.columns == ()
    assert [c.name for c in definition.locator] == ["id"]
    assert [c.name for c in definition.columns] == ["name"]


def test_a_numbered_row_with_one_row_for_each_of_another_table_is_named_by_that() -> None:
    person = table("person", text("p_uuid"), key=("p_uuid",))
    details = table(
        "details",
        SERIAL,
        text("p_uuid"),
        key=("id",),
        uniques=(("p_uuid",),),
        links=(link("p_uuid", "person", "p_uuid"),),
    )
    definition = define(profile(), person, details)["details"]
    assert (definition.identity.kind, definition.identity.columns[0].name) == ("natural", "p_uuid")
    assert [c.name for c in definition.key_columns] == ["id", "p_uuid"]


def test_without_a_primary_key_a_unique_key_without_null_finds_and_names_the_row() -> None:
    columns = (text("maybe", nullable=True), text("code"))
    one = table("one", *columns, uniques=(("maybe",), ("code",)))
    none = table("none", *columns, uniques=(("maybe",),))
    decisions = decide(profile(), one, none)
    assert decisions["one"].definition is not None
    assert [c.name for c in decisions["one"].definition.locator] == ["code"]
    assert not decisions["none"].synced and decisions["none"].reason.startswith("no key")


def test_the_profile_may_name_the_key() -> None:
    chosen = profile(keys=(KeyRule(("t",), ("code",), "as the people say"),))
    definition = define(chosen, table("t", SERIAL, text("code"), key=("id",)))["t"]
    assert (definition.identity.kind, definition.identity.indexed) == ("natural", False)


def test_a_name_that_a_column_has_by_default_names_no_row_unless_it_is_the_primary_key() -> None:
    code = text("code", default="shortname")
    chosen = profile(keys=(KeyRule(("t",), ("code",), "as the people say"),))
    assert define(chosen, table("t", SERIAL, code, key=("id",)))["t"].identity.missing == ("", "shortname")
    assert define(chosen, table("t", code, key=("code",)))["t"].identity.missing == ()


def test_a_key_of_the_profile_that_is_not_there_takes_the_table_out() -> None:
    chosen = profile(keys=(KeyRule(("t",), ("gone",), "-"),))
    assert "gone" in decide(chosen, numbered("t"))["t"].reason


@pytest.mark.parametrize(
    ("default", "missing"),
    [
        (None, ("",)),
        ("urn:uuid:7", ("", "urn:uuid:7")),
        ("gen_random_uuid()", ("",)),
        ("uuid()", ("",)),
    ],
)
def test_the_constant_default_of_a_uuid_means_none_and_a_call_does_not(
    default: str | None, missing: tuple[str, ...]
) -> None:
    rows = table("t", SERIAL, text("uuid", default=default), key=("id",), uniques=(("uuid",),))
    assert define(profile(), rows)["t"].identity.missing == missing


def test_a_uuid_column_without_a_unique_index_is_trusted_only_where_the_profile_says() -> None:
    loose = table("t", SERIAL, text("uuid", nullable=True), key=("id",))
    assert define(profile(), loose)["t"].identity.kind == "assigned"
    trusted = define(profile(uuid_unique=False), loose)["t"].identity
    assert (trusted.kind, trusted.indexed) == ("uuid", False)


# ---- columns and names ----


def test_what_the_database_makes_does_not_travel() -> None:
    made = replace(text("full_name"), generated=True)
    touched = replace(number("changed"), on_update=True)
    definition = define(profile(), numbered("t", made, touched, text("name")))["t"]
    assert [c.name for c in definition.columns] == ["changed", "name"]
    assert definition.touch == ("changed",)


def test_names_that_differ_only_in_case_take_the_table_out() -> None:
    decisions = decide(profile(), numbered("t", text("Name"), text("name")), numbered("A"), numbered("a"))
    assert [name for name, decision in decisions.items() if decision.synced] == []


def test_a_column_that_begins_with_an_at_sign_takes_its_table_out() -> None:
    assert "@alive" in decide(profile(), numbered("t", text("@alive")))["t"].reason


def test_a_name_that_a_driver_would_put_a_value_into_is_left_out() -> None:
    assert "%s" in decide(profile(), numbered("t", text("50%sold")))["t"].reason
    assert "%s" in decide(profile(), numbered("%share"))["%share"].reason


def test_a_name_of_several_lines_is_left_out() -> None:
    assert "line break" in decide(profile(), numbered("t", text("a\nb")))["t"].reason


def test_what_ends_the_text_of_our_functions_stands_in_no_synced_name() -> None:
    odd = "a$changecapture$"
    tables = [numbered("camp", text(odd)), numbered(odd), numbered("tent", text("$capture$"))]
    assert list(define(profile(), *tables)) == ["tent"]


def test_rows_that_are_found_by_what_the_database_makes_are_not_synced() -> None:
    """MariaDB's system versioning, with its period in columns: row_end is a part of each unique index."""
    code = replace(text("code"), generated=True)
    versioned = table(
        "v", SERIAL, text("uuid"), replace(text("row_end"), generated=True), key=("id", "row_end")
    )
    decisions = decide(profile(), table("t", code, text("name"), key=("code",)), versioned)
    assert [decision.synced for decision in decisions.values()] == [False, False]
    assert "row_end, which finds its rows, is generated" in decisions["v"].reason


def test_table_of_an_engine_without_savepoints_is_not_synced() -> None:
    assert "Aria" in decide(profile(), replace(numbered("t"), storage="Aria"))["t"].reason


def test_the_generic_profile_takes_what_has_a_name() -> None:
    decisions = decide(
        load_profile("generic"),
        numbered("thing"),
        table("heap", text("line")),
        table("alembic_version", text("version_num"), key=("version_num",)),
    )
    assert {name for name, decision in decisions.items() if decision.synced} == {"thing"}
    assert decisions["thing"].module == "all"


# ---- as a whole ----

NAMES = ("a", "b", "c", "d", "e")
EDGES = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES), st.booleans()))


@given(edges=EDGES, out=st.sets(st.sampled_from(NAMES)), order=st.permutations(NAMES))
def test_what_is_synced_refers_to_what_is_synced_whatever_the_order_of_tables(
    edges: list[tuple[str, str, bool]], out: set[str], order: list[str]
) -> None:
    tables = {
        name: numbered(
            name,
            *(number(f"r{i}", nullable=n) for i, (s, _, n) in enumerate(edges) if s == name),
            links=tuple(link(f"r{i}", t) for i, (s, t, _) in enumerate(edges) if s == name),
        )
        for name in NAMES
    }
    chosen = profile(*map(without, out))
    decisions = decide(chosen, *(tables[name] for name in order))
    synced = {name for name, decision in decisions.items() if decision.synced}
    assert decisions == decide(chosen, *tables.values())
    for source, target, nullable in edges:
        if source in synced and not nullable:
            assert target in synced
    for name in set(NAMES) - synced - out:
        assert any(s == name and not n and t not in synced for s, t, n in edges)
