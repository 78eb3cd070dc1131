"""The application changes its tables: it is noticed, ``install`` mends it, and nothing written is lost.

Each law holds for every kind of change, on both databases. What is written between the change and the
installation is found by reconciliation, which an installation runs itself.
"""

from contextlib import closing
from threading import Event

import pytest

from changecapture.config import parse_url
from changecapture.drift import describe_drift, find_drift
from changecapture.errors import ConfigError
from changecapture.install import install
from changecapture.status import read_status
from changecapture.store import open_store
from tests.support import family
from tests.support.accounts import new_account
from tests.support.databases import fetch, run_script
from tests.support.patience import Patience
from tests.support.sites import Site
from tests.support.writers import SHARED, find_faults, write_together

CHANGES = {
    "column added": ("parent", "ALTER TABLE parent ADD COLUMN camp varchar(32)", ""),
    "column dropped": ("word", "ALTER TABLE word DROP COLUMN note", ""),
    "column renamed": ("parent", "ALTER TABLE parent RENAME COLUMN name TO label", ""),
    "column retyped": (
        "parent",
        "ALTER TABLE parent ALTER COLUMN note TYPE text",
        "ALTER TABLE parent MODIFY note text",
    ),
    "NOT NULL taken away": (
        "child",
        "ALTER TABLE child ALTER COLUMN must DROP NOT NULL",
        "ALTER TABLE child MODIFY must integer NULL",
    ),
    "pyDAL retypes by a column beside it": (
        "parent",
        "ALTER TABLE parent ADD note__tmp text; UPDATE parent SET note__tmp = note; "
        "ALTER TABLE parent DROP COLUMN note; ALTER TABLE parent ADD note text; "
        "UPDATE parent SET note = note__tmp; ALTER TABLE parent DROP COLUMN note__tmp",
        "",
    ),
    "table added": ("tent", "CREATE TABLE tent (uuid varchar(64) PRIMARY KEY, note varchar(255))", ""),
    "table renamed": ("saying", "ALTER TABLE word RENAME TO saying", ""),
    "table dropped": ("toy", "DROP TABLE toy", ""),
}


@pytest.fixture
def site(server, new_database):
    """A site of the small application, in a database of its own."""
    url = new_database(server)
    run_script(url, family.script("postgresql" if server.dialect == "postgresql" else "mariadb"))
    with closing(Site(url, "generic")) as made:
        made.family.add_parent("before", "name before")
        made.family("INSERT INTO word (text, note) VALUES ('before', 'a word')")
        made.publish()
        yield made


RARE = ("column retyped", "NOT NULL taken away", "column renamed", "table dropped")


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.long if name in RARE else ()) for name in CHANGES]
)
def change(request, site, server):
    """The table that a change concerns, and what makes it."""
    table, sql, mysql = CHANGES[request.param]
    run_script(site.url, mysql if mysql and server.dialect == "mysql" else sql)
    return table


def write(site):
    """Write what is possible under every change."""
    site.family("INSERT INTO parent (uuid, note) VALUES ('between', 'written')")
    site.family("UPDATE parent SET note = 'changed' WHERE uuid = 'before'")


def last_notes(site):
    return [site.entries("parent", key)[-1]["note"] for key in ("before", "between")]


def test_change_of_a_table_is_noticed_and_install_mends_it_without_losing_a_write(site, change):
    assert change in find_drift(site.store)
    assert "run: changecapture install URL" in describe_drift(site.store)
    write(site)
    install(parse_url(site.url))
    site.close()
    site.publish()
    assert last_notes(site) == ["changed", "written"]
    assert describe_drift(site.store) == "" and not read_status(site.store).missed


def test_what_no_trigger_saw_of_a_changed_table_is_found_by_the_installation(site):
    """The triggers had gone with the change, as when pyDAL makes a table anew."""
    drop_triggers(site, "parent")
    write(site)
    assert site.publish() == 0
    done = install(parse_url(site.url))
    site.close()
    site.publish()
    assert done.found == 2 and last_notes(site) == ["changed", "written"]


def test_installation_that_would_rename_rows_everywhere_is_refused_until_it_is_meant(site):
    """The index that kept the uuids unique is gone, by a change of the application or a poor restore."""
    index = "CONSTRAINT parent_uuid_key" if site.dialect == "postgresql" else "INDEX uuid"
    site.publish()
    site.run(f"ALTER TABLE parent DROP {index}")
    before = list_triggers(site)
    with pytest.raises(ConfigError, match=r"parent \(uuid; now keys of ours\) would get other names"):
        install(parse_url(site.url))
    assert list_triggers(site) == before
    site.family.note("parent", "before", "still captured")
    site.publish()
    assert site.entries("parent", "before")[-1]["note"] == "still captured"
    install(parse_url(site.url), new_keys=True)
    assert describe_drift(site.store) == ""


def test_table_put_in_the_place_of_another_is_captured_after_the_installation_and_the_old_one_is_not(site):
    """As tools do that change tables beside their use; the triggers have gone with the old one."""
    alike = "(LIKE word INCLUDING ALL)" if site.dialect == "postgresql" else "LIKE word"
    site.run(
        f"CREATE TABLE word_new {alike}; INSERT INTO word_new SELECT * FROM word; "
        "ALTER TABLE word RENAME TO word_old; ALTER TABLE word_new RENAME TO word"
    )
    site.family("UPDATE word SET note = 'unseen' WHERE text = 'before'")
    assert {"word_old"} <= set(find_drift(site.store))
    install(parse_url(site.url))
    site.close()
    site.family("DELETE FROM word_old")
    site.family("INSERT INTO word (text, note) VALUES ('after', 'seen')")
    site.publish()
    ((last,), (after,)) = ([e["note"] for e in site.entries("word", key)[-1:]] for key in ("before", "after"))
    assert (last, after) == ("unseen", "seen")


