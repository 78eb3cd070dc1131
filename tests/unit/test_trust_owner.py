"""A key is of one site: a database that has become another one needs another key."""

import pytest

from changecapture.errors import ConfigError
from changecapture.store.records import Site
from relay.trust.owner import FILE, check_owner

HOME, COPY = "a" * 32, "b" * 32
HELD = {(HOME, 1, "pr"): 3}


def site(origin: str, installed_at: int = 1) -> Site:
    return Site(origin, 1, 3, 0, "generic", installed_at)


def test_the_site_that_a_key_is_of_goes_on_also_when_its_tables_changed(tmp_path):
    for installed_at in (1, 1, 2):
        check_owner(tmp_path, site(HOME, installed_at), HELD)


@pytest.mark.parametrize("installed_at, held", [(1, {}), (2, HELD)])
def test_a_site_that_was_renewed_is_refused_with_what_to_do(tmp_path, installed_at, held):
    check_owner(tmp_path, site(HOME), HELD)
    for _ in range(2):
        with pytest.raises(ConfigError, match=f"is of site {HOME}, .*rename .*changecapture-relay pair"):
            check_owner(tmp_path, site(COPY, installed_at), held)


def test_a_renewed_site_goes_on_with_a_key_of_its_own(tmp_path):
    check_owner(tmp_path, site(HOME), HELD)
    (fresh := tmp_path / "fresh").mkdir()
    check_owner(fresh, site(COPY), HELD)
    check_owner(fresh, site(COPY), HELD)


def test_a_database_that_was_installed_anew_goes_on_with_the_key(tmp_path):
    check_owner(tmp_path, site(HOME), HELD)
    check_owner(tmp_path, site(COPY, 2), {})
    check_owner(tmp_path, site(COPY, 2), HELD)


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'{"site": 1}'])
def test_a_damaged_file_is_written_anew(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    (tmp_path / FILE).chmod(0o600)
    check_owner(tmp_path, site(HOME), HELD)
    with pytest.raises(ConfigError):
        check_owner(tmp_path, site(COPY), HELD)
