"""A Vesuvius at work: what its pages write for a person, as separate statements."""

from datetime import datetime
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
    "location",
    "org_main",
    "contact",
    "identity_to_person",
    "person_to_pgroup",
    "resource_to_shelter",
)


DETAILS = (
    "birth_date",
    "opt_race",
    "opt_religion",
    "opt_gender",
    "years_old",
    "minAge",
    "maxAge",
    "last_seen",
    "last_clothing",
    "other_comments",
)
FORM = {
    "person_uuid": ("full_name", "family_name", "given_name", "incident_id", "hospital_uuid", "expiry_date"),
    "person_status": ("opt_status", "last_updated", "creation_time", "last_updated_db"),
    "person_details": DETAILS,
}
"""What the form of a person writes."""
NOW = datetime(2026, 11, 23, 10)


class Vesuvius:
    """The application's connection; strict mode off, as it needs."""

    def __init__(self, url: str) -> None:
        self.url = url

    def run(self, *statements: str) -> None:
        """Run statements one by one: the application knows no transactions."""
        for statement in statements:
            run_script(self.url, f"SET sql_mode = ''; {statement}")

    def seed(self) -> None:
        """Write what every installation begins with: four people and the incident of their first try."""
        people = [
            ("1", "Root", "/"),
            ("2", "Email", "System"),
            ("3", "Anonymous", "User"),
            ("4", "Test", "User"),
        ]
        self.run(
            "INSERT INTO incident (incident_id, name, shortname, type, `default`) "
            "VALUES (1, 'Test Exercise', 'test', 'TEST', 1)",
            *(
                "INSERT INTO person_uuid (p_uuid, full_name, family_name, given_name) "
                f"VALUES ('{key}', '{given} {family}', '{family}', '{given}')"
                for key, given, family in people
            ),
        )

    def report(self, key: str, given: str, family: str, status: str = "mis", **details: Any) -> None:
        """Report a person, as the page for it does: three statements, each with all columns."""
        columns = {**dict.fromkeys(DETAILS), **details}
        values = ", ".join("NULL" if value is None else f"'{value}'" for value in columns.values())
        self.run(
            "INSERT INTO person_uuid (p_uuid, full_name, family_name, given_name, incident_id, "
            "hospital_uuid, expiry_date) "
            f"VALUES ('{key}', '{given} {family}', '{family}', '{given}', NULL, NULL, NULL)",
            "INSERT INTO person_status (p_uuid, opt_status, last_updated, creation_time, last_updated_db) "
            f"VALUES ('{key}', '{status}', now(), now(), now())",
            f"INSERT INTO person_details (p_uuid, {', '.join(columns)}) VALUES ('{key}', {values})",
        )

    def save(self, key: str, **changes: Any) -> None:
        """Save the form of a person: every column of three tables is written, whichever was changed."""
        for table, names in FORM.items():
            quoted = ", ".join(names)
            (row,) = fetch(self.url, f"SELECT {quoted} FROM {table} WHERE p_uuid = %s", [key])
            columns = dict(zip(names, row, strict=True))
            columns |= {name: changes[name] for name in names if name in changes}
            if table == "person_status":
                columns |= {"last_updated": NOW, "last_updated_db": NOW}
            sets = ", ".join(f"{name} = {_literal(value)}" for name, value in columns.items())
            self.run(f"UPDATE {table} SET {sets} WHERE p_uuid = '{key}'")

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


def _literal(value: Any) -> str:
    return "NULL" if value is None else f"'{value}'"
