"""What every store does alike: PostgreSQL, MariaDB, and the store in memory that simulations stand on."""

import json
from dataclasses import replace
from itertools import count

import pytest

from changecapture.core.change import ALIVE, Entry, Row, Version
from changecapture.core.merge import Cell, Conflict
from changecapture.core.spare import Task
from changecapture.core.table import SyncedTable
from changecapture.core.vector import digest_vector, dump_vector
from changecapture.errors import DataError, RetryLater
from changecapture.publish import publish
from changecapture.store.records import Progress
from tests.support import family
from tests.support.databases import run_script
from tests.support.memory import MemorySite

ANA, BEN = Row("parent", "ana"), Row("parent", "ben")
numbers = count(1)


@pytest.fixture(params=["postgresql", "mariadb", "memory"])
def place(request, new_site):
    """A site of the small application, on each kind of store."""
    if request.param == "memory":
        site = MemorySite(family.script("memory"))
        yield site
        site.close()
    else:
        yield new_site(request.param, "family")


@pytest.fixture
def store(place):
    return place.store


@pytest.fixture
def ana(place):
    """A site with one parent, published."""
    place.family.add_parent("ana", "Ana")
    place.publish()
    return place


def entry(row=ANA, origin="far", **columns):
    number = next(numbers)
    text = json.dumps({ALIVE: True, **columns}, separators=(",", ":"))
    return Entry(origin, 1, number, number, 1000 + number, 0, "all", row.table, row.key, text)


def table(store, name="parent"):
    return store.tables_by_name[name]


def local_key(store, key, name="parent"):
    with store.applying():
        return store.hold_rows(table(store, name), {key: [key]})[key]


class Undone(Exception):
    """What a test rolls a transaction back with."""


# Spare time


def test_spare_work_is_done_while_the_server_works(site):
    done = []

    def work():
        for number in range(3):
            done.append(number)
            yield

    site.store.spare.add(Task(work()))
    nap = "SELECT pg_sleep(0.05)" if site.store.engine == "postgresql" else "SELECT SLEEP(0.05)"
    site.store.query(nap)
    assert done == [0, 1, 2]


# Transactions


def test_transaction_that_raises_leaves_nothing_behind(store):
    with pytest.raises(Undone), store.snapshot():
        store.append_entries([entry()], applied=True)
        raise Undone
    assert store.last_position() == 0
    assert not store.in_transaction()


def test_savepoint_that_raises_undoes_only_what_was_written_inside(store):
    first, second = entry(), entry()
    with store.applying():
        store.append_entries([first], applied=True)
        with pytest.raises(Undone), store.savepoint():
            store.append_entries([second], applied=True)
            raise Undone
    assert store.find_names({first.name, second.name}) == {first.name}


def test_refused_row_ends_no_transaction(store, ana):
    with store.applying():
        store.append_entries([entry()], applied=True)
        with pytest.raises(DataError), store.savepoint():
            store.insert_rows(table(store), [{"uuid": "other", "name": "Ana"}])
        assert store.in_transaction()
    assert store.last_position() > 0


def test_lock_may_be_taken_within_itself(store):
    with store.lock(), store.lock(), store.snapshot():
        assert store.count_captured() == 0


# Capture


def test_insert_update_and_delete_are_captured_with_their_keys(place):
    place.family.add_parent("ana", "Ana")
    place.family.note("parent", "ana", "é'\"\\")
    place.family.delete("parent", "ana")
    captured = place.store.read_captured(None)
    assert [item.operation for item in captured] == ["I", "U", "D"]
    assert {json.loads(item.key)[1] for item in captured} == {"ana"}
    assert json.loads(captured[1].changed) == {"note": "é'\"\\"}
    assert json.loads(captured[2].image)["name"] == "Ana"


def test_update_that_changes_nothing_is_not_captured(ana):
    ana.family("UPDATE parent SET name = 'Ana' WHERE uuid = 'ana'")
    assert ana.store.read_captured(None) == []


