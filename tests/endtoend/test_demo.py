"""The demo as a person runs it: it ends by itself with equal sites, and leaves nothing when it is ended."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
BOUND_S = 120.0


@contextmanager
def demo() -> Iterator[subprocess.Popen[str]]:
    """Start it, apart from our terminal; its output can be read."""
    with subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: subprocess.Popen[str], part: str) -> str:
    """Read the output until it has these words; return what was read."""
    assert process.stdout is not None
    read = ""
    for line in process.stdout:
        read += line
        if part in line:
            return read
    pytest.fail(f"no {part!r} in:\n{read}")


def find_directory(output: str) -> Path:
    """Return the scratch directory that the demo has named."""
    found = re.search(r"\S+/cc-\S+", output)
    assert found, output
    return Path(found[0])


def find_users(directory: Path) -> list[str]:
    """Return the processes that have something of this directory on their command line."""
    return [
        f"{process.pid} {' '.join(process.info['cmdline'])}"
        for process in psutil.process_iter(["cmdline"])
        if str(directory) in " ".join(process.info["cmdline"] or ())
    ]


def test_both_sites_are_equal_in_the_end_and_nothing_is_left():
    with demo() as process:
        output, _ = process.communicate(timeout=BOUND_S)
    assert process.returncode == 0, output
    assert re.search(r"^equal: \d{3} rows", output, re.MULTILINE), output
    assert "its search shows Samira Nasser: found" in output
    assert "\x1b" not in output, "colours where there is no terminal"
    directory = find_directory(output)
    assert not directory.exists() and not find_users(directory)


@pytest.mark.parametrize(
    "number, moment",
    [
        (signal.SIGINT, "1. Two sites"),
        (signal.SIGTERM, "2. Change capture"),
        pytest.param(signal.SIGINT, "3. The relays", marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, "4. Both sites", marks=pytest.mark.long),
        pytest.param(signal.SIGINT, "7. The link is back", marks=pytest.mark.long),
        pytest.param(signal.SIGINT, "9. A SahanaPHP joins", marks=pytest.mark.long),
        pytest.param(signal.SIGTERM, "10. Both Edens", marks=pytest.mark.long),
    ],
)
def test_ended_by_a_signal_it_leaves_no_process_and_no_file(number: int, moment: str):
    with demo() as process:
        output = read_until(process, moment)
        started = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        process.send_signal(number)
        output += process.communicate(timeout=BOUND_S)[0]
    assert process.returncode == 128 + number, output
    assert not [child for child in started if child.is_running()]
    directory = find_directory(output)
    assert not directory.exists() and not find_users(directory)


@pytest.mark.long
def test_it_goes_on_when_nobody_reads_any_more():
    with demo() as process:
        output = read_until(process, "1. Two sites")
        assert process.stdout is not None
        process.stdout.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(BOUND_S) == 128 + signal.SIGINT
    directory = find_directory(output)
    assert not directory.exists() and not find_users(directory)
