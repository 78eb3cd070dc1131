"""SQL text of the two dialects: the same functions in the same order in each file, no connection."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capture:
    """The capture objects of one table, rendered. ``triggers`` maps trigger name to statement."""

    functions: dict[str, str]
    triggers: dict[str, str]
    history: tuple[str, ...]
    history_view: str


FINGERPRINT_LENGTH = 8
