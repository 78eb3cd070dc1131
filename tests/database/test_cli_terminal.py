"""On a terminal the commands draw, in a pipe they do not."""

import re
import sys

import pytest

from tests.support.applications import add_camps, create_camps
from tests.support.commands import run_command, run_on_terminal, run_program

PROGRAM = (sys.executable, "-m", "changecapture")
ESCAPE = "\x1b"


@pytest.fixture
def camps(postgres, new_database):
    url = create_camps(new_database(postgres))
    add_camps(url, 3)
    return url


def test_plan_draws_a_table_on_a_terminal(camps):
    _, shown = run_on_terminal(*PROGRAM, "plan", camps, "--profile", "generic", stream="stdout")
    assert "\u2502 camp" in shown
    assert "profile generic: 2 tables synced, 1 left out" in shown


def test_plan_in_a_pipe_has_no_escapes_and_no_frame(camps):
    plain = run_program(*PROGRAM, "plan", camps, "--profile", "generic").out
    assert ESCAPE not in plain
    assert "\u2502" not in plain


def test_install_shows_its_progress_on_a_terminal_and_its_result_in_a_pipe(camps):
    done, shown = run_on_terminal(*PROGRAM, "install", camps, "--profile", "generic", stream="stderr")
    assert "tables installed" in shown
    assert "2/2" in shown
    assert done.status == 0
    assert done.out.splitlines()[0] == "profile generic: 2 tables synced"
    assert ESCAPE not in done.out


def test_install_in_a_pipe_shows_no_progress(camps):
    assert run_program(*PROGRAM, "install", camps, "--profile", "generic").err == ""


def test_error_on_a_terminal_stands_on_a_line_of_its_own(camps):
    done, shown = run_on_terminal(*PROGRAM, "install", camps, stream="stderr")
    assert done.status == 2
    lines = [line for line in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown).splitlines() if line]
    assert lines[-1].startswith("changecapture: error: no profile recognises")


def test_sync_shows_what_arrives_on_a_terminal(camps, postgres, new_database):
    other = create_camps(new_database(postgres))
    for url in (camps, other):
        run_command("install", url, "--profile", "generic")
    done, shown = run_on_terminal(*PROGRAM, "sync", camps, other, stream="stderr")
    assert "3/?" in shown
    assert done.out.splitlines()[-1] == "equal"
