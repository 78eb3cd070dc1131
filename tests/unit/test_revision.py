"""The revision that this program needs is the one that Alembic would install."""

from alembic.script import ScriptDirectory

from changecapture.config import parse_url
from changecapture.install import alembic_config
from changecapture.revision import find_head, read_revisions


def test_revisions_are_those_of_alembic_in_their_order():
    scripts = ScriptDirectory.from_config(alembic_config(parse_url("mysql://a@b/c"), "current"))
    assert read_revisions() == tuple(s.revision for s in reversed(list(scripts.walk_revisions())))
    assert find_head() == scripts.get_current_head()
