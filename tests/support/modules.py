"""An application of two modules, each with one table: what is let through by module is told apart by them."""

from pathlib import Path

PROFILE = str(Path(__file__).with_suffix(".toml"))


def script(kind: str) -> str:
    """Return what creates the tables, on "postgresql" and "mariadb" alike."""
    columns = "(code varchar(20) PRIMARY KEY, name varchar(40))"
    return f"CREATE TABLE cr_camp {columns}; CREATE TABLE mpr_missing {columns}"
