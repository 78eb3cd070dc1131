"""How the programs treat memory."""

import gc

YOUNG, MIDDLE, OLD = 50_000, 20, 100


def spare_collector() -> None:
    """Let the collector of cycles run seldom: a batch is 100,000 objects, and none is in a cycle.

    Left alone it walks them again and again: a fifth of the time of a large exchange. Called once by a
    program, when its modules are loaded.
    """
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)
