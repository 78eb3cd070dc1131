"""Conflicts are found by their row."""

from migrations.frozen import run_frozen

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Create the index."""
    run_frozen(revision, "up")


def downgrade() -> None:
    """Drop it."""
    run_frozen(revision, "down")
