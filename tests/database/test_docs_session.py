"""The session that the documentation shows (docs/session.md) is what the commands say today."""

import re

import pytest

from tests.conftest import NewDatabase
from tests.support.commands import run_command
from tests.support.databases import DatabaseServer
from tests.support.eden import Eden
from tests.support.golden import assert_golden

TABLES = ("pr_person", "pr_contact", "org_site", "s3_permission")
COMMANDS = (
    "doctor",
    "plan",
    "install",
    "install env:CITY_URL",
    "doctor",
    "status",
    "verify env:CAMP_URL env:CITY_URL",
    "sync env:CAMP_URL env:CITY_URL",
    "verify env:CAMP_URL env:CITY_URL",
)
VOLATILE = (
    (r"(postgresql|mysql)://\w+@[\d.]+:\d+/\w+", r"\1://dba@127.0.0.1/eden"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "0b9c1d2e-5f60-4718-92a3-b4c5d6e7f809"),
    (r"\b[0-9a-f]{32}\b", "4f1c2b7e90d84a6fb3a5c8e7d1029346"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "2026-11-27 08:30:00 UTC"),
    (r"\d+ (second|minute)s? ago", "1 second ago"),
    (r"\w+ may do everything", "dba may do everything"),
    (r" +$", ""),
)
"""What is another thing at each run."""


def record() -> str:
    """Run the commands as a DBA types them; return what stood on the screen, in lines."""
    shown = []
    for command in COMMANDS:
        done = run_command(*command.split())
        assert done.status in (0, 1) and not done.err, done
        shown += [f"$ changecapture {command}", *done.out.strip().splitlines(), ""]
    text = "\n".join(shown)
    for pattern, instead in VOLATILE:
        text = re.sub(pattern, instead, text, flags=re.M)
    return text


def test_session_of_the_documentation_is_what_the_commands_say(
    postgres: DatabaseServer,
    mariadb: DatabaseServer,
    new_database: NewDatabase,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    urls = {
        "CAMP_URL": new_database(postgres, "eden", TABLES),
        "CITY_URL": new_database(mariadb, "eden", TABLES),
    }
    eden = Eden(urls["CAMP_URL"])
    try:
        eden.add_person("Nadia", "Karimi")
    finally:
        eden.close()
    for name, url in {**urls, "CHANGECAPTURE_URL": urls["CAMP_URL"]}.items():
        monkeypatch.setenv(name, url)
    assert_golden("session.txt", record())
