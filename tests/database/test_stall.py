"""One statement that is long does not keep others waiting for our queue.

The bulk statement has captured rows and then stands, at a lock of the test, inside its statement: what it
holds of ours it holds now. With INSERT .. SELECT in the triggers that is MariaDB's AUTO-INC lock.
"""

import time
from contextlib import closing
from statistics import median
from threading import Thread

import pytest

from tests.support.family import Family
from tests.support.patience import Patience

GATE = 20261127
SINGLE = 20
LONGEST_S = 0.05
LOCKS = {
    "postgresql": ("SELECT pg_advisory_lock({gate})", "SELECT pg_advisory_unlock({gate})"),
    "mariadb": ("SELECT GET_LOCK('{gate}', 30)", "SELECT RELEASE_LOCK('{gate}')"),
}
BULK = {
    "postgresql": "UPDATE parent SET note = concat('x', CASE uuid WHEN 'z' "
    "THEN pg_advisory_lock({gate}) END)",
    "mariadb": "UPDATE parent SET note = IF(uuid = 'z', GET_LOCK('{gate}', 30), 'x')",
}
WAITING = {
    "postgresql": "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted",
    "mariadb": "SELECT 1 FROM information_schema.processlist WHERE state = 'User lock'",
}


@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_single_update_does_not_wait_for_a_bulk_update_of_another_captured_table(new_site, kind):
    site = new_site(kind, "family")
    for key in "abcz":
        site.family.add_parent(key)
    site.family("INSERT INTO word (text) VALUES ('w')")
    site.publish()
    take, release = (sql.format(gate=GATE) for sql in LOCKS[kind])
    with closing(Family(site.url)) as gate, closing(Family(site.url)) as bulk:
        gate.rows(take)
        running = Thread(target=bulk, args=(BULK[kind].format(gate=GATE),))
        running.start()
        try:
            Patience().wait(lambda: gate.rows(WAITING[kind]), "the bulk update to stand")
            took = [time_update(site.family, number) for number in range(SINGLE)]
            assert running.is_alive() and median(took) < LONGEST_S
        finally:
            gate.rows(release)
            running.join()
    assert site.publish() == len("abcz") + SINGLE


def time_update(application, number):
    before = time.monotonic()
    application("UPDATE word SET note = %s WHERE text = 'w'", str(number))
    return time.monotonic() - before
