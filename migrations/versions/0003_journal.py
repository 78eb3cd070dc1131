"""The journal of exchanges, and what peers say of themselves."""

from migrations.frozen import run_frozen

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Create the tables."""
    run_frozen(revision, "up")


def downgrade() -> None:
    """Drop them."""
    run_frozen(revision, "down")
