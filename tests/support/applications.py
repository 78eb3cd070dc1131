"""Small applications to install on, where a whole Eden would only take time."""

from tests.support.databases import fetch, run_script

CAMPS = """
CREATE TABLE camp (name varchar(60) NOT NULL PRIMARY KEY, place varchar(60));
CREATE TABLE tent (
    uuid varchar(64) NOT NULL PRIMARY KEY,
    camp varchar(60),
    beds integer,
    FOREIGN KEY (camp) REFERENCES camp (name)
);
CREATE TABLE visit (stamp varchar(20), remark varchar(60));
"""
"""Two tables that the profile ``generic`` syncs, and one whose rows have no name."""


def create_camps(url: str) -> str:
    """Create the tables of CAMPS; return the URL."""
    run_script(url, CAMPS)
    return url


def add_camps(url: str, count: int, name: str = "camp") -> None:
    """Write camps, as many as asked for."""
    rows = ", ".join(f"('{name} {number}', 'valley')" for number in range(count))
    run_script(url, f"INSERT INTO camp (name, place) VALUES {rows}")


def read_camps(url: str) -> list[tuple[object, ...]]:
    """Return all camps in order."""
    return fetch(url, "SELECT name, place FROM camp ORDER BY name")
