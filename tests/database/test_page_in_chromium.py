"""The page as a person sees it: a real Chromium on a running relay, as wide as a desk's screen and a phone's.

Pictures of every page are left in build/screenshots.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from relay.page.password import write_password
from tests.support.commands import ROOT
from tests.support.pairing import pair_all
from tests.support.patience import Patience
from tests.support.relays import Relay
from tests.support.sites import Site, exchange

pytestmark = pytest.mark.long
PASSWORD = "four words of nothing"
PAGES = ("overview", "peers", "conflicts", "parked", "rows?q=name", "rows?table=parent&key=p1", "tables")
SIZES = {"desk": (1280, 900), "phone": (360, 740)}
AXE = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
PICTURES = ROOT / "build" / "screenshots"
MEASURE = (ROOT / "tests" / "support" / "measure.js").read_text(encoding="utf-8")


@dataclass
class Place:
    """A relay with a page that there is something to see on."""

    relay: Relay
    address: str
    sites: tuple[Site, Site]


def find_chromium() -> str:
    names = (
        os.environ.get("CHANGECAPTURE_TEST_CHROMIUM", ""),
        "chromium",
        "chromium-browser",
        "google-chrome",
    )
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    assert found, "no Chromium: run scripts/setup_browser.sh .venv, or name one: CHANGECAPTURE_TEST_CHROMIUM"
    return found


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def place(new_site, tmp_path: Path) -> Iterator[Place]:
    here, there = new_site("postgresql", "family"), new_site("mariadb", "family")
    for number in range(12):
        here.family.add_parent(f"p{number}", f"name {number}")
    exchange(here, there)
    for site, note in ((there, "camp ten, tent 4"), (here, "camp two, tent 17")):
        site.family.note("parent", "p1", note)
        site.family.note("parent", "p2", f"{note}, in a longer sentence that has to be broken on a phone")
        site.publish()
    there.family.add_parent("q", "one name")
    here.family.add_parent("r", "one name")
    exchange(here, there)
    site = here if here.parked() else there
    other = there if site is here else here
    relays = [Relay("camp-north", site.url, tmp_path), Relay("city-hospital-2", other.url, tmp_path)]
    pair_all(*relays)
    write_password(relays[0].state, PASSWORD)
    relays[0].config.write_text(relays[0].config.read_text() + "[page]\nport = 0\n")
    try:
        for relay in relays:
            relay.start()
        relays[0].wait_for("up to date with", Patience())
        site.family.add_parent("went", "went")
        other.family.add_parent("came", "came")
        for relay in relays:
            relay.wait_for("received 1 change", Patience())
        (line,) = [line for line in relays[0].lines if "page: http" in line]
        yield Place(relays[0], line.partition("page: ")[2], (site, other))
    finally:
        for relay in relays:
            relay.stop()


@pytest.fixture(params=[(size, scheme) for size in SIZES for scheme in ("light", "dark")], ids="-".join)
def screen(request, chromium) -> Iterator[Any]:
    size, scheme = request.param
    width, height = SIZES[size]
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    page.faults = []
    page.on(
        "console", lambda said: page.faults.append(said.text) if said.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.name = f"{size}-{scheme}"
    yield page
    context.close()


def log_in_by_keyboard(page: Any, place: Place) -> None:
    """Log in without a mouse: the fields come in the order in which they stand."""
    page.goto(place.address)
    page.keyboard.press("Tab")
    page.keyboard.type("ann")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector("nav")


def take_picture(page: Any, name: str) -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{page.name}-{name}.png", full_page=True)


def find_barriers(page: Any) -> list[str]:
    """Return what axe-core finds that keeps people out: labels, landmarks, contrast, order of headings."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, options=AXE).response["violations"]
    return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]


def test_every_page_can_be_read_and_tapped_on_every_screen(place, screen):
    screen.goto(place.address)
    wrong = {"login": screen.evaluate(MEASURE) + find_barriers(screen)}
    take_picture(screen, "login")
    log_in_by_keyboard(screen, place)
    for path in PAGES:
        screen.goto(f"{place.address}camp-north/{path}")
        wrong[path] = screen.evaluate(MEASURE) + find_barriers(screen)
        take_picture(screen, path.partition("&")[0].replace("?", "-").replace("=", "-"))
    assert {path: faults for path, faults in wrong.items() if faults} == {}
    assert screen.faults == []


def test_conflict_is_decided_with_the_keyboard_alone(place, screen):
    log_in_by_keyboard(screen, place)
    screen.goto(f"{place.address}camp-north/conflicts")
    before = screen.locator("article").count()
    screen.locator("article input[type=radio]").first.focus()
    screen.keyboard.press("ArrowDown")
    assert screen.locator("article input[type=radio]").nth(1).is_checked()
    screen.keyboard.press("Enter")
    screen.wait_for_selector("[role=status]")
    assert "is resolved (take)" in screen.inner_text("[role=status]")
    assert screen.locator("article").count() == before - 1


def test_focus_is_seen_and_the_first_tab_skips_to_the_content(place, screen):
    log_in_by_keyboard(screen, place)
    screen.goto(f"{place.address}camp-north/overview")
    screen.keyboard.press("Tab")
    assert screen.evaluate("document.activeElement.className") == "skip"
    assert screen.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
    screen.keyboard.press("Tab")
    assert screen.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)") >= 2


def test_nobody_sees_anything_after_logging_out(place, screen):
    log_in_by_keyboard(screen, place)
    screen.get_by_role("button", name="Log out").click()
    screen.goto(f"{place.address}camp-north/conflicts")
    assert screen.url.endswith("/login")
