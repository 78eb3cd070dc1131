"""Checks that are the same for both engines: the server's clock, and the room on its disk."""

import shutil
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from time import time_ns

from changecapture.doctor.subject import Problem, Subject
from changecapture.errors import ConfigError

SKEW = 2_000_000
"""Microseconds by which two clocks may differ."""
FREE = 1 << 30
"""Bytes below which a disk is nearly full."""
DIRECTORY = {"postgresql": "SHOW data_directory", "mysql": "SELECT @@datadir"}


def check_clock(subject: Subject) -> Iterator[Problem]:
    """The server's clock against this machine's; the time that the question takes counts for nothing."""
    before = time_ns() // 1000
    there = subject.store.read_clock()
    yield from compare_clocks(there, before, time_ns() // 1000)


def compare_clocks(there: int, before: int, after: int) -> Iterator[Problem]:
    """Yield a problem when the server's time, read between two of ours, is not between them."""
    ahead = there - after if there > after else min(there - before, 0)
    if abs(ahead) > SKEW:
        yield Problem(
            f"the server's clock is {abs(ahead) // 1_000_000} s "
            f"{'ahead of' if ahead > 0 else 'behind'} this machine's",
            "of two edits at once the later by its clock wins: a wrong clock makes the wrong one win",
            ("$ timedatectl set-ntp true",),
        )


def check_disk(subject: Subject) -> Iterator[Problem]:
    """The room that is left, where the server stores its data on this machine."""
    store = subject.store
    if not _is_here(store.url.host):
        why = "the server is another machine: look there, df -h on its data directory"
        yield Problem("free room on the server's disk: not looked at", why, (), "unseen")
        return
    try:
        directory = Path(str(store.query(DIRECTORY[store.engine])[0][0]))
        free = shutil.disk_usage(directory).free
    except (ConfigError, OSError) as error:
        yield Problem("free room on the server's disk: not looked at", str(error), (), "unseen")
        return
    yield from judge_room(directory, free)


def judge_room(directory: Path, free: int) -> Iterator[Problem]:
    """Yield a problem when so many free bytes are too few."""
    if free < FREE:
        yield Problem(
            f"{free >> 20} MB are free in {directory}",
            "when it is full the application cannot write, and neither can capture",
            (f"$ df -h {directory}",),
        )


def _is_here(host: str) -> bool:
    if host in ("", "localhost") or host.startswith("/"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
