"""What a person does on the page: each form calls what the command of that name calls.

A form returns what is said about it; it raises ChangeCaptureError as the command would.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from changecapture.apply import retry
from changecapture.core.change import Row
from changecapture.errors import ConfigError
from changecapture.review import (
    discard_parked,
    find_conflict,
    join_parked,
    keep_shown,
    read_decided,
    take_lost,
    write_value,
)
from changecapture.store.review import Lost
from changecapture.store.sqlstore import SqlStore
from relay.orders import Orders, Said
from relay.page.views.tables import Counted
from relay.page.visit import Visit

T = TypeVar("T")
SURE = "this cannot be undone, and was not confirmed"


class Site(Protocol):
    """One site, as the page needs it: the seam between the page and the relay."""

    name: str
    orders: Orders
    pairing: "Pairing | None"
    counted: Counted | None

    def speaking(self) -> set[str]:
        """Return the sites that are spoken to now."""

    async def work(self, job: Callable[[SqlStore], T]) -> T:
        """Run a job with the page's own connection to the database."""

    def show_code(self) -> Awaitable[None]:
        """Begin to show a code for pairing."""


@dataclass(slots=True)
class Pairing:
    """A code that is shown, and what became of it: "" while it is waited for."""

    code: str
    addresses: list[str]
    outcome: str = ""


async def decide_conflict(site: Site, visit: Visit) -> str:
    """Keep what is shown, take what was lost, or write another value."""
    id_, choice, text = _number(visit.text("id")), visit.text("choice"), visit.fields.get("value", "")
    if choice not in ("keep", "take", "value"):
        raise ConfigError("what is right was not said", mend="choose one of the values")

    def work(store: SqlStore) -> bool:
        conflict = find_conflict(store, id_)
        if conflict.resolved_at is not None:
            raise ConfigError(f"conflict {id_} is resolved", mend="change the row in the application")
        if choice == "keep":
            return keep_shown(store, conflict)
        if choice == "take":
            return take_lost(store, conflict)
        return write_value(store, conflict, read_decided(store, conflict, spell_typed(conflict, text)))

    shown = await site.work(work)
    return f"conflict {id_} is resolved ({choice})" + ("" if shown else "; the row is parked")


def spell_typed(conflict: Lost, text: str) -> str:
    """Return as JSON what a person typed in the place of a value: a text where that is text, else JSON."""
    known = [json.loads(value) for value in (conflict.kept_value, conflict.lost_value)]
    return json.dumps(text) if any(isinstance(value, str) for value in known) else text


async def retry_parked(site: Site, visit: Visit) -> str:
    """Try to show all parked rows again."""
    return f"tried again; still parked: {await site.work(retry)}"


async def join_row(site: Site, visit: Visit) -> str:
    """Make one row of a parked row and the one that has its place."""
    _be_sure(visit)
    row, other = _row(visit), visit.text("other") or None
    name, shown = await site.work(lambda store: join_parked(store, row, other))
    return f"joined: {name.table} {name.key}" + ("" if shown else ", parked")


async def discard_row(site: Site, visit: Visit) -> str:
    """Delete a parked row at every site."""
    _be_sure(visit)
    row = _row(visit)
    await site.work(lambda store: discard_parked(store, row))
    return f"discarded: {row.table} {row.key}"


async def show_code(site: Site, visit: Visit) -> str:
    """Show a code, to be typed at the other site."""
    await site.show_code()
    return "a code is shown"


async def type_code(site: Site, visit: Visit) -> str:
    """Pair with the site that shows a code."""
    done = await _give(site, order="join", code=visit.text("code"), at=visit.text("at"))
    return f"paired with {done['name']} (device {done['device'][:8]})"


async def unpair(site: Site, visit: Visit) -> str:
    """Let a site in no more."""
    _be_sure(visit)
    done = await _give(site, order="unpair", peer=visit.text("device"))
    return "unpaired: " + ", ".join(peer["name"] for peer in done)


async def limit(site: Site, visit: Visit) -> str:
    """Say which modules are sent to a site and taken from it."""
    done = await _give(
        site,
        order="limit",
        peer=visit.text("device"),
        send=visit.text("send"),
        accept=visit.text("accept"),
    )
    return f"{done['name']} is sent {done['send']} and may send {done['accept']}"


async def allow(site: Site, visit: Visit) -> str:
    """Let a site introduce others, or no longer."""
    allowed = visit.text("introducer") == "yes"
    done = await _give(site, order="allow", peer=visit.text("device"), introducer=allowed)
    return f"{done['name']} may introduce others" if allowed else f"{done['name']} may not introduce others"


Form = Callable[[Site, Visit], Awaitable[str]]
FORMS: dict[tuple[str, str], Form] = {
    ("conflicts", "decide"): decide_conflict,
    ("parked", "retry"): retry_parked,
    ("parked", "join"): join_row,
    ("parked", "discard"): discard_row,
    ("peers", "pair"): show_code,
    ("peers", "join"): type_code,
    ("peers", "unpair"): unpair,
    ("peers", "limit"): limit,
    ("peers", "allow"): allow,
}


async def _give(site: Site, **request: Any) -> Any:
    """Give an order; return what it has done."""
    done: Said = {}
    async for said in site.orders.carry_out(request):
        done = said
    return done["done"]


def _be_sure(visit: Visit) -> None:
    if visit.text("sure") != "yes":
        raise ConfigError(SURE, mend="mark the box beside the button")


def _row(visit: Visit) -> Row:
    return Row(visit.text("table"), visit.fields.get("key", ""))


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise ConfigError("there is no such conflict", mend="load the page again")
    return int(text)
