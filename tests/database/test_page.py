"""The page in the browser: only for who has the password, nothing unescaped, and what it does is done."""

import re
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.web.test.requesthelper import DummyRequest

from changecapture.pair import note_in_step
from relay.page.forms import Pairing
from relay.page.guard import GUESSES, IDLE_S, Guard
from relay.page.pages import Pages
from relay.page.server import read_visit
from relay.page.visit import Reply, Visit
from tests.support.sites import Site, exchange
from tests.unit.relay_fake import FakeLog, result

EVIL = "<script>alert(1)</script>"
DEVICE = "ab" * 32
ALIVE_PARENTS = "SELECT 1 FROM {p}row_version WHERE table_name = 'parent' AND alive = 1"


@dataclass
class Orders:
    """Tells of one peer, and remembers what it was asked."""

    site: str
    given: list[dict[str, Any]] = field(default_factory=list)

    async def carry_out(self, request):
        self.given.append(request)
        peer = {
            "device": DEVICE,
            "name": EVIL,
            "sites": (self.site,),
            "paired_at": "2026-01-31",
            "send": "all",
        }
        peer |= {"accept": "all", "introducer": False, "introduced_by": None, "addresses": ["10.0.0.1:7480"]}
        done: Any = peer
        if request["order"] == "peers":
            done = {"peers": [peer], "others": [{"device": "cd" * 32, "addresses": []}]}
        yield {"done": [peer] if request["order"] == "unpair" else done}


class Shown:
    """A site of the tests, as the page needs it."""

    name = "camp"

    def __init__(self, site: Site, other: str) -> None:
        self.site, self.orders, self.pairing, self.counted = site, Orders(other), None, None

    def speaking(self):
        return {self.orders.site}

    async def work(self, job):
        return job(self.site.store)

    async def show_code(self):
        self.pairing = Pairing("42-river", ["10.0.0.1:7480"])


class Browser:
    """Keeps cookies and sends forms."""

    def __init__(self, pages: Pages, host: str = "127.0.0.1:7483") -> None:
        self._pages, self._host = pages, host
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, *path: str, **fields: str) -> Reply:
        reply = result(
            self._pages.answer(Visit(method, path, self._host, "127.0.0.1", fields, dict(self.cookies)))
        )
        self.cookies |= reply.cookies
        return reply

    def log_in(self, password: str = "right") -> Reply:
        token = find_token(self.ask("GET", "login"))
        return self.ask("POST", "login", token=token, who="ann", password=password)

    def send(self, page: str, **fields: str) -> Reply:
        token = find_token(self.ask("GET", "camp", page))
        assert self.ask("POST", "camp", page, token=token, **fields).status == 303
        return self.ask("GET", "camp", page)


def find_token(reply: Reply) -> str:
    found = re.search(r'name="token" value="([^"]+)"', reply.body)
    assert found, reply
    return found[1]


@dataclass
class Place:
    pages: Pages
    clock: Clock
    log: Any
    shown: Shown


@pytest.fixture
def disputed(families):
    """Two sites that wrote one note; the second wrote later. One row is parked at the first."""
    here, there = families
    here.family.add_parent("p", EVIL)
    exchange(here, there)
    here.family.note("parent", "p", "here")
    here.publish()
    there.family.note("parent", "p", "there")
    there.family.add_parent("q", "same")
    here.family.add_parent("r", "same")
    exchange(here, there)
    return here, there


def make_place(here, there, *, trust_local=False) -> Place:
    async def check(password):
        return password == "right"

    clock, log = Clock(), FakeLog()
    shown = Shown(here, there.origin)
    return Place(Pages([shown], Guard(clock, trust_local=trust_local), check, log), clock, log, shown)


@pytest.fixture
def place(disputed) -> Place:
    return make_place(*disputed)


@pytest.fixture
def browser(place) -> Browser:
    made = Browser(place.pages)
    assert made.log_in().status == 303
    return made


