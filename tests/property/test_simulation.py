"""Five sites with real relays on a simulated clock and network: whatever goes wrong, it ends well.

One seed is one course of events: ``CHANGECAPTURE_TEST_SEED=n`` runs that seed alone.
"""

import gc
import os
from contextlib import closing

import pytest
from twisted.internet.defer import Deferred

from tests.support.simulation.world import Simulation

SEED = "CHANGECAPTURE_TEST_SEED"
CHUNK = 250


def simulate(first, number):
    given = os.environ.get(SEED)
    gc.freeze()  # what is there for good is not looked through after each run
    for seed in [int(given)] if given else range(first, first + number):
        world = Simulation(seed)
        try:
            world.run()
        except BaseException as error:
            error.add_note(f"{SEED}={seed} runs this again")
            raise
        finally:
            world.close()


@pytest.mark.parametrize("first", range(0, 200, 25))
def test_sites_end_equal_whatever_happens_between_them(first):
    simulate(first, 25)


@pytest.mark.long
@pytest.mark.parametrize("first", range(1000, 11_000, CHUNK))
def test_sites_end_equal_in_ten_thousand_courses_of_events(first):
    simulate(first, CHUNK)


def test_error_that_nobody_handles_is_a_failure():
    def fail():
        lost = Deferred()
        lost.errback(ValueError("nobody looks at it"))

    world = Simulation(4)
    world.clock.callLater(1.0, fail)
    with closing(world), pytest.raises(AssertionError, match="nobody looks at it"):
        world.run()


def test_what_the_last_net_catches_is_a_failure():
    """A row that raised is tried again and may be shown in the end: that hides a mistake of ours."""

    def publish_fails():
        columns = "table_name, operation, reason, missed_at"
        site.family(f"INSERT INTO {site.prefix}missed ({columns}) VALUES ('child', 'I', 'it raised', 0)")

    world = Simulation(4)
    site = world.hosts[1].site
    world.clock.callLater(1.0, publish_fails)
    with closing(world), pytest.raises(AssertionError, match="it raised"):
        world.run()


def test_a_seed_is_one_course_of_events():
    """Else a failure could not be looked into."""

    def run():
        world = Simulation(4)
        world.run()
        world.close()
        return world.clock.seconds(), world.ledger.made

    assert run() == run()
