"""A site that returns after a year: the others have given up what was overtaken, and it has changes of then.

Its edits and deletes are older than what the others did since, and count as that; what nobody else has
touched is as it left it. So nothing of either side is lost, and no deletion is undone.
"""

import pytest

from changecapture.compact import DAY, KEEP, compact
from tests.support.sites import assert_in_step, exchange

OTHER = {"postgresql": "mariadb", "mysql": "postgresql"}


def write(site, text, note):
    if not site.family("UPDATE word SET note = %s WHERE text = %s", note, text):
        site.family("INSERT INTO word (text, note) VALUES (%s, %s)", text, note)
    site.publish()


def delete(site, text):
    site.family("DELETE FROM word WHERE text = %s", text)
    site.publish()


def pass_a_year(site):
    """Let what came until now be a year old, and the log be compacted as the relay does."""
    for _ in compact(site.store, KEEP):
        pass
    site.run(f"UPDATE {site.prefix}tide SET noted_at = noted_at - {365 * DAY}")
    return sum(step.removed for step in compact(site.store, KEEP))


@pytest.fixture
def others(home, new_site):
    return new_site(OTHER[home.dialect], "family"), new_site("postgresql", "family")


def test_site_that_returns_after_a_year_loses_nothing_and_undoes_no_deletion(home, others):
    near, far = others
    for text in ("deleted", "edited", "left", "wanted", "untouched"):
        write(home, text, "first")
    for other in others:
        exchange(home, other)
    write(home, "deleted", "of then")
    write(home, "edited", "of then")
    delete(home, "wanted")
    write(home, "new", "of then")
    home.family("UPDATE word SET note = 'never published' WHERE text = 'left'")
    delete(near, "deleted")
    for number in range(5):
        write(near, "edited", f"number {number}")
        write(far, "wanted", f"number {number}")
    exchange(near, far)
    assert pass_a_year(near) > 5 and pass_a_year(far) > 5
    write(near, "lately", "first")
    before = home.store.read_site()
    for other in others:
        exchange(home, other)
        exchange(near, far)
    kept = {"edited": "number 4", "left": "never published", "wanted": "number 4", "new": "of then"}
    for site in (home, near, far):
        assert dict(site.family.rows("SELECT * FROM word")) == {
            **kept,
            "untouched": "first",
            "lately": "first",
        }
        assert site.conflicts() >= {
            ("word", "deleted", "@alive", "false", "true"),
            ("word", "edited", "note", '"number 4"', '"of then"'),
            ("word", "wanted", "@alive", "true", "false"),
        }
    for other in others:
        assert_in_step(home, other, whole=False)
    after = home.store.read_site()
    assert (after.origin, after.epoch) == (before.origin, before.epoch) and after.last_number >= 10