def test_nobody_enters_without_the_password(place):
    browser = Browser(place.pages)
    assert browser.ask("GET", "camp", "overview").location == "/login"
    assert browser.log_in("wrong").status == 403
    assert browser.ask("GET", "camp", "overview").location == "/login"
    for _ in range(GUESSES):
        refused = browser.log_in("wrong")
    assert refused.status == 429 and browser.log_in("right").status == 429


def test_foreign_host_is_refused(place, browser):
    away = Browser(place.pages, "evil.example:7483")
    away.cookies = browser.cookies
    assert away.ask("GET", "camp", "overview").status == 403


def test_form_without_its_token_does_nothing(place, browser):
    for token in ("", "guessed"):
        reply = browser.ask("POST", "camp", "peers", action="unpair", device=DEVICE, sure="yes", token=token)
        assert reply.status == 403
    assert place.shown.orders.given == []


def test_login_form_of_another_browser_is_refused(place):
    token = find_token(Browser(place.pages).ask("GET", "login"))
    other = Browser(place.pages)
    other.ask("GET", "login")
    assert other.ask("POST", "login", token=token, who="x", password="right").status == 403
    assert {name.rpartition("_")[0] for name in other.cookies} == {"changecapture_door"}


def test_pages_of_one_host_take_no_cookies_from_each_other(disputed):
    """A browser sends them to every port."""
    north, south = make_place(*disputed), make_place(*disputed)
    browser = Browser(north.pages)
    browser.log_in()
    other = Browser(south.pages)
    other.cookies = browser.cookies
    other.log_in()
    for each in (browser, other):
        assert each.ask("GET", "camp", "overview").status == 200


def test_idle_session_ends(place, browser):
    place.clock.advance(IDLE_S - 1)
    assert browser.ask("GET", "camp", "tables").status == 200
    place.clock.advance(IDLE_S + 1)
    assert browser.ask("GET", "camp", "tables").location == "/login"


def test_this_machine_enters_without_password_only_when_it_is_trusted(disputed):
    browser = Browser(make_place(*disputed, trust_local=True).pages)
    assert browser.ask("GET", "camp", "overview").cookies
    assert browser.ask("GET", "camp", "overview").status == 200


@pytest.mark.parametrize("page", ["overview", "peers", "conflicts", "parked", "tables", "rows"])
def test_every_page_escapes_what_it_shows(browser, page):
    reply = browser.ask("GET", "camp", page, q="p")
    assert reply.status == 200 and "<script" not in reply.body, reply.body
    assert '<html lang="en">' in reply.body and 'name="viewport"' in reply.body


def test_overview_tells_what_needs_a_person(browser, disputed):
    body = browser.ask("GET", "camp", "overview").body
    assert "1 value lost" in body and "<svg" in body
    assert ("cannot be shown here" in body) == bool(disputed[0].parked())


@pytest.mark.parametrize(
    ("choice", "note"),
    [("take", "here"), ("keep", "there"), ("value", "both")],
    ids=["take", "keep", "value"],
)
def test_decision_of_a_conflict_wins_at_both_sites_and_is_logged(disputed, choice, note):
    here, there = disputed
    place = make_place(here, there)
    browser = Browser(place.pages)
    browser.log_in()
    page = browser.ask("GET", "camp", "conflicts").body
    assert "there" in page and "here" in page
    id_ = re.search(r'name="id" value="(\d+)"', page)[1]
    assert (
        "is resolved" in browser.send("conflicts", action="decide", id=id_, choice=choice, value="both").body
    )
    exchange(here, there)
    shown = "SELECT note FROM parent WHERE uuid = 'p'"
    assert here.family.rows(shown) == there.family.rows(shown) == [(note,)]
    assert any("ann (127.0.0.1): conflicts decide" in line for line in map(str, place.log.lines))


