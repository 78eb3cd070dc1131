"""In step: when each peer and this site last held the same, so that status can say it."""

from migrations.frozen import run_frozen

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the table; it fills as peers are met."""
    run_frozen(revision, "up")


def downgrade() -> None:
    """Drop it."""
    run_frozen(revision, "down")