def test_changed_key_is_captured_with_the_old_one(ana):
    ana.family("UPDATE parent SET uuid = 'anna' WHERE uuid = 'ana'")
    (item,) = ana.store.read_captured(None)
    assert (json.loads(item.key)[1], json.loads(item.old_key)[1]) == ("anna", "ana")


def test_what_the_application_rolls_back_was_never_captured(place):
    place.family("BEGIN")
    place.family.add_parent("ana")
    place.family("ROLLBACK")
    assert not place.store.has_captured()


def test_changes_of_one_transaction_share_its_number(place):
    place.family("BEGIN")
    place.family.add_parent("ana")
    place.family.add_parent("ben")
    place.family("COMMIT")
    assert len({item.transaction_id for item in place.store.read_captured(None)}) == 1


def test_what_the_applier_writes_is_not_captured(store):
    with store.applying():
        store.insert_rows(table(store), [{"uuid": "ana", "note": "x"}])
    assert not store.has_captured()


def test_what_the_database_deletes_and_empties_for_a_parent_is_captured(ana):
    run = ana.family
    run.add_parent("ben", boss="ana")
    run.add_child("kim", "ana")
    run.add_toy("bear", "kim")
    ana.publish()
    run.delete("parent", "ana")
    ana.publish()
    assert [ana.entries(name, key)[-1] for name, key in (("child", "kim"), ("toy", "bear"))] == [
        {ALIVE: False},
        {ALIVE: False},
    ]
    assert ana.entries("parent", "ben")[-1]["boss"] is None


def test_rows_are_captured_as_they_are_on_request(ana):
    ana.store.capture_rows(table(ana.store), [local_key(ana.store, "ana")])
    (item,) = ana.store.read_captured(None)
    assert (item.operation, item.captured_at) == ("B", 0)


def test_deleting_captured_changes_that_are_gone_is_refused(place):
    place.family.add_parent("ana")
    ids = [item.id for item in place.store.read_captured(None)]
    place.store.delete_captured(ids)
    with pytest.raises(RetryLater):
        place.store.delete_captured(ids)


def test_departed_rows_are_those_deleted_or_renamed(ana):
    run = ana.family
    run.add_parent("ben")
    run("UPDATE parent SET uuid = 'bert' WHERE uuid = 'ben'")
    run.delete("parent", "ana")
    departed = {json.loads(text)[1] for text in ana.store.read_departed(table(ana.store))}
    assert departed == {"ana", "ben", "bert"}


# The application's rows


def test_late_row_has_its_columns_and_names_its_references(ana):
    ana.family.add_parent("ben", "Ben", boss="ana")
    key = local_key(ana.store, "ben")
    late = ana.store.read_rows(table(ana.store), [key])[key]
    assert json.loads(late.text) == {"name": "Ben", "note": None, "boss": "ana"}
    assert (late.flag, late.values) == (None, {})


def test_late_row_that_is_gone_is_left_out(ana):
    key = local_key(ana.store, "ana")
    ana.family.delete("parent", "ana")
    assert ana.store.read_rows(table(ana.store), [key]) == {}


def test_rows_are_found_by_their_places(ana):
    store, places = ana.store, {"ana": ["ana"], "nobody": ["nobody"]}
    with store.applying():
        assert store.hold_rows(table(store), places).keys() == {"ana"}
        assert store.hold_rows(table(store), places, leaving=True).keys() == {"ana"}
        assert store.find_rows(table(store), places) == {"ana"}
        assert store.refer_rows(table(store), "name", places) == {"ana": "Ana"}


def test_keys_compare_as_bytes(ana):
    with ana.store.applying():
        assert ana.store.hold_rows(table(ana.store), {"ANA": ["ANA"], "ana ": ["ana "]}) == {}


def test_rows_are_found_by_what_refers_to_them(ana):
    ana.family.add_child("kim", "ana")
    children, parents = table(ana.store, "child"), table(ana.store)
    must = next(column for column in children.columns if column.name == "must")
    found = ana.store.read_referring(children, must, parents, local_key(ana.store, "ana"))
    assert found == [local_key(ana.store, "kim", "child")]


