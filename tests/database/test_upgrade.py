"""From each earlier revision of the fixed objects to this program's, with changes waiting: all goes on."""

import pytest
from alembic import command

from changecapture.config import parse_url
from changecapture.errors import ConfigError, DriftError
from changecapture.install import alembic_config, find_revision, install
from changecapture.revision import find_head, read_revisions
from changecapture.store import open_store
from relay.connection import DatabaseExchange
from tests.support.databases import run_script
from tests.support.sites import assert_in_step, exchange


@pytest.fixture(params=["postgresql", "mariadb"])
def pair(request, new_site):
    """Two sites that have exchanged; one has a captured change and a parked row."""
    here, there = (new_site(request.param, "family") for _ in range(2))
    here.family.add_parent("anna", "Anna")
    exchange(here, there)
    here.family.add_parent("taken", "Eve")
    there.family.add_parent("also", "Eve")
    exchange(here, there)
    assert here.fetch("SELECT row_key FROM {p}parked") == [("also",)]
    here.family.note("parent", "anna", "captured before the upgrade")
    return here, there


def step_down(url, revision):
    """Make the fixed objects those of an earlier revision: what later ones brought is gone."""
    command.downgrade(alembic_config(parse_url(url), "downgrade"), revision)


@pytest.mark.parametrize("revision", read_revisions()[:-1])
def test_changes_and_parked_rows_that_wait_survive_an_upgrade(pair, revision):
    here, there = pair
    here.close()
    step_down(here.url, revision)
    install(parse_url(here.url))
    assert here.fetch("SELECT row_key FROM {p}parked") == [("also",)]
    here.family("DELETE FROM parent WHERE uuid = 'taken'")
    exchange(here, there)
    assert_in_step(here, there)
    assert there.family.shown("parent") == {"anna": "captured before the upgrade", "also": None}


@pytest.mark.parametrize("revision", read_revisions()[:-1])
def test_older_revision_is_refused_by_relay_and_sync_with_what_mends_it(home, revision):
    home.close()
    step_down(home.url, revision)
    for opening in (lambda: open_store(home.url), DatabaseExchange(parse_url(home.url)).open):
        with pytest.raises(
            DriftError, match=rf"of revision {revision}, .* {find_head()} .run: changecapture inst"
        ):
            opening()
    install(parse_url(home.url))
    assert find_revision(home.store) == find_head()


def test_newer_revision_is_refused_with_the_advice_to_take_a_newer_program(home):
    version = home.store.dialect.VERSION_TABLE
    run_script(home.url, f"UPDATE {home.prefix}{version} SET version_num = '9999'")
    home.close()
    with pytest.raises(ConfigError, match=r"revision 9999.*a newer one"):
        open_store(home.url)
    run_script(home.url, f"UPDATE {home.prefix}{version} SET version_num = '{find_head()}'")
