"""A Vesuvius at work: what its pages write for a person, as separate statements."""

from typing import Any

from tests.support.databases import fetch, run_script

TABLES = (
    "person_uuid",
    "person_status",
    "person_details",
    "person_physical",
    "person_deceased",
    "person_notes",
    "contact",
    "incident",
    "hospital",
    "person_to_report",
    "phonetic_word",
    "image",
)

PHASE_2 = (
    "person_uuid",
    "person_status",
    "person_details",
    "person_physical",
    "person_deceased",
    "person_missing",
    "pgroup",
    "group_details",
    "camp_general",
    "camp_reg",
    "org_main",
)


class Vesuvius:
    """The application's connection; strict mode off, as it needs."""

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, *statements: str) -> None:
        """Run statements one by one: the application knows no transactions."""
        for statement in statements:
            run_script(self.url, f"SET sql_mode = ''; {statement}")

    def report(self, key: str, given: str, family: str, status: str = "mis", **details: Any) -> None:
        """Report a person."""
        names = ", ".join(["p_uuid", *details])
        values = ", ".join([f"'{key}'", *(f"'{value}'" for value in details.values())])
        self.run(
            "INSERT INTO person_uuid (p_uuid, full_name, family_name, given_name) "
            f"VALUES ('{key}', '{given} {family}', '{family}', '{given}')",
            "INSERT INTO person_status (p_uuid, opt_status, last_updated) "
            f"VALUES ('{key}', '{status}', now())",
            f"INSERT INTO person_details ({names}) VALUES ({values})",
        )

    def update(self, table: str, key: str, **columns: Any) -> None:
        """Change a row of a person."""
        changes = ", ".join(f"{name} = '{value}'" for name, value in columns.items())
        self.run(f"UPDATE {table} SET {changes} WHERE p_uuid = '{key}'")

    def delete(self, key: str) -> None:
        """Delete a person; the database takes what refers to it."""
        self.run(f"DELETE FROM person_uuid WHERE p_uuid = '{key}'")

    def search(self, key: str) -> tuple[Any, ...] | None:
        """Return what the search shows of a person: it joins the three tables."""
        rows = fetch(
            self.url,
            "SELECT u.given_name, u.family_name, u.full_name, s.opt_status, d.opt_gender, d.birth_date "
            "FROM person_uuid u INNER JOIN person_status s ON s.p_uuid = u.p_uuid "
            "INNER JOIN person_details d ON d.p_uuid = u.p_uuid WHERE u.p_uuid = %s",
            [key],
        )
        return rows[0] if rows else None