def test_installation_where_nothing_changed_does_and_finds_nothing(site):
    again = install(parse_url(site.url))
    assert (again.created, again.dropped, again.rows, again.found) == (0, 0, 0, 0)
    assert site.fetch("SELECT * FROM {p}missed") == []


def test_profile_that_syncs_nothing_drops_no_trigger(site, tmp_path):
    """A configuration that reads back empty."""
    before = list_triggers(site)
    empty = tmp_path / "empty.toml"
    empty.write_text(
        'title = "nothing"\nextends = "generic"\n[[table]]\ntables = ["*"]\nsync = false\nwhy = "mistaken"\n'
    )
    with pytest.raises(ConfigError, match="syncs no table"):
        install(parse_url(site.url), str(empty))
    assert list_triggers(site) == before != []
    site.family("UPDATE parent SET note = 'still captured' WHERE uuid = 'before'")
    assert site.publish() == 1


def test_catalogue_that_reads_back_empty_drops_no_trigger(site, server, new_database):
    """The account looks into another schema, or may see no table."""
    before = list_triggers(site)
    url = blind(site, server)
    with pytest.raises(ConfigError):
        install(parse_url(url))
    assert list_triggers(site) == before != []


def blind(site, server):
    """Return the site's URL for an account that sees none of the application's tables."""
    name = f"blind_{site.url.rpartition('/')[2]}"
    if server.dialect == "postgresql":
        run_script(site.url, f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD 'x'")
        run_script(site.url, f"ALTER ROLE {name} SET search_path = nowhere")
    else:
        run_script(site.url, f"CREATE USER {name} IDENTIFIED BY 'x'")
        for table in list_ours(site.url):
            run_script(site.url, f"GRANT ALL ON {table} TO {name}")
    scheme, _, rest = site.url.partition("://")
    return f"{scheme}://{name}:x@{rest.rpartition('@')[2]}"


def test_account_that_sees_some_of_the_tables_drops_no_trigger(new_site):
    """MySQL and MariaDB list only the tables that an account has a right on; the others look dropped."""
    site = new_site("mariadb", "family")
    before = list_triggers(site)
    rights = [f"ALL ON {table}" for table in ["word", *list_ours(site.url)]]
    with new_account(site.url, *rights) as (url, account):
        with closing(open_store(url)) as store:
            assert "parent" in find_drift(store)
            assert "word" not in find_drift(store)
        with pytest.raises(ConfigError, match="may not"):
            install(parse_url(url))
        site.run(f"GRANT SUPER ON *.* TO {account}")  # may give triggers our account
        with pytest.raises(ConfigError, match="may not"):
            install(parse_url(url))
    assert list_triggers(site) == before != []
    site.family("UPDATE parent SET note = 'still captured'")
    assert describe_drift(site.store) == ""


def list_ours(url):
    """Return the names of our tables on MariaDB."""
    rows = fetch(
        url,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() "
        "AND left(table_name, 14) = 'changecapture_' AND table_type = 'BASE TABLE'",
    )
    return [table for (table,) in rows]


def list_triggers(site):
    if site.url.startswith("postgresql"):
        return fetch(site.url, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1")
    return fetch(
        site.url,
        "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() ORDER BY 1",
    )


def drop_triggers(site, table):
    if site.url.startswith("postgresql"):
        for (name,) in fetch(
            site.url,
            f"SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid = '{table}'::regclass",
        ):
            run_script(site.url, f'DROP TRIGGER "{name}" ON {table}')
        return
    for (name,) in fetch(
        site.url,
        "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() "
        f"AND event_object_table = '{table}' AND left(trigger_name, 20) <> 'changecapture_before'",
    ):
        run_script(site.url, f"DROP TRIGGER `{name}`")


SWAPS = 3
PROFILE = """
title = "one of two"
extends = "generic"
[[column]]
columns = ["parent.boss"]
travels = {travels}
why = "so that triggers differ"
"""


def test_writes_while_an_installation_swaps_triggers_are_captured_once(site, tmp_path):
    """Eight sessions write while the triggers of their table are replaced, again and again."""
    profiles = []
    for travels in ("true", "false"):
        profiles.append(tmp_path / f"{travels}.toml")
        profiles[-1].write_text(PROFILE.format(travels=travels))
    site.family.add_parent(SHARED)
    committed, stop = {}, Event()

    def write():
        committed.update(write_together(site.url, 60, 20261127, 0.02, stop=stop))

    def swap():
        try:
            for number in range(SWAPS):
                assert install(parse_url(site.url), str(profiles[number % 2 - 1])).created
        finally:
            stop.set()

    Patience().together(write, swap)
    site.close()
    site.publish()
    columns = site.quote("columns")
    entries = site.fetch(
        f"SELECT row_key, {columns} FROM {{p}}changelog WHERE row_key <> 'before' ORDER BY position"
    )
    assert find_faults(committed, entries) == []
    assert site.fetch("SELECT * FROM {p}missed WHERE operation <> 'A'") == []
    assert len(committed) > 20
