"""What an administrator has set for every session of the server is not meant for ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.support import family
from tests.support.databases import name_of, run_script
from tests.support.sites import assert_in_step, exchange

SETTINGS = {
    "mysql": [
        "sql_select_limit = 50",
        "sql_safe_updates = 1",
        "completion_type = 'CHAIN'",
        "foreign_key_checks = 0",
        "sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
    ],
    "postgresql": [
        "client_encoding = 'LATIN1'",
        "idle_session_timeout = 20000",
        "statement_timeout = 20000",
        "jit = on",
        "DateStyle = 'German'",
        "bytea_output = 'escape'",
    ],
}
"""Those that people set, of those that reach a session."""
KINDS = {"mysql": "mariadb", "postgresql": "postgresql"}
TIMEOUTS = "SELECT name FROM pg_settings WHERE setting = '20000'"


@contextmanager
def set_for_everybody(site) -> Iterator[None]:
    """Let sessions that begin now have the settings."""
    settings = SETTINGS[site.dialect]
    if site.dialect == "mysql":
        names = [setting.partition(" ")[0] for setting in settings]
        values = site.fetch("SELECT " + ", ".join(f"@@GLOBAL.{name}" for name in names))[0]
        off = "SET GLOBAL " + ", ".join(f"{n} = {v!r}" for n, v in zip(names, values, strict=True))
        on = "SET GLOBAL " + ", ".join(settings)
    else:
        database = f"ALTER DATABASE {name_of(site.url)}"
        on, off = "; ".join(f"{database} SET {setting}" for setting in settings), f"{database} RESET ALL"
    run_script(site.url, on)
    site.close()
    try:
        yield
    finally:
        site.close()
        run_script(site.url, off)


def test_rows_go_both_ways_whatever_is_set_for_everybody(server, new_tables):
    site, peer = (new_tables(kind, family.script(kind)) for kind in (KINDS[server.dialect], "postgresql"))
    for each in (site, peer):
        each.family("BEGIN")
        for number in range(60):
            each.family("INSERT INTO word (text, note) VALUES (%s, %s)", f"é{each.origin}{number}", "a\\b'c")
        each.family("COMMIT")
    with set_for_everybody(site):
        assert exchange(site, peer) == 120
    assert_in_step(site, peer)
    site.family("UPDATE word SET note = 'ü'")
    with set_for_everybody(site):
        assert exchange(site, peer) == 120
        if site.dialect == "postgresql":
            assert site.store.query(TIMEOUTS) == []
            assert site.store.query("SHOW jit") == [("off",)]
    assert_in_step(site, peer)
