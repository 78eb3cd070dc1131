"""What doctor says of clocks and disks."""

from pathlib import Path

import pytest

from changecapture.doctor import CHECKS, INSTALLED_ONLY
from changecapture.doctor.server import compare_clocks, judge_room

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("there", "named"),
    [
        (100, None),
        (102, None),
        (98, None),
        (103, "3 s ahead of"),
        (105, "4 s ahead of"),
        (90, "10 s behind"),
        (3700, "3599 s ahead of"),
    ],
)
def test_clock_is_wrong_only_beyond_what_the_question_took(there: int, named: str | None) -> None:
    after = 101 if there > 103 else 100
    problems = list(compare_clocks(there * SECOND, 100 * SECOND, after * SECOND))
    assert len(problems) == (named is not None)
    assert all(str(named) in problem.what for problem in problems)


def test_disk_that_is_nearly_full_is_named() -> None:
    (problem,) = judge_room(Path("/srv"), 7 << 20)
    assert problem.what == "7 MB are free in /srv"
    assert list(judge_room(Path("/srv"), 2 << 30)) == []


def test_checks_that_need_an_installation_are_checks() -> None:
    assert {*CHECKS["postgresql"], *CHECKS["mysql"]} >= INSTALLED_ONLY
