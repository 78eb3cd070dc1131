"""By which key a row is one row at two sites: one of ours, its own, one that differs by case."""

from tests.support.sites import assert_in_step, exchange


def test_row_with_a_key_of_ours_is_one_row_at_both_sites(families):
    here, there = families
    here.family("INSERT INTO line (note) VALUES ('a')")
    exchange(here, there)
    here.family("UPDATE line SET note = 'b'")
    exchange(here, there)
    assert there.family.rows("SELECT note FROM line") == [("b",)]
    there.family("UPDATE line SET note = 'c'")
    exchange(here, there)
    assert here.family.rows("SELECT note FROM line") == [("c",)]
    assert_in_step(here, there)
    there.family("DELETE FROM line")
    exchange(here, there)
    assert here.family.rows("SELECT note FROM line") == []


def test_rows_with_keys_of_ours_never_meet(families):
    here, there = families
    here.family("INSERT INTO line (note) VALUES ('here'), ('same')")
    there.family("INSERT INTO line (note) VALUES ('there'), ('same')")
    exchange(here, there)
    notes = sorted(note for (note,) in here.family.rows("SELECT note FROM line"))
    assert notes == ["here", "same", "same", "there"]
    assert_in_step(here, there)


def test_row_without_a_uuid_of_its_own_is_one_row_at_both_sites(new_site):
    """Eden's super-entities may have none, and the default of an ordinary uuid is one constant."""
    here, there = new_site("postgresql"), new_site("mariadb")
    for site in (here, there):
        site.eden.insert("pr_pentity", deleted="F", instance_type="pr_person", pe_label=site.dialect)
        site.eden.insert("pr_contact", deleted="F", value=site.dialect)
    exchange(here, there)
    assert assert_in_step(here, there).rows["pr_contact"] == 2
    for site in (here, there):
        site.eden.execute("UPDATE pr_pentity SET type = 'edited by ' || pe_label" if site is here else
                          "UPDATE pr_pentity SET type = CONCAT('edited by ', pe_label)")  # fmt: skip
        site.eden.execute("UPDATE pr_contact SET comments = 'edited'")
    exchange(here, there)
    found = assert_in_step(here, there)
    assert (found.rows["pr_contact"], found.rows["pr_pentity"]) == (2, 2)


def test_keys_that_are_equal_here_and_differ_there_are_parked(new_site):
    """Keys compare as bytes; MariaDB's index sees no difference of case."""
    here, there = new_site("postgresql", "family"), new_site("mariadb", "family")
    here.family("INSERT INTO word (text, note) VALUES ('Word', 'upper'), ('word', 'lower')")
    exchange(here, there)
    assert list(there.parked().values()) == ["unique"]
    assert len(there.family.rows("SELECT text FROM word")) == 1


def test_row_that_both_sites_had_before_is_one_row_and_differences_are_recorded(families):
    here, there = families
    for site, note in ((here, "here"), (there, "there")):
        with site.store.applying():
            site.store.execute(f"INSERT INTO parent (uuid, name, note) VALUES ('p', 'same', '{note}')")
    here.family("UPDATE parent SET name = 'Here' WHERE uuid = 'p'")
    exchange(here, there)
    there.family("UPDATE parent SET note = note WHERE uuid = 'p'")
    exchange(here, there)
    assert_in_step(here, there)
    lost = {(column, lost) for site in (here, there) for _, _, column, _, lost in site.conflicts()}
    assert ("note", '"there"') in lost or ("note", '"here"') in lost
