"""``python -m tests.benchmark [--suite NAME] [--scale FACTOR] [--json FILE]``."""

import argparse
import json
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from tests.benchmark import apply, capture, compact, endtoend, install, mapping, memory, relay, sync
from tests.benchmark.figure import Figure
from tests.benchmark.machine import Machine

SUITES: dict[str, Callable[[Machine], Iterator[Figure]]] = {
    "capture": capture.measure,
    "install": install.measure,
    "sync": sync.measure,
    "apply": apply.measure,
    "compact": compact.measure,
    "mapping": mapping.measure,
    "endtoend": endtoend.measure,
    "relay": relay.measure,
    "memory": memory.measure,
}
SCALE = "CHANGECAPTURE_BENCH_SCALE"


def main() -> None:
    """Run the suites that were asked for."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--suite", choices=SUITES, action="append", help="only this one; may be repeated")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--scale", type=float, default=float(os.environ.get(SCALE, "1")))
    options = parser.parse_args()
    # `timeout` ends with SIGTERM: leave as by Ctrl-C, through what stops the servers.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if options.scale != 1:
        print(f"# at {options.scale:g} of the size: the goals are meant for 1")
    figures: list[Figure] = []
    for name in options.suite or SUITES:
        with Machine.open(options.scale) as machine:
            for figure in SUITES[name](machine):
                print(figure, flush=True)
                figures.append(figure)
    if options.json:
        found = {"scale": options.scale, "on": describe(), "figures": [f.to_json() for f in figures]}
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def describe() -> dict[str, object]:
    """Return what it ran on."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processors": os.cpu_count(),
        "changecapture": version("changecapture"),
    }


if __name__ == "__main__":
    main()
