"""Every request to the page, answered: who it is from, what is shown, which form was sent."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from changecapture.core.change import Row
from changecapture.errors import ChangeCaptureError
from relay.log import Log
from relay.messages import clean
from relay.page.drawing import draw_map, draw_plot
from relay.page.forms import FORMS, Site
from relay.page.guard import Guard, Session
from relay.page.texts import HERE, make_render
from relay.page.views.conflicts import view_conflicts
from relay.page.views.parked import view_parked
from relay.page.views.peers import PeerView, view_peers
from relay.page.views.rows import search_rows, view_life
from relay.page.views.sight import Sight, read_sight
from relay.page.views.tables import count_rows, view_tables
from relay.page.views.troubles import find_troubles
from relay.page.visit import Reply, Visit, go_to

WHO_LIMIT = 40
WATCH_S = 30
VIEWS = ("overview", "peers", "conflicts", "parked", "rows", "tables")
Check = Callable[[str], Awaitable[bool]]


class Pages:
    """The pages of all sites."""

    def __init__(self, sites: Sequence[Site], guard: Guard, check: Check, log: Log) -> None:
        """``check`` tells whether a text is the password."""
        self._sites = {site.name: site for site in sites}
        self._guard = guard
        self._check = check
        self._log = log

    async def answer(self, visit: Visit) -> Reply:
        """Answer a request."""
        if not self._guard.is_ours(visit):
            self._log.warning(f"page: refused, {visit.address} asked for host '{clean(visit.host, 80)}'")
            return Reply("not served under this name\n", 403, "text/plain; charset=utf-8")
        if visit.method not in ("GET", "HEAD", "POST"):
            return Reply("no\n", 405, "text/plain; charset=utf-8")
        if visit.path == ("page.css",):
            return Reply((HERE / "page.css").read_text(encoding="utf-8"), kind="text/css; charset=utf-8")
        if visit.path == ("login",):
            return await self._log_in(visit) if visit.method == "POST" else self._show_door(visit)
        session = self._guard.find(visit)
        if session is None and self._guard.trusts(visit) and visit.method != "POST":
            cookie, _ = self._guard.begin("this machine")
            return go_to(*visit.path, cookies={self._guard.cookie: cookie})
        if session is None:
            return go_to("login")
        if visit.method == "POST" and not self._guard.has_token(visit, session):
            self._log.warning(f"page: refused, a form without its token from {visit.address}")
            return Reply("this form is not of your session: load the page again\n", 403, "text/plain")
        if visit.path == ("logout",) and visit.method == "POST":
            self._guard.end(visit)
            return go_to("login", cookies={self._guard.cookie: ""})
        return await self._show_site(visit, session)

    # The door

    def _show_door(self, visit: Visit, error: str = "", status: int = 200) -> Reply:
        cookie, token = self._guard.make_door()
        body = make_render(visit.languages)("login.html", token=token, error=error)
        return Reply(body, status, cookies={self._guard.door: cookie})

    async def _log_in(self, visit: Visit) -> Reply:
        if not self._guard.is_at_door(visit):
            return self._show_door(visit, "stale", 403)
        if not self._guard.may_guess(visit.address):
            self._log.warning(f"page: too many guesses of the password, from {visit.address}")
            return self._show_door(visit, "many", 429)
        if not await self._check(visit.fields.get("password", "")):
            self._log.warning(f"page: a wrong password from {visit.address}")
            return self._show_door(visit, "wrong", 403)
        self._guard.guessed_right(visit.address)
        who = clean(visit.text("who"), WHO_LIMIT) or "somebody"
        self._log.info(f"page: {who} ({visit.address}) has logged in")
        cookie, _ = self._guard.begin(who)
        return go_to(cookies={self._guard.cookie: cookie, self._guard.door: ""})

    # One site

    async def _show_site(self, visit: Visit, session: Session) -> Reply:
        if not visit.path:
            return go_to(next(iter(self._sites)), "overview")
        site = self._sites.get(visit.path[0])
        page = visit.path[1] if len(visit.path) > 1 else "overview"
        if site is None or page not in VIEWS or len(visit.path) > 2:
            return self._render(visit, session, None, "error.html", 404, error="there is no such page")
        if visit.method == "POST":
            return await self._do(visit, session, site, page)
        try:
            shown = await getattr(self, f"_{page}")(site, visit)
        except ChangeCaptureError as error:
            return self._render(visit, session, site, "error.html", 503, error=str(error))
        return self._render(visit, session, site, f"{page}.html", 200, page=page, **shown)

    async def _do(self, visit: Visit, session: Session, site: Site, page: str) -> Reply:
        action = clean(visit.text("action"), WHO_LIMIT)
        form = FORMS.get((page, action))
        if form is None:
            return self._render(visit, session, site, "error.html", 404, error="there is no such form")
        who = f"{session.who} ({visit.address})"
        try:
            said = await form(site, visit)
        except ChangeCaptureError as error:
            self._log.warning(f"page: {site.name}: {who}: {page} {action} failed: {clean(str(error), 200)}")
            session.errors.append(str(error))
        else:
            self._log.info(f"page: {site.name}: {who}: {page} {action}: {clean(said, 200)}")
            session.notes.append(said)
        return go_to(site.name, page)

    def _render(
        self, visit: Visit, session: Session, site: Site | None, template: str, code: int, **shown: Any
    ) -> Reply:
        notes, session.notes = session.notes, []
        errors, session.errors = session.errors, []
        values = {"page": "", "refresh": 0, **shown}
        body = make_render(visit.languages)(
            template,
            token=session.token,
            who=session.who,
            site=site,
            sites=list(self._sites),
            notes=notes,
            errors=errors,
            **values,
        )
        return Reply(body, code)

    # What each page shows

    async def _overview(self, site: Site, visit: Visit) -> dict[str, Any]:
        sight, peers, others = await self._look(site)
        return {
            "status": sight.status,
            "peers": peers,
            "troubles": find_troubles(sight.status, peers),
            "map": draw_map(site.name, peers, [other["device"][:8] for other in others]),
            "plot": draw_plot(sight.flow),
            "flow": sight.flow,
            "refresh": WATCH_S if "watch" in visit.fields else 0,
        }

    async def _look(self, site: Site) -> tuple[Sight, list[PeerView], list[dict[str, Any]]]:
        sight = await site.work(read_sight)
        listed: dict[str, Any] = {}
        async for said in site.orders.carry_out({"order": "peers"}):
            listed = said["done"]
        return sight, view_peers(sight, listed["peers"], site.speaking()), listed["others"]

    async def _peers(self, site: Site, visit: Visit) -> dict[str, Any]:
        sight, peers, others = await self._look(site)
        waits = site.pairing is not None and not site.pairing.outcome
        return {
            "status": sight.status,
            "peers": peers,
            "others": others,
            "pairing": site.pairing,
            "refresh": 5 if waits and "watch" in visit.fields else 0,
        }

    async def _conflicts(self, site: Site, visit: Visit) -> dict[str, Any]:
        return {"conflicts": await site.work(view_conflicts)}

    async def _parked(self, site: Site, visit: Visit) -> dict[str, Any]:
        return {"parked": await site.work(view_parked)}

    async def _rows(self, site: Site, visit: Visit) -> dict[str, Any]:
        wanted = visit.text("q")
        table, key = visit.text("table"), visit.fields.get("key", "")
        if table:
            life = await site.work(lambda store: view_life(store, Row(table, key)))
            return {"q": wanted, "found": None, "life": life, "asked": True}
        found = await site.work(lambda store: search_rows(store, wanted))
        return {"q": wanted, "found": found, "life": None, "asked": bool(wanted)}

    async def _tables(self, site: Site, visit: Visit) -> dict[str, Any]:
        before = site.counted
        counted = site.counted = await site.work(lambda store: count_rows(store, before))
        return {"tables": await site.work(lambda store: view_tables(store, counted)), "at": counted.at}
