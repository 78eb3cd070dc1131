"""Parents before children."""

from changecapture.core.rank import rank
from changecapture.core.table import Identity, Reference, SyncedColumn, SyncedTable


def table(name: str, *references: str) -> SyncedTable:
    """A table that refers to others; a name with ! must be there."""
    columns = tuple(
        SyncedColumn(
            f"r{number}",
            "integer",
            "integer",
            not target.endswith("!"),
            Reference(target.rstrip("!"), "id", target.endswith("!"), by_key=False),
        )
        for number, target in enumerate(references)
    )
    return SyncedTable(name, "all", (), Identity("assigned"), columns)


def order(*tables: SyncedTable) -> list[str]:
    places = rank(tables)
    return sorted(places, key=places.__getitem__)


def test_parents_come_first_and_names_decide_among_equals() -> None:
    assert order(table("z"), table("b", "z"), table("a", "b"), table("y")) == ["y", "z", "b", "a"]


def test_a_reference_to_itself_or_to_an_unknown_table_does_not_count() -> None:
    assert order(table("a", "a!", "gone!")) == ["a"]


def test_a_cycle_is_cut_at_a_reference_that_may_be_missing() -> None:
    assert order(table("a", "b!"), table("b", "a")) == ["b", "a"]


def test_a_cycle_of_equals_is_cut_by_name_whatever_the_order() -> None:
    ring = [table("a", "b"), table("b", "c"), table("c", "a")]
    assert order(*ring) == order(*reversed(ring)) == ["a", "c", "b"]


def test_references_inside_the_key_count() -> None:
    child = table("a", "b!")
    keyed = SyncedTable("a", "all", child.columns, Identity("composite", child.columns), ())
    assert order(keyed, table("b")) == ["b", "a"]
