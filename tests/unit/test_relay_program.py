"""The program as a whole, as far as no test of its parts shows it."""

import subprocess
import sys

JUMPS = """
import time
wall, back = time.time, [0.0]
time.time = lambda: wall() - back[0]
from relay.program import clocked_reactor
reactor = clocked_reactor()

def jump():
    back[0] = 86400.0
    reactor.callLater(0.05, reactor.stop)

reactor.callLater(0, jump)
reactor.callLater(0.05, lambda: print("came"))
reactor.run()
"""


def test_timers_do_not_follow_the_clock_of_the_wall():
    ran = subprocess.run([sys.executable, "-c", JUMPS], capture_output=True, text=True, timeout=20)
    assert (ran.returncode, ran.stdout) == (0, "came\n"), ran.stderr
