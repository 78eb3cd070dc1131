"""Locks that somebody else holds for a moment: a command outlasts them, an installation waits."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from changecapture.config import parse_url
from changecapture.install import install
from tests.support.databases import fetch
from tests.support.family import Family
from tests.support.patience import Patience
from tests.support.sites import assert_in_step, exchange

STUMBLES = {
    "postgresql": "SELECT count(*) FROM pg_locks WHERE NOT granted",
    "mysql": (
        "SELECT CAST(variable_value AS signed) FROM information_schema.global_status "
        "WHERE variable_name = 'COM_ROLLBACK'"
    ),
}
"""What grows when an apply transaction meets a lock."""
WAITING = "SELECT count(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"


def while_held(url, hold, met, job):
    """Do a job in a thread while a transaction holds a lock, until the lock was met; return its result."""
    with closing(Family(url)) as holder, ThreadPoolExecutor(1) as threads:
        holder("BEGIN")
        holder(hold)
        before = fetch(url, met)
        done = threads.submit(job)
        try:
            # InnoDB shows a picture of its locks, made anew when nobody has looked for 0.1 s.
            Patience().wait(lambda: done.done() or fetch(url, met) > before, "the lock is met", look_s=0.15)
        finally:
            holder("ROLLBACK")
        return done.result()


def test_exchange_outlasts_a_lock_on_what_it_writes(families):
    here, there = families
    here.family.add_parent("p")
    exchange(here, there)
    here.family.note("parent", "p", "new")
    hold = f"SELECT * FROM {there.prefix}peer FOR UPDATE"
    assert while_held(there.url, hold, STUMBLES[there.dialect], lambda: exchange(here, there)) == 1
    assert there.family.shown("parent") == {"p": "new"}
    assert_in_step(here, there)


def test_installation_waits_for_what_innodb_holds_for_a_moment(mariadb, new_database):
    """Its statistics thread locks these tables, which ALTER TABLE writes."""
    url = new_database(mariadb, "vesuvius")
    hold = "SELECT * FROM mysql.innodb_table_stats FOR UPDATE"
    found = while_held(url, hold, WAITING, lambda: install(parse_url(url), "vesuvius"))
    assert found.created
