"""Which deletes and updates reach a synced table, and by which foreign keys."""

from changecapture.core.cascade import Cascades, Edge, Walk, find_cascades, reached_from
from changecapture.core.catalogue import Action, Catalogue, Column, ForeignKey, Table
from changecapture.core.table import Identity, SyncedColumn, SyncedTable


def number(name: str) -> Column:
    return Column(name, "int(11)", "integer", nullable=True)


def table(name: str, *keys: ForeignKey, more: tuple[str, ...] = ()) -> Table:
    columns = ("id", *more, *(column for key in keys for column in key.columns))
    return Table(name, tuple(number(c) for c in dict.fromkeys(columns)), ("id",), foreign_keys=keys)


def to(
    target: str,
    on_delete: Action = "cascade",
    on_update: Action = "restrict",
    *,
    column: str = "",
    there: str = "id",
) -> ForeignKey:
    column = column or f"{target}_id"
    return ForeignKey(f"fk_{column}", (column,), target, (there,), on_delete, on_update)


def synced(name: str, *columns: str) -> SyncedTable:
    made = [SyncedColumn(c, "int(11)", "integer", True) for c in ("id", *columns)]
    return SyncedTable(name, "all", (made[0],), Identity("natural", (made[0],)), tuple(made[1:]))


def find(tables: tuple[Table, ...], *wanted: SyncedTable) -> Cascades:
    return find_cascades(Catalogue("mysql", "db", "db", "", {t.name: t for t in tables}), wanted)


def ways(cascades: Cascades) -> set[tuple[Walk, str, str]]:
    return {(walk, edge.child, edge.effect) for walk, edges in cascades.items() for edge in edges}


def test_delete_that_restricts_or_does_nothing_reaches_no_one() -> None:
    for action in ("restrict", "no action", "set default"):
        child = table("b", to("a", action))  # type: ignore[arg-type]
        assert find((table("a"), child), synced("b", "a_id")) == {}


def test_delete_reaches_a_child_that_goes_and_one_that_loses_its_reference() -> None:
    tables = (table("a"), table("b", to("a")), table("c", to("a", "set null")))
    assert ways(find(tables, synced("b"), synced("c", "a_id"))) == {
        (Walk("a", "delete"), "b", "delete"),
        (Walk("a", "delete"), "c", "clear"),
    }


def test_reference_that_does_not_travel_is_cleared_unseen() -> None:
    tables = (table("a"), table("c", to("a", "set null")))
    assert find(tables, synced("c")) == {}


def test_child_that_is_not_synced_counts_when_it_leads_on() -> None:
    tables = (table("a"), table("b", to("a")), table("c", to("b")), table("d", to("b")))
    assert ways(find(tables, synced("c"))) == {
        (Walk("a", "delete"), "b", "delete"),
        (Walk("b", "delete"), "c", "delete"),
    }


def test_parent_that_nothing_synced_hangs_on_is_left_alone() -> None:
    tables = (table("a"), table("b", to("a")))
    assert find(tables, synced("a")) == {}


def test_new_key_reaches_those_who_follow_it_and_those_who_lose_it() -> None:
    follows, loses = to("a", "restrict", "cascade"), to("a", "restrict", "set null", column="other")
    tables = (table("a"), table("b", follows, loses))
    assert ways(find(tables, synced("b", "a_id", "other"))) == {
        (Walk("a", "update"), "b", "follow"),
        (Walk("a", "update"), "b", "clear"),
    }


def test_new_key_goes_on_only_through_the_column_that_follows() -> None:
    """b.a_id follows a.id; c follows b.a_id, d follows b.id."""
    b = table("b", to("a", "restrict", "cascade"))
    c = table("c", to("b", "restrict", "cascade", there="a_id"))
    d = table("d", to("b", "restrict", "cascade"))
    found = find((table("a"), b, c, d), synced("c", "b_id"), synced("d", "b_id"))
    assert (Walk("a", "update"), "b", "follow") in ways(found)
    alone = find((table("a"), b, d), synced("d", "b_id"))
    assert Walk("a", "update") not in alone


def test_cleared_column_that_others_refer_to_goes_on_as_a_change() -> None:
    b = table("b", to("a", "set null"))
    c = table("c", to("b", "restrict", "cascade", there="a_id"))
    assert ways(find((table("a"), b, c), synced("c", "b_id"))) == {
        (Walk("a", "delete"), "b", "clear"),
        (Walk("b", "update"), "c", "follow"),
    }


def test_walk_that_comes_back_to_itself_is_known_as_one() -> None:
    tables = (table("a", to("b")), table("b", to("a")), table("c", to("a")))
    found = find(tables, synced("a"), synced("b"), synced("c"))
    assert Walk("a", "delete") in reached_from(found, Walk("a", "delete"))
    assert Walk("c", "delete") not in found
    plain = find((table("a"), table("c", to("a"))), synced("c"))
    assert reached_from(plain, Walk("a", "delete")) == frozenset()


def test_target_in_another_spelling_is_the_same_table_and_column() -> None:
    """A server on Windows keeps the spelling of the statement that made the foreign key."""
    tables = (table("a"), table("b", to("A", there="ID")))
    (edge,) = find(tables, synced("b"))[Walk("a", "delete")]
    assert edge == Edge("fk_A_id", "b", ("A_id",), ("id",), "delete")


def test_target_in_another_database_is_none_of_ours() -> None:
    assert find((table("b", to("other.a")),), synced("b")) == {}
