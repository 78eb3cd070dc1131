"""Suite ``install``: the seconds that ``changecapture install`` takes on all of Eden's 462 tables."""

import os
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from tests.benchmark.figure import Figure
from tests.benchmark.machine import KINDS, Kind, Machine, say

PROGRAM = Path(sysconfig.get_path("scripts"), "changecapture")
GOALS: dict[Kind, float] = {"postgresql": 20, "mariadb": 40}
ROUNDS = 3


def measure(machine: Machine) -> Iterator[Figure]:
    """Yield the median of a few installations on new databases, both kinds in turn; then of no-ops."""
    first: dict[Kind, list[float]] = {kind: [] for kind in KINDS}
    again: dict[Kind, list[float]] = {kind: [] for kind in KINDS}
    for number in range(max(1, round(ROUNDS * machine.scale))):
        for kind in KINDS:
            say(f"install on {kind}, round {number + 1}")
            url = machine.build(kind)
            first[kind].append(install(url))
            again[kind].append(install(url))
            machine.drop(kind, url)
    for kind in KINDS:
        yield Figure(f"install.{kind}_s", median(first[kind]), "<=", GOALS[kind])
        yield Figure(f"install.{kind}_again_s", median(again[kind]))


def install(url: str) -> float:
    """Return the seconds that the command takes, its start included."""
    before = time.monotonic()
    subprocess.run(
        [PROGRAM, "install"],
        env={**os.environ, "CHANGECAPTURE_URL": url},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.monotonic() - before
