"""What the application writes: anything, at random."""

from collections.abc import Callable
from contextlib import suppress
from random import Random

from changecapture.errors import DataError
from tests.support.memory import MemorySite


def write(rng: Random, site: MemorySite) -> None:
    """Let the application do something; what its database refuses it does not do."""
    run = site.family
    parent, other, child = rng.choice("pqr"), rng.choice("pqr"), rng.choice("cd")
    text = rng.choice(("x", "y", "", None))
    one = f"(SELECT id FROM parent WHERE uuid = '{parent}')"
    actions: tuple[Callable[[], object], ...] = (
        lambda: run.add_parent(parent, boss=other),
        lambda: run.add_parent(parent),
        lambda: run.add_child(child, parent, may=other, keep=rng.choice((None, other))),
        lambda: run.add_toy(f"toy of {child}", child),
        lambda: run.add_link(parent, child, text),
        lambda: run.note("parent", parent, text or ""),
        lambda: run.note("child", child, text or ""),
        lambda: run(f"UPDATE child SET must = {one} WHERE uuid = %s", child),
        lambda: run(f"UPDATE child SET may = {one}, note = %s WHERE uuid = %s", text, child),
        lambda: run(f"UPDATE parent SET boss = {one} WHERE uuid = %s", other),
        lambda: run("UPDATE link SET note = %s", text),
        lambda: run.delete("parent", parent),
        lambda: run.delete("child", child),
        lambda: run(f"UPDATE parent SET uuid = '{parent}' WHERE uuid = %s", other),
    )
    with suppress(DataError):
        rng.choice(actions)()
