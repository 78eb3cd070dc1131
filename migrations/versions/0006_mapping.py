"""Mappings: the installed one, and which common rows hang on which record."""

from migrations.frozen import run_frozen

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the tables of the mapping."""
    run_frozen(revision, "up")


def downgrade() -> None:
    """Drop them."""
    run_frozen(revision, "down")
