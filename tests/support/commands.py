"""The command line as a user meets it: in this process, with its streams taken, or as a process.

In this process warnings are errors, as everywhere in the tests.
"""

import io
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from changecapture.cli import main

ROOT = Path(__file__).resolve().parents[2]
ALEMBIC = (sys.executable, "-m", "alembic", "-c", str(ROOT / "migrations" / "alembic.ini"))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command left behind."""

    status: int
    out: str
    err: str


def run_command(*arguments: str, answer: str = "") -> Outcome:
    """Run ``changecapture`` in this process; ``answer`` is what it reads from standard input."""
    out, err = io.BytesIO(), io.BytesIO()
    with _streams(answer, out, err):
        status = main(arguments)
    return Outcome(status, out.getvalue().decode(), err.getvalue().decode())


@contextmanager
def _streams(answer: str, out: io.BytesIO, err: io.BytesIO) -> Iterator[None]:
    kept = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = io.TextIOWrapper(io.BytesIO(answer.encode()), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(out, encoding="utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(err, encoding="utf-8", write_through=True)
    try:
        yield
    finally:
        # Detached, so that the bytes outlive the wrappers.
        sys.stdout.detach()
        sys.stderr.detach()
        sys.stdin, sys.stdout, sys.stderr = kept


def run_program(
    *command: str, cwd: Path = ROOT, environ: Mapping[str, str] | None = None, stdin: str | None = None
) -> Outcome:
    """Run a program to its end; ``environ`` is its whole environment, None for ours."""
    done = subprocess.run(
        command, cwd=cwd, env=environ, input=stdin, capture_output=True, text=True, encoding="utf-8"
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def run_on_terminal(*command: str, stream: str) -> tuple[Outcome, str]:
    """Run a program with one stream, ``stdout`` or ``stderr``, on a terminal; return what stood there too.

    The terminal is 80 columns wide.
    """
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    streams = [theirs if stream == name else subprocess.PIPE for name in ("stdout", "stderr")]
    environ = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, text=True, stdout=streams[0], stderr=streams[1]
    ) as process:
        os.close(theirs)
        shown = b""
        while part := _read_terminal(ours):
            shown += part
        out, err = process.communicate()
    os.close(ours)
    return Outcome(process.returncode, out or "", err or ""), shown.decode()


def _read_terminal(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so when the other end has closed
        return b""


def run_alembic(url: str, *arguments: str, options: tuple[str, ...] = ()) -> Outcome:
    """Run Alembic from the checkout on a database, as a DBA would."""
    return run_program(*ALEMBIC, "-x", f"url={url}", *options, *arguments)
