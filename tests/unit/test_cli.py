"""The command line without a database: help, exit statuses, errors, and what is imported for them."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import click
import pytest

from changecapture import packages
from changecapture.cli import commands
from changecapture.cli.exits import MEANINGS
from changecapture.cli.output import count, describe_age, plain, print_table, say
from changecapture.cli.sync import report
from changecapture.errors import RetryLater
from changecapture.status import Status
from relay.cli import main as relay_commands
from tests.support.commands import ROOT, run_command, run_program

COMMANDS = (
    *("plan", "install", "uninstall", "status", "sync", "conflicts", "parked", "doctor", "reconcile"),
    *("compact", "site", "clock", "export", "import", "log", "history", "verify", "completion", "mapping"),
    "bundle",
)
SLOW = ("alembic", "sqlalchemy", "twisted", "zeroconf", "psycopg", "pymysql", "rich", "cryptography")


@pytest.fixture
def broken():
    """A command with a fault of ours in it."""

    @click.command("broken")
    def command():
        raise KeyError("no such thing")

    commands.add_command(command)
    yield
    del commands.commands["broken"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_has_an_example(command):
    shown = run_command(command, "--help")
    assert (shown.status, shown.err) == (0, "")
    assert f"  Example:\n    changecapture {command} " in shown.out


def list_commands(group, called=""):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from list_commands(command, f"{called}{name} ")
        else:
            yield f"{called}{name}", command


@pytest.mark.parametrize(
    "command", [("parked", "show"), ("parked", "join"), ("parked", "discard"), ("history",)]
)
def test_url_stands_first_or_last_and_means_the_same(command, monkeypatch):
    monkeypatch.delenv("CHANGECAPTURE_URL", raising=False)
    url, row = "mysql://a:b@127.0.0.1:1/c", ("pr_person", "urn:uuid:1")
    first, last = run_command(*command, url, *row), run_command(*command, *row, url)
    assert (first.status, first.err) == (last.status, last.err) and "127.0.0.1:1" in first.err
    lacking = run_command(*command, *row)
    assert lacking.status == 2 and "missing: the database's URL" in lacking.err
    assert "unexpected: more" in run_command(*command, url, *row, "more").err


@pytest.mark.parametrize("program", [commands, relay_commands], ids=str)
def test_list_of_commands_says_in_one_whole_line_what_each_does(program):
    shown = click.Context(program, terminal_width=80).get_help()
    assert len(program.commands) > 10 and "..." not in shown.partition("Commands:")[2]


def test_help_below_a_group_has_an_example_too():
    assert [name for name, c in list_commands(commands) if "Example:" not in (c.epilog or "")] == []


def test_help_says_where_a_url_may_come_from_and_what_the_exit_status_means():
    shown = run_command("--help").out
    assert "env:NAME" in shown
    assert "CHANGECAPTURE_URL" in shown
    assert all(f"{status}" in shown and meaning[:30] in shown for status, meaning in MEANINGS.items())


def test_help_imports_nothing_that_is_slow():
    program = (
        "import sys; from changecapture.cli import main; main(['install', '--help']); "
        f"print(sorted(set({SLOW!r}) & set(sys.modules)), file=sys.stderr)"
    )
    assert run_program(sys.executable, "-c", program).err == "[]\n"


def test_plan_needs_no_alembic():
    program = (
        "import sys; from changecapture.cli import main; main(['plan', 'mysql://127.0.0.1:1/d']); "
        "print('alembic' in sys.modules, 'psycopg' in sys.modules)"
    )
    assert run_program(sys.executable, "-c", program).out == "False False\n"


def test_module_is_the_command():
    shown = run_program(sys.executable, "-m", "changecapture", "--version")
    assert (shown.status, shown.out) == (0, "changecapture, version 0.1.0\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nosuch",), "No such command 'nosuch'"),
        (("plan", "--nosuch"), "--nosuch"),
        (("plan", "a", "b"), "unexpected extra argument"),
        (("sync",), "Missing argument 'URL_A'"),
    ],
)
def test_wrong_use_ends_with_two_and_says_how_to_get_help(arguments, words):
    refused = run_command(*arguments)
    assert refused.status == 2
    assert words in refused.err
    assert "--help" in refused.err


def test_error_of_ours_is_one_line_and_ends_with_two():
    refused = run_command("status", "sqlite:///eden.db")
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.startswith(
        "changecapture: error: not a database URL: it begins with 'sqlite:' (write "
    )
    assert refused.err.count("\n") == 1


def test_unexpected_error_is_one_line_that_asks_to_report_it(broken):
    failed = run_command("broken")
    assert failed.status == 2
    assert failed.err.startswith(
        "changecapture: unexpected error: KeyError: 'no such thing' (please report it"
    )
    assert failed.err.count("\n") == 1


def test_unexpected_error_keeps_its_traceback_with_debug(broken):
    failed = run_command("--debug", "broken")
    assert failed.status == 2
    assert "Traceback (most recent call last)" in failed.err
    assert failed.err.endswith("KeyError: 'no such thing'\n")


def test_reader_that_leaves_early_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-m", "changecapture", "--help"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert "unexpected" not in err


@pytest.mark.parametrize("package", packages.PACKAGES)
def test_package_of_somebody_else_is_refused(tmp_path, package):
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("")
    shown = run_elsewhere(tmp_path)
    assert shown.status == 2
    assert shown.err.startswith(
        f"changecapture: error: the package {package} in {tmp_path / package} is not the one of changecapture"
    )
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize("package", packages.PACKAGES)
def test_missing_package_is_refused(tmp_path, package):
    copy_packages(tmp_path)
    shutil.rmtree(tmp_path / package)
    shown = run_elsewhere(tmp_path, isolated=True)
    assert shown.status == 2
    assert f"the package {package} is not installed beside changecapture" in shown.err


@pytest.mark.parametrize("package", packages.PACKAGES)
def test_overwritten_package_is_refused(tmp_path, package):
    copy_packages(tmp_path)
    shutil.rmtree(tmp_path / package)
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text("")
    shown = run_elsewhere(tmp_path, isolated=True)
    assert shown.status == 2
    assert f"the package {package} in {tmp_path / package} is not the one of changecapture" in shown.err


def test_four_packages_beside_each_other_run(tmp_path):
    copy_packages(tmp_path)
    assert run_elsewhere(tmp_path, isolated=True).status == 0


@pytest.mark.parametrize(
    ("microseconds", "words"),
    [
        (-5, "0 seconds"),
        (999_999, "0 seconds"),
        (1_000_000, "1 second"),
        (59_999_999, "59 seconds"),
        (60_000_000, "1 minute"),
        (7_199_000_000, "1 hour"),
        (172_800_000_000, "2 days"),
    ],
)
def test_age_is_told_by_its_largest_unit(microseconds, words):
    assert describe_age(microseconds) == words


UNFINISHED = "not equal: postgresql://site/city is not installed to the end (run: changecapture install URL)"
PARKED = "2 rows parked in postgresql://site/eden (see: changecapture parked list URL)"
SITE = Status(
    database="postgresql://site/eden",
    site="a",
    epoch=1,
    profile="eden",
    installed_at=0,
    now=0,
    tables=1,
    to_backfill=0,
    captured=0,
    oldest_captured_at=None,
    missed=(),
    entries=3,
    vector={("a", 1, "pr"): 3},
    parked={"unique": 2},
    waiting=0,
    conflicts=1,
    deleted_rows=0,
    peers=(),
    instances=(),
    exchanges=(),
)


@pytest.mark.parametrize(
    ("other", "status", "last"),
    [
        (SITE, 1, f"in step, but: {PARKED}; {PARKED.replace('eden', 'city')}"),
        (replace(SITE, parked={}, conflicts=0), 1, f"in step, but: {PARKED}"),
        (replace(SITE, vector={}), 1, "not equal: each holds changes that the other has not"),
        (
            replace(SITE, vector={("a", 1, "pr"): 2}),
            1,
            "not equal: each holds changes that the other has not",
        ),
        (replace(SITE, captured=2), 1, "not equal: 2 changes came meanwhile"),
        (replace(SITE, tables=0), 1, UNFINISHED),
        (replace(SITE, tables=2, to_backfill=1), 1, UNFINISHED),
    ],
)
def test_sites_are_in_step_when_they_hold_the_same_and_nothing_came_meanwhile(capsys, other, status, last):
    assert report(5, SITE, replace(other, database="postgresql://site/city")) == status
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "5 entries travelled"
    assert lines[1] == "postgresql://site/eden: 3 entries, 2 rows parked, 1 conflict"
    assert lines[-1] == last


def test_count_agrees_with_its_noun():
    assert [count(1, "entry"), count(2, "entry"), count(0, "row")] == ["1 entry", "2 entries", "0 rows"]


def copy_packages(target: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("changecapture", *packages.PACKAGES):
        shutil.copytree(ROOT / name, target / name, ignore=ignored)


def run_elsewhere(directory: Path, isolated: bool = False):
    """Run the program with a directory first on the path; isolated: our checkout is not on it at all."""
    program = f"import sys; sys.path.insert(0, {str(directory)!r})\n"
    if isolated:
        program += (
            "sys.meta_path[:] = [f for f in sys.meta_path if '__editable__' not in repr(f)]\n"
            f"sys.path[:] = [p for p in sys.path if p not in ('', {str(ROOT)!r})]\n"
        )
    program += "from changecapture.cli import main; sys.exit(main(['--version']))"
    return run_program(sys.executable, "-c", program, cwd=directory)


def test_help_lists_the_commands():
    listed = re.findall(r"(?m)^  (\w+)  ", run_command("--help").out.partition("Commands:")[2])
    assert listed == sorted(COMMANDS)


@pytest.fixture
def interrupted():
    """A command that Ctrl-C stops within a statement: its connection takes no ROLLBACK either."""

    @click.command("interrupted")
    def command():
        try:
            raise KeyboardInterrupt
        finally:
            raise RetryLater("another command is already in progress")

    commands.add_command(command)
    yield
    del commands.commands["interrupted"]


def test_error_on_the_way_out_of_an_interrupt_is_reported_as_the_interrupt(interrupted):
    result = run_command("interrupted")
    assert result.status == 130
    assert "interrupted; running the same command again goes on" in result.err


def test_exit_statuses_are_named_in_one_place_only():
    folder = ROOT / "changecapture" / "cli"
    for path in folder.glob("*.py"):
        if path.name != "exits.py":
            assert not re.search(r"(?m)^[A-Z_]+ = (1|2|130)$|sys\.exit|return [12]$", path.read_text()), path


def test_every_command_that_reports_does_so_as_json_too():
    silent = [name for name, c in list_commands(commands) if not any("--json" in p.opts for p in c.params)]
    assert silent == ["completion"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_what_the_shell_reads(shell):
    done = run_command("completion", shell)
    assert done.status == 0
    assert "_CHANGECAPTURE_COMPLETE" in done.out and "_CHANGECAPTURE_RELAY_COMPLETE" in done.out


def test_shell_is_answered_with_the_commands_that_fit():
    environ = {
        **os.environ,
        "_CHANGECAPTURE_COMPLETE": "bash_complete",
        "COMP_WORDS": "changecapture ex",
        "COMP_CWORD": "1",
    }
    program = "import sys; from changecapture.cli import main; sys.exit(main())"
    assert run_program(sys.executable, "-c", program, environ=environ).out == "plain,export\n"


@pytest.mark.parametrize(
    ("text", "shown"), [("\x1b]0;x\x07", "\\x1b]0;x\\x07"), ("a\u202eb\x9b", "a\\u202eb\\x9b")]
)
def test_what_comes_from_elsewhere_is_shown_by_a_terminal_and_not_obeyed(capsys, text, shown):
    print_table("t", ("h",), [(text,)])
    say(text)
    assert capsys.readouterr().out.splitlines() == ["h", shown, shown]


def test_names_keep_the_signs_that_join_their_letters():
    assert plain("\u0646\u06cc\u0645\u200c\u0641") == "\u0646\u06cc\u0645\u200c\u0641"