def test_composite_places_are_found(ana):
    ana.family.add_child("kim", "ana")
    ana.family.add_link("ana", "kim")
    ((parent, child),) = ana.family.rows("SELECT parent_id, child_id FROM link")
    with ana.store.applying():
        held = ana.store.hold_rows(table(ana.store, "link"), {"it": [parent, child], "no": [parent, -1]})
        assert held == {"it": f"[{parent},{child}]"}
        grid = {f"{a} {b}": [a, b] for a in (parent, -2, -3) for b in (child, -1)}
        for places in (grid, {**grid, "no": [-4, child]}):
            assert ana.store.find_rows(table(ana.store, "link"), places) == {f"{parent} {child}"}


def test_of_composite_rows_none_is_deleted_but_those_that_are_named(ana):
    store, family = ana.store, ana.family
    family.add_parent("ben", "Ben")
    for child, parent in (("kim", "ana"), ("lee", "ben")):
        family.add_child(child, parent)
        family.add_link("ana", child)
        family.add_link("ben", child)
    links = sorted(family.rows("SELECT parent_id, child_id FROM link"))
    with store.applying():
        store.delete_rows(table(store, "link"), [f"[{a},{b}]" for a, b in (links[0], links[3])])
    assert sorted(family.rows("SELECT parent_id, child_id FROM link")) == links[1:3]
    with store.applying():
        store.delete_rows(table(store, "link"), [f"[{a},{b}]" for a, b in links])
    assert family.rows("SELECT 1 FROM link") == []


def test_updated_and_deleted_rows_are_as_they_were_written(ana):
    store, key = ana.store, local_key(ana.store, "ana")
    with store.applying():
        store.update_rows(table(store), [(key, {"note": "é'\"\\", "name": None})])
    assert ana.family.rows("SELECT name, note FROM parent") == [(None, "é'\"\\")]
    with store.applying():
        store.delete_rows(table(store), [key, None])
    assert ana.family.rows("SELECT 1 FROM parent") == []


def test_rows_of_one_update_may_name_their_columns_in_any_order(ana):
    ana.family.add_parent("ben", "Ben")
    store = ana.store
    keys = [local_key(store, key) for key in ("ana", "ben")]
    with store.applying():
        store.update_rows(
            table(store),
            [(keys[0], {"name": "A", "note": "a"}), (keys[1], {"note": "b", "name": "B"})],
        )
    assert ana.family.rows("SELECT name, note FROM parent ORDER BY uuid") == [("A", "a"), ("B", "b")]


@pytest.mark.parametrize(
    ("name", "row", "reason"),
    [
        ("parent", {"uuid": "new", "name": "Ana"}, "unique"),
        ("parent", {"uuid": "ana", "name": "Other"}, "unique"),
        ("parent", {"uuid": "new", "boss": -1}, "foreign key"),
        ("child", {"uuid": "new", "must": None}, "value"),
    ],
)
def test_refused_row_says_why(ana, name, row, reason):
    with ana.store.applying():
        with pytest.raises(DataError) as refused, ana.store.savepoint():
            ana.store.insert_rows(table(ana.store, name), [row])
        assert refused.value.reason == reason


def test_row_that_others_must_refer_to_is_not_deleted(ana):
    ana.family.add_parent("ben")
    ana.family.add_child("kim", "ben", keep="ana")
    key = local_key(ana.store, "ana")
    with ana.store.applying():
        with pytest.raises(DataError) as refused, ana.store.savepoint():
            ana.store.delete_rows(table(ana.store), [key])
        assert refused.value.reason == "foreign key"


def test_row_with_a_key_of_ours_is_found_by_it(place):
    store, lines = place.store, table(place.store, "line")
    with store.applying():
        store.insert_given(lines, {"our key": {"note": "x"}})
        locators = store.read_locators(lines, ["our key"])
        held = store.hold_rows(lines, locators)
        assert store.read_assigned(lines, [json.dumps(locators["our key"])]) == {held["our key"]: "our key"}


# Versions, entries, contexts


