"""The example of the documentation (docs/any-application.md), as it is printed there."""

import os
import subprocess
import sysconfig
from pathlib import Path

from tests.conftest import NewDatabase
from tests.support.databases import DatabaseServer, fetch, run_script

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "example"


def run_example(camp: str, city: str, state: Path) -> None:
    """Run the commands of the page in a shell."""
    path = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
    environ = {"PATH": path, "CAMP_URL": camp, "CITY_URL": city, "CHANGECAPTURE_STATE": str(state)}
    done = subprocess.run(
        ["sh", "-e", EXAMPLE / "sync.sh"], env={**os.environ, **environ}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_application_of_one_table_is_in_step_after_ten_lines(
    postgres: DatabaseServer, mariadb: DatabaseServer, new_database: NewDatabase, tmp_path: Path
) -> None:
    camp, city = new_database(postgres), new_database(mariadb)
    lines = [
        *(EXAMPLE / "schema.sql").read_text().splitlines(),
        *(EXAMPLE / "sync.sh").read_text().splitlines(),
    ]
    assert len(lines) <= 10
    for url in (camp, city):
        run_script(url, (EXAMPLE / "schema.sql").read_text())
    run_script(camp, "INSERT INTO note VALUES ('n-1', 'Amina', 'water is low')")
    run_script(city, "INSERT INTO note VALUES ('n-2', 'Omar', 'truck at noon')")
    run_example(camp, city, tmp_path)
    run_script(camp, "UPDATE note SET text = 'water has come' WHERE uuid = 'n-1'")
    run_script(city, "UPDATE note SET author = 'Omar Saleh' WHERE uuid = 'n-2'")
    run_example(camp, city, tmp_path)
    expected = [("n-1", "Amina", "water has come"), ("n-2", "Omar Saleh", "truck at noon")]
    for url in (camp, city):
        assert [tuple(row) for row in fetch(url, "SELECT * FROM note ORDER BY uuid")] == expected
