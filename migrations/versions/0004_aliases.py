"""Aliases: keys that are one row."""

from migrations.frozen import run_frozen

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the table of aliases."""
    run_frozen(revision, "up")


def downgrade() -> None:
    """Drop it."""
    run_frozen(revision, "down")
