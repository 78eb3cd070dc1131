"""Our command line, run as an operator would: a process whose end is waited for with a bound."""

import os
import subprocess
import sysconfig
from pathlib import Path

from tests.support.patience import Patience

PROGRAM = Path(sysconfig.get_path("scripts"), "changecapture")
BOUND_S = 120.0


class CommandError(Exception):
    """A command has failed."""


def run_command(*arguments: str, url: str, patience: Patience) -> list[str]:
    """Run ``changecapture``; return the lines that it printed, raise CommandError when it fails."""
    process = subprocess.Popen(
        [PROGRAM, *arguments],
        env={**os.environ, "CHANGECAPTURE_URL": url},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            patience.wait(lambda: process.poll() is not None, f"changecapture {arguments[0]}", BOUND_S)
        except BaseException:
            process.kill()
            raise
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
    if process.returncode:
        raise CommandError(f"changecapture {arguments[0]}: {' '.join(lines)}")
    return lines
