"""Keys that differ by spaces at their end are other keys on MySQL too."""

from migrations.frozen import run_frozen

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Give what holds keys a collation that does not pad."""
    run_frozen(revision, "up")


def downgrade() -> None:
    """Leave it: keys that are two now would clash."""
    run_frozen(revision, "down")
