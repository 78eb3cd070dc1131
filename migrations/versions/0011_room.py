"""Room for the next version of a row in the page of the last, on PostgreSQL."""

from migrations.frozen import run_frozen

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Leave room in pages that are filled from now on."""
    run_frozen(revision, "up")


def downgrade() -> None:
    """Fill them again."""
    run_frozen(revision, "down")
