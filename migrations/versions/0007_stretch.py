"""Stretches: by which a position is known to be of this log, and not of one that was put back since."""

from migrations.frozen import run_frozen

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the table; what stands in the log is one stretch."""
    run_frozen(revision, "up")


def downgrade() -> None:
    """Drop it."""
    run_frozen(revision, "down")
