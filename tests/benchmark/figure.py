"""A figure: what was measured, beside what it should be."""

from dataclasses import asdict, dataclass
from operator import ge, le
from typing import Any, Literal

MISSED = "   <== MISSED"


@dataclass(frozen=True, slots=True)
class Figure:
    """``name`` ends with its unit. Without a goal it is there for comparison."""

    name: str
    value: float
    sense: Literal["<=", ">="] = "<="
    goal: float | None = None

    @property
    def met(self) -> bool:
        """Whether the goal is reached; True without one."""
        compare = le if self.sense == "<=" else ge
        return self.goal is None or bool(compare(self.value, self.goal))

    def __str__(self) -> str:
        goal = "" if self.goal is None else f" {self.sense} {self.goal:g}"
        return f"{self.name} {self.value:.{digits(self.value)}f}{goal}{'' if self.met else MISSED}"

    def to_json(self) -> dict[str, Any]:
        """Return it for a file."""
        return {**asdict(self), "met": self.met}


def digits(value: float) -> int:
    """Return how many decimals say something."""
    return 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 3
