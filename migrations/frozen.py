"""Reads a revision's frozen SQL and runs it; knows nothing of today's code or of ``triggers/``."""

import re
from pathlib import Path

from alembic import context, op

HERE = Path(__file__).parent


def read_frozen(revision: str, dialect: str, direction: str) -> list[str]:
    """Return the statements of a revision for ``postgresql`` or ``mysql``, ``up`` or ``down``."""
    text = (HERE / "sql" / revision / f"{dialect}.{direction}.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- statement: \w+$", text, flags=re.MULTILINE)[1:]
    return [re.sub(r"\A(\s*--[^\n]*\n)+", "", part).strip() for part in parts]


def run_frozen(revision: str, direction: str) -> None:
    """Run a revision's statements, one call each; ``:`` and ``%`` in them mean nothing to anyone."""
    for statement in read_frozen(revision, dialect_name(), direction):
        run(statement)


def run(statement: str) -> None:
    """Run one statement, or print it in offline mode."""
    if context.is_offline_mode():
        printed = context.get_context().impl
        printed.static_output(statement + printed.command_terminator)
    else:
        connection = op.get_bind().execution_options(no_parameters=True)
        connection.exec_driver_sql(statement)


def dialect_name() -> str:
    """Return ``postgresql`` or ``mysql`` (MariaDB too)."""
    name = context.get_context().dialect.name
    return "mysql" if name == "mariadb" else name
