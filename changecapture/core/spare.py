"""Spare time: what a program computes while its database works.

A connection carries one statement at a time, and what follows mostly needs its answer; so a program and
its database would take turns, each idle half of the time. What is going to be needed, and depends on no
answer, is a ``Task``: whoever knows of it gives it to the store (``Store.spare``), which does steps of it,
short ones, wherever it would only wait. Whoever needs the outcome finishes what is left. Nothing else
changes: statements, their order, and where each of their errors comes out are the same.
"""

from collections import deque
from collections.abc import Generator, Iterable
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
Steps = Generator[None, None, T]
"""A computation in steps of about a millisecond, which comes to an outcome; it may not use a database."""


class AnyTask(Protocol):
    """A task of any outcome."""

    def step(self) -> bool:
        """Do a step; return False when nothing is left to do."""


class Task(Generic[T]):
    """A computation that is under way. Used by one thread at a time."""

    def __init__(self, steps: Steps[T]) -> None:
        """Nothing is done yet."""
        self._steps = steps
        self._outcome: list[T] = []
        self._error: Exception | None = None

    def step(self) -> bool:
        """Do a step; return False when nothing is left to do. What it raises is kept for ``finish``."""
        if self._outcome or self._error is not None:
            return False
        try:
            next(self._steps)
        except StopIteration as end:
            self._outcome.append(end.value)
        except Exception as error:
            self._error = error
        return True

    @property
    def failed(self) -> bool:
        """Return whether a step raised something."""
        return self._error is not None

    def finish(self) -> T:
        """Do what is left to do; return the outcome, or raise what a step raised."""
        while self.step():
            pass
        if self._error is not None:
            raise self._error
        return self._outcome[0]


class Spare:
    """What one connection does while it waits, in this order."""

    def __init__(self) -> None:
        """There is nothing to do."""
        self._tasks: deque[AnyTask] = deque()

    def add(self, task: AnyTask) -> None:
        """Have something done after all else. May be called by any thread."""
        self._tasks.append(task)

    def put_first(self, tasks: Iterable[AnyTask]) -> None:
        """Have these done before all else."""
        self._tasks.extendleft(reversed(list(tasks)))

    def drop(self, tasks: Iterable[AnyTask]) -> None:
        """Leave these undone, where nobody needs them any more."""
        for task in tasks:
            if task in self._tasks:
                self._tasks.remove(task)

    def __bool__(self) -> bool:
        """Return whether there may be something to do."""
        return bool(self._tasks)

    def step(self) -> None:
        """Do a step of the first task, if anything is left of it to do."""
        if not self._tasks[0].step():
            self._tasks.popleft()


def work_out(steps: Steps[T]) -> T:
    """Do all of it at once; return the outcome."""
    return Task(steps).finish()