def test_versions_are_kept_and_replaced(store):
    first, second = Version(1, "far", True, -(1 << 63)), Version(2, "near", False, (1 << 63) - 1)
    store.write_versions({ANA: first}, {})
    assert store.read_versions([ANA, BEN]) == {ANA: first}
    store.write_versions({ANA: second, BEN: first}, {ANA: first})
    assert store.read_versions([ANA, BEN]) == {ANA: second, BEN: first}
    assert store.read_alive_after("parent", "", 10) == {BEN: first}


READS = {
    "postgresql": "SELECT coalesce(sum(idx_tup_fetch + seq_tup_read), 0) FROM pg_stat_xact_user_tables",
    "mysql": "SHOW SESSION STATUS LIKE 'Handler_read%'",
}
"""How many rows a session has read, in the last column: on PostgreSQL in the transaction that is open."""


def count_reads(store):
    return sum(int(row[-1]) for row in store.query(READS[store.engine]))


def test_versions_are_replaced_without_reading_those_of_other_rows(site):
    store = site.store
    known = {Row("parent", f"{n:05}"): Version(1, "far", True, 1) for n in range(3000)}
    store.write_versions(known, {})
    # What a server believes of a table that has just grown may be old for a moment.
    table = f"{store.prefix}row_version"
    run_script(site.url, {"postgresql": f"ANALYZE {table}", "mysql": f"ANALYZE TABLE {table}"}[store.engine])
    with store.applying():
        before = count_reads(store)
        store.write_versions({row: Version(2, "far", True, 2) for row in list(known)[::10]}, known)
        assert count_reads(store) - before < len(known) / 2


def test_entries_come_back_as_they_were_appended_in_order(store):
    first, second = entry(note="é'\"\\\n"), replace(entry(BEN), stamp=7, base_seen=-(1 << 63))
    store.append_entries([first], applied=True)
    store.append_entries([second], applied=False)
    end = store.last_position()
    found = store.read_entries(0, end, 10)
    assert [item for _, item in found] == [first, second]
    assert store.read_entries(found[0][0], end, 10) == found[1:]
    assert store.read_row_entries([ANA, BEN]) == {ANA: [(first, True)], BEN: [(second, False)]}
    assert store.read_row_entries_until([ANA, BEN], found[0][0]) == [first]


def test_reach_of_a_part_of_the_log_is_its_greatest_number_of_each_origin_epoch_and_scope(store):
    one, two, other = entry(), entry(), entry(BEN, origin="near")
    store.append_entries([two, one, other], applied=True)
    end = store.last_position()
    assert store.read_reach(0, end) == {("far", 1, "all"): two.number, ("near", 1, "all"): other.number}
    assert store.read_reach(end - 1, end) == {("near", 1, "all"): other.number}
    assert store.read_reach(end, end) == {}


def test_dead_are_the_rows_whose_last_version_says_so(store):
    store.write_versions({ANA: Version(1, "far", False, 1), BEN: Version(1, "far", True, 1)}, {})
    assert store.find_dead([ANA, BEN, Row("parent", "carl")]) == {ANA}
    assert store.find_dead([]) == set()


def test_name_stands_once_in_the_changelog(store):
    one = entry()
    store.append_entries([one], applied=True)
    with pytest.raises(DataError):
        store.append_entries([one], applied=True)


def test_entries_of_a_parked_row_are_unseen_until_they_are_applied(store):
    one = entry()
    store.append_entries([one], applied=False)
    store.write_parked({ANA: ("busy", "held")})
    assert store.read_unapplied([ANA, BEN]) == {ANA: [str(one.name)]}
    store.mark_applied([ANA])
    assert store.read_unapplied([ANA]) == {ANA: []}


def test_context_of_a_pass_is_kept_once(store):
    vector = {("far", 1, "all"): 3, ("near", 2, "pr"): 4}
    digest, name = digest_vector(vector), ("far", 1, 9)
    for _ in range(2):
        store.write_contexts({digest: dump_vector(vector)})
        store.write_passes({name: digest})
    assert store.read_passes([name, ("far", 1, 10)]) == {name: digest}
    assert store.read_contexts([name]) == {name: vector}


