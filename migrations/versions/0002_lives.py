"""The lives of a site, what its peers' clocks say, and compaction."""

from migrations.frozen import run_frozen

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Create the tables, and the index that compaction asks."""
    run_frozen(revision, "up")


def downgrade() -> None:
    """Drop them."""
    run_frozen(revision, "down")
