"""A mark that a dump restores last, so that nobody takes half a restored database for the whole."""

from migrations.frozen import run_frozen

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Create the view that is the mark, on MySQL."""
    run_frozen(revision, "up")


def downgrade() -> None:
    """Drop it."""
    run_frozen(revision, "down")
