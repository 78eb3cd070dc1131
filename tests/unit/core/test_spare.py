"""Work that is done in spare time comes to what it comes to at once."""

import pytest

from changecapture.core.spare import Spare, Task


def count(end):
    done = []
    for number in range(end):
        done.append(number)
        yield
    return done


def fail():
    yield
    raise ValueError("a step failed")


def test_outcome_is_the_same_however_much_was_done_before_it_is_asked_for():
    for steps in range(6):
        spare, task = Spare(), Task(count(3))
        spare.add(task)
        for _ in range(steps):
            if spare:
                spare.step()
        assert task.finish() == [0, 1, 2]


def test_what_a_step_raises_comes_out_where_the_outcome_is_asked_for():
    spare, task = Spare(), Task(fail())
    spare.add(task)
    while spare:
        spare.step()
    with pytest.raises(ValueError, match="a step failed"):
        task.finish()


def test_what_is_put_first_is_done_first_and_what_is_dropped_is_not_done():
    spare, ran = Spare(), []

    def run(name):
        ran.append(name)
        yield

    tasks = {name: Task(run(name)) for name in ("late", "dropped", "soon", "next")}
    spare.add(tasks["late"])
    spare.add(tasks["dropped"])
    spare.put_first([tasks["soon"], tasks["next"]])
    spare.drop([tasks["dropped"]])
    while spare:
        spare.step()
    assert ran == ["soon", "next", "late"]
