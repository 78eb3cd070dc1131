"""Starts a relay that stays when its starter goes, unless one runs: for cron and for web servers.

One start at a time works with a state directory (``ensure.lock``), and who holds its ``lock`` is the relay.
So any number of callers, at once and again and again, come to one relay.
"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from changecapture.errors import ConfigError
from relay.config import ProgramConfig
from relay.control import answers
from relay.trust.state import Lock, open_state

START_S = 30.0
LOOK_S = 0.05
LOG_LIMIT = 16 * 1024 * 1024
"""The log of a detached relay begins anew when it is longer, at a start; the last one is kept."""


def ensure(config_file: Path, config: ProgramConfig, log: Path) -> bool:
    """Return whether it had to be started; raise ConfigError when it does not start."""
    directory = open_state(config.sites[0].state)
    start = Lock(directory, "ensure.lock")
    if not start.take():
        return False
    try:
        if _runs(directory):
            return False
        _start(config_file, directory, log)
        return True
    finally:
        start.release()


def _runs(directory: Path) -> bool:
    lock = Lock(directory)
    if not lock.take():
        return True
    lock.release()
    return False


def _start(config_file: Path, directory: Path, log: Path) -> None:
    command = [sys.executable, "-m", "relay", "run", "--config", str(config_file.absolute())]
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_name(f"{log.name}.1"))
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, **_detached(directory)
        )
    deadline = time.monotonic() + START_S
    while not answers(directory):
        if process.poll() is not None or time.monotonic() > deadline:
            last = log.read_text(errors="replace").strip().splitlines()[-1:]
            raise ConfigError("the relay does not start", why=" ".join(last), mend=f"see {log}")
        time.sleep(LOOK_S)


def _detached(directory: Path) -> dict[str, Any]:
    """Return how a process is started that no terminal, cron or web server takes along."""
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
        return {"cwd": directory.absolute(), "creationflags": flags}
    return {"cwd": directory.absolute(), "start_new_session": True}
