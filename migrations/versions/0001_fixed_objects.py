"""The fixed objects: site, captured, changelog, row_version and what belongs to them."""

from alembic import context, op

from migrations.frozen import dialect_name, run, run_frozen

revision = "0001"
down_revision = None

OBJECTS = {
    "mysql": (
        "SELECT CONCAT('DROP TRIGGER `', REPLACE(trigger_name, '`', '``'), '`') "
        "FROM information_schema.triggers "
        "WHERE trigger_schema = DATABASE() AND trigger_name LIKE 'changecapture\\_%'",
        "SELECT CONCAT('DROP PROCEDURE `', REPLACE(routine_name, '`', '``'), '`') "
        "FROM information_schema.routines "
        "WHERE routine_schema = DATABASE() AND routine_type = 'PROCEDURE' "
        "AND routine_name LIKE 'changecapture\\_%'",
        "SELECT CONCAT('DROP VIEW `', REPLACE(table_name, '`', '``'), '`') "
        "FROM information_schema.views "
        "WHERE table_schema = DATABASE() AND table_name LIKE 'changecapture\\_%'",
        "SELECT DISTINCT CONCAT('DROP INDEX `', REPLACE(index_name, '`', '``'), '` ON `', "
        "REPLACE(table_name, '`', '``'), '`') "
        "FROM information_schema.statistics WHERE table_schema = DATABASE() "
        "AND index_name LIKE 'changecapture\\_%' AND table_name NOT LIKE 'changecapture\\_%'",
    ),
    "postgresql": (
        "SELECT format('DROP FUNCTION IF EXISTS %s CASCADE', oid::regprocedure) FROM pg_proc "
        "WHERE pronamespace = 'changecapture'::regnamespace",
        "SELECT format('DROP INDEX %I.%I', schemaname, indexname) FROM pg_indexes "
        "WHERE schemaname = current_schema() AND indexname LIKE 'changecapture\\_%' "
        "AND tablename NOT LIKE 'changecapture\\_%'",
    ),
}
"""Per-table objects in the application's schema, found by their prefix."""


def upgrade() -> None:
    """Create the fixed objects."""
    run_frozen(revision, "up")


def downgrade() -> None:
    """Drop every object of ours, the per-table ones too."""
    if not context.is_offline_mode():
        connection = op.get_bind().execution_options(no_parameters=True)
        for query in OBJECTS[dialect_name()]:
            for (statement,) in connection.exec_driver_sql(query).fetchall():
                run(statement)
    run_frozen(revision, "down")
