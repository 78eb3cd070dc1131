"""Who runs is told apart from who runs beside it; a restart is neither a copy nor forgotten too late."""

from twisted.internet.task import Clock

from relay.runs import FORGET_S, LATE_S, MOST, TELL_S, Runs

DEVICE = "d" * 64


class Fixture:
    def __init__(self) -> None:
        self.clock = Clock()
        self.runs = Runs(self.clock)

    def hear(self, *runs: str, every: float = LATE_S + 1) -> bool:
        """Hear calls, one after the other; return whether two of them are beside each other."""
        for run in runs:
            self.runs.heard(DEVICE, run)
            self.clock.advance(every)
        return self.runs.are_beside(DEVICE)


def test_two_runs_of_which_each_was_heard_after_the_other_are_beside_each_other():
    assert Fixture().hear("1", "2", "1", "2")


def test_a_run_that_was_heard_between_two_calls_of_another_is_beside_it():
    f = Fixture()
    f.hear("1")
    began = f.clock.seconds()
    f.clock.advance(1)
    f.runs.heard(DEVICE, "2", began)
    assert f.hear("1", every=0) is False  # it may have been on its way
    f.clock.advance(LATE_S + 1)
    assert f.hear("1", every=0)


def test_one_run_after_the_other_is_a_restart_however_often():
    assert not Fixture().hear("1", "1", "2", "2", "3", "3", "3")


def test_what_a_run_said_may_arrive_late_after_its_end():
    f = Fixture()
    f.hear("1")
    assert not f.hear("2", "1", "2", "2", every=LATE_S / 3 - 1)


def test_an_answer_to_a_call_that_began_after_another_run_was_heard_is_not_late():
    f = Fixture()
    for run in ("1", "2", "1"):
        began = f.clock.seconds()
        f.clock.advance(1)
        f.runs.heard(DEVICE, run, began)
        f.clock.advance(1)
    assert f.runs.are_beside(DEVICE)


def test_a_copy_that_is_heard_no_longer_is_forgotten():
    f = Fixture()
    assert f.hear("1", "2", "1", "2")
    for _ in range(int(FORGET_S / 60)):
        f.hear("1", every=60)
    assert not f.hear("1")


def test_a_relay_that_says_no_run_is_of_an_earlier_version_and_no_copy():
    assert not Fixture().hear("", "1", "", "1")


def test_runs_of_two_devices_have_nothing_to_do_with_each_other():
    f = Fixture()
    for _ in range(3):
        f.hear("1")
        f.runs.heard("e" * 64, "2")
    assert not f.runs.are_beside(DEVICE) and not f.runs.are_beside("e" * 64)


def test_who_invents_runs_fills_nothing():
    f = Fixture()
    f.hear(*(str(n) for n in range(100)), every=0)
    assert len(f.runs._runs[DEVICE]) == MOST


def test_a_copy_is_told_of_once_in_a_while():
    f = Fixture()
    f.hear("1", "2", "1", "2")
    assert f.runs.is_due(DEVICE) and not f.runs.is_due(DEVICE)
    f.clock.advance(TELL_S)
    assert f.runs.is_due(DEVICE)


def test_a_copy_of_this_machine_that_answered_is_alive_until_it_is_forgotten():
    f = Fixture()
    f.runs.saw_copy(DEVICE)
    assert f.runs.are_beside(DEVICE)
    f.clock.advance(FORGET_S + 1)
    assert not f.runs.are_beside(DEVICE)
