"""``python -m demo``. Exit status: 0 both sites are equal in the end, 1 they are not or something failed,
130 or 143 ended by Ctrl-C or SIGTERM. Whatever happens, nothing is left running and no file stays.
"""

import os
import signal
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

from changecapture.memo import VARIABLE
from demo.command import CommandError
from demo.screen import Screen
from demo.stage import NAMES, Stage
from demo.story import Story
from tests.support.patience import Late, Patience, Stopped
from tests.support.process import ServerError
from tests.support.relays import RelayError
from tests.support.servers import scratch_directory

LAST_LINES = 12
EXPECTED = (Late, CommandError, RelayError, ServerError)
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Play the demo in a thread, so that a signal never interrupts what it is doing."""
    screen, patience = Screen(sites=NAMES), Patience()
    signals: list[int] = []

    def end(number: int, _: FrameType | None) -> None:
        if not signals:
            screen.tell("\nstopping: the relays, the servers, then the scratch directory ..")
        signals.append(number)
        patience.stop()

    for number in ENDS:
        signal.signal(number, end)
    with ThreadPoolExecutor(1) as thread:
        status = thread.submit(run, screen, patience).result()
    return 128 + signals[0] if signals else status


def run(screen: Screen, patience: Patience) -> int:
    """Play, clean up; return the exit status."""
    began = time.monotonic()
    try:
        with scratch_directory() as directory:
            os.environ[VARIABLE] = str(directory / "state")
            stage = Stage(screen, patience, directory)
            try:
                equal = Story(stage, screen, patience).play()
            except Stopped:
                raise
            except Exception as error:
                report(error, stage, screen)
                return 1
            finally:
                stage.close()
    except Stopped:
        screen.tell("stopped; nothing is left")
        return 1
    screen.tell(f"Everything is stopped and removed again, after {time.monotonic() - began:.0f} s.")
    return 0 if equal else 1


def report(error: Exception, stage: Stage, screen: Screen) -> None:
    """Say why it failed; show the last lines of the relays' logs."""
    screen.bad(f"failed: {error}")
    if not isinstance(error, EXPECTED):
        screen.bad("".join(traceback.format_exception(error)))
    for site in stage.everywhere:
        for line in site.log()[-LAST_LINES:]:
            screen.relay(site.name, line)


if __name__ == "__main__":
    sys.exit(main())