def test_vector_is_only_raised(store):
    place, other = ("far", 1, "all"), ("near", 1, "all")
    store.write_vector({place: 5})
    store.write_vector({place: 3, other: 1})
    assert store.read_vector() == {place: 5, other: 1}


# Parked, waiting, conflicts, peers


def test_parked_rows_are_listed_until_forgotten(store):
    store.write_parked({ANA: ("busy", "held"), BEN: ("reference", "waits")})
    store.write_parked({ANA: ("unique", "taken")})
    assert store.read_parked([ANA, BEN]) == {ANA, BEN}
    assert store.read_stuck(None, 10) == [ANA]
    assert store.read_stuck(ANA, 10) == []
    store.forget_parked([ANA])
    assert store.count_parked() == 1


def test_waiting_row_is_stuck_when_its_target_lives(store):
    store.add_waiting({BEN: [("boss", *ANA)]})
    assert store.read_waiting_for([ANA]) == [BEN]
    assert store.read_waiting([BEN]) == {BEN: {"boss"}}
    assert store.read_stuck(None, 10) == []
    store.write_versions({ANA: Version(1, "far", True, 0)}, {})
    assert store.read_stuck(None, 10) == [BEN]
    store.write_waiting({BEN: []})
    assert store.read_waiting_for([ANA]) == []


def test_column_waits_for_one_row(store):
    store.add_waiting({BEN: [("boss", "parent", "first")]})
    store.add_waiting({BEN: [("boss", *ANA), ("friend", *ANA)]})
    assert store.read_waiting_for([Row("parent", "first")]) == []
    assert store.read_waiting([BEN]) == {BEN: {"boss", "friend"}}


def test_conflict_keeps_both_values(place):
    kept, lost = entry(note="later"), entry(note=None)
    place.store.write_conflicts([(ANA, Conflict("note", Cell(kept, "later"), Cell(lost, None)))])
    assert place.conflicts() == {(*ANA, "note", '"later"', "null")}


def test_image_of_a_deleted_row_is_kept_until_it_is_back(ana):
    store = ana.store
    store.keep_image(table(store), ANA, local_key(store, "ana"), Version(1, "far", False, 0))
    ((image, origin),) = ana.fetch("SELECT image, origin FROM {p}deleted_row")
    assert (json.loads(image)["name"], origin) == ("Ana", "far")
    store.forget_images([ANA])
    assert ana.fetch("SELECT 1 FROM {p}deleted_row") == []


def test_progress_is_kept_for_each_peer(store):
    assert store.read_progress("far") == Progress("far")
    for position in (5, 6):
        progress = Progress("far", 2, position, 9, "{}", 1, 7)
        store.write_progress(progress)
        assert store.read_progress("far") == progress


# The site


def test_last_names_given_are_kept(store):
    store.write_site(last_number=7, last_pass=3)
    assert (store.read_site().last_number, store.read_site().last_pass) == (7, 3)


def test_definitions_are_those_of_the_same_plan(place):
    """Types are spelled differently; kinds, references, identities are the same everywhere."""
    child = table(place.store, "child")
    assert isinstance(child, SyncedTable)
    assert [(c.name, c.kind, c.nullable) for c in child.columns] == [
        ("note", "text", True),
        ("must", "integer", False),
        ("may", "integer", True),
        ("keep", "integer", True),
    ]
    assert [c.reference.required for c in child.local_references] == [True, False, False]
    assert table(place.store).unique == ("name",)
    assert [table(place.store, name).identity.kind for name in ("parent", "link", "word", "line")] == [
        "uuid",
        "composite",
        "natural",
        "assigned",
    ]
    assert place.store.ranks["parent"] < place.store.ranks["child"] < place.store.ranks["toy"]


def test_pass_takes_whole_transactions_up_to_its_limit(place):
    for number in range(3):
        place.family.add_parent(f"p{number}")
    assert publish(place.store, 2) >= 2
    place.publish()
    assert place.store.last_position() > 0
    assert len(place.entries("parent", "p2")) == 1
