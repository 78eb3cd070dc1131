"""The exit statuses of all commands: the only place that knows them."""

DONE = 0
NO = 1
"""Not in step, something to mend, to decide or left out; or a question was answered with no."""
ERROR = 2
INTERRUPTED = 130

MEANINGS = {
    DONE: "done",
    NO: "not in step, something is left to a person, or a question was answered with no",
    ERROR: "error: nothing more was done; what, why and what mends it stand on standard error",
    INTERRUPTED: "interrupted: running the same command again goes on",
}


def describe_exits() -> str:
    """Return the paragraph of the help."""
    return "\n".join(["Exit status:", *(f"  {status:<5}{meaning}" for status, meaning in MEANINGS.items())])