def test_parked_row_is_discarded_only_when_it_was_confirmed(disputed):
    here, there = disputed
    parked_at = here if here.parked() else there
    (row,) = parked_at.parked()
    browser = Browser(make_place(parked_at, here if parked_at is there else there).pages)
    browser.log_in()
    form = {"action": "discard", "table": row.table, "key": row.key}
    assert "was not confirmed" in browser.send("parked", **form).body and parked_at.parked()
    assert "still parked: 1" in browser.send("parked", action="retry").body
    assert "discarded" in browser.send("parked", **form, sure="yes").body and not parked_at.parked()


def test_row_is_found_by_a_part_of_a_name_and_its_life_is_shown(browser):
    assert "table=parent&amp;key=p" in browser.ask("GET", "camp", "rows", q="ALERT(1)").body
    life = browser.ask("GET", "camp", "rows", table="parent", key="p").body
    assert "there" in life and "here" in life
    assert "Nothing is known" in browser.ask("GET", "camp", "rows", table="parent", key="zz").body


def test_peers_are_limited_unpaired_and_paired_by_the_orders_of_the_commands(place, browser):
    browser.send("peers", action="limit", device=DEVICE, send="cr", accept="none")
    browser.send("peers", action="unpair", device=DEVICE, sure="yes")
    browser.send("peers", action="join", code="1-a-b-c", at="")
    assert "42-river" in browser.send("peers", action="pair").body
    given = [order for order in place.shown.orders.given if order["order"] != "peers"]
    assert [order["order"] for order in given] == ["limit", "unpair", "join"]


def test_another_password_ends_the_sessions_of_the_one_before(disputed):
    place, keys = make_place(*disputed), [b"old"]
    place.pages._guard._key = lambda: keys[-1]
    browser = Browser(place.pages)
    browser.log_in()
    assert browser.ask("GET", "camp", "tables").status == 200
    keys.append(b"new")
    assert browser.ask("GET", "camp", "tables").location == "/login"
    keys.append(b"old")
    assert browser.ask("GET", "camp", "tables").location == "/login"


def test_tables_are_counted_when_nobody_has_for_a_while(browser, place, disputed):
    here, _ = disputed
    first = browser.ask("GET", "camp", "tables").body
    here.family.add_parent("another")
    here.publish()
    assert place.shown.counted.rows["parent"][0] + 1 == len(here.fetch(ALIVE_PARENTS))
    assert re.findall("counted [^<)]+", browser.ask("GET", "camp", "tables").body) == re.findall(
        "counted [^<)]+", first
    )
    place.shown.counted = replace(place.shown.counted, at=0)
    browser.ask("GET", "camp", "tables")
    assert place.shown.counted.rows["parent"][0] == len(here.fetch(ALIVE_PARENTS))


@pytest.mark.parametrize("origin", ["http://[", "http://evil.example"])
def test_origin_that_is_not_ours_is_refused_however_it_is_written(place, origin):
    visit = Visit("POST", ("login",), "127.0.0.1:7483", origin=origin)
    assert result(place.pages.answer(visit)).status == 403


@pytest.mark.parametrize("header", ["Host", "Origin", "Cookie", "Accept-Language", "X-Forwarded-For"])
def test_header_of_any_bytes_is_read(header):
    request = DummyRequest([b""])
    request.requestHeaders.setRawHeaders(header.encode(), [b"\xff\xfe"])
    request.args = {b"q": [b"a\0b\xff"]}
    request.postpath = [b"a\0b"]
    visit = read_visit(request)
    assert visit.fields == {"q": "ab\N{REPLACEMENT CHARACTER}"} and visit.path == ("ab",)


def test_overview_says_with_whom_the_site_is_in_step_or_what_waits(disputed, browser):
    here, there = disputed
    note_in_step(here.store, there.store)
    assert "In step with" in browser.ask("GET", "camp", "overview").body
    here.family.note("parent", "p", "again")
    here.publish()
    body = browser.ask("GET", "camp", "overview").body
    assert "In step with" not in body and "1 change waits for it" in body
