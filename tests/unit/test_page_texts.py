"""The page's texts can be translated, all of them."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

import relay.page.texts
from changecapture.history import Happening, Life
from relay.page.texts import HERE, make_render
from tests.support.commands import ROOT, run_program

TEMPLATES = sorted((HERE / "templates").glob("*.html"))
BRANDS = {"changecapture"}


def extract() -> set[str]:
    found = extract_from_dir(HERE, [("templates/**.html", "jinja2")])
    texts = (message for _, _, message, _, _ in found)
    return {part for text in texts for part in ([text] if isinstance(text, str) else text) if part}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_text_of_a_template_is_marked_for_translation(template: Path) -> None:
    left = re.sub(r"(?s)\{%-?\s*trans\b.*?\{%-?\s*endtrans\s*-?%\}", "", template.read_text("utf-8"))
    told = re.findall(r'(?:aria-label|title|placeholder|alt)="([^"]*)"', left)
    left = re.sub(r"(?s)\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", " ", left)
    left = re.sub(r"(?s)<[^>]*>", " ", left)
    told = [re.sub(r"\{\{.*?\}\}", "", text) for text in told]
    words = {word for text in [left, *told] for word in re.findall(r"[^\W\d_]{2,}", text)}
    assert words <= BRANDS


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_every_marked_text_is_found_by_make_texts(template: Path) -> None:
    assert set(re.findall(r'\b_\(\s*"([^"]+)"', template.read_text("utf-8"))) <= extract()


def test_make_texts_writes_what_a_translation_is_made_of_and_the_page_speaks_it(tmp_path, monkeypatch):
    done = run_program("make", "texts")
    assert (done.status, done.err) == (0, ""), done
    with (ROOT / "build" / "page.pot").open("rb") as file:
        catalogue = read_po(file)
    ids = [[message.id] if isinstance(message.id, str) else message.id for message in catalogue]
    assert {text for texts in ids for text in texts} >= extract()
    catalogue["Password of this relay"].string = "Passwort dieses Relays"
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    with (folder / "page.mo").open("wb") as file:
        write_mo(file, catalogue)
    monkeypatch.setattr(relay.page.texts, "LOCALE", tmp_path)
    relay.page.texts._environment.cache_clear()
    try:
        body = make_render("de-AT,en;q=0.5")("login.html", token="", error="")
    finally:
        relay.page.texts._environment.cache_clear()
    assert "Passwort dieses Relays" in body and '<html lang="de">' in body


STATES = (
    *("shown", "shown by the mapping", "shown, but boss waits for its row", "deleted", "parked: unique: x"),
    "carried: this site does not have the table",
)


@pytest.mark.parametrize("state", STATES)
def test_every_state_of_a_row_has_words(state: str) -> None:
    undated = Happening(1, "created", "here", "o", "o/1/1", "", {"note": "x"})
    life = Life("parent", "p", ["p"], state, [undated])
    known = {"q": "", "found": None, "asked": False, "life": (life, "Nadia"), "sites": (), "page": "rows"}
    site = SimpleNamespace(name="camp")
    shown = make_render("en")("rows.html", **known, site=site, notes=(), errors=(), token="", who="")
    assert "Nadia" in shown and "before the installation" in shown
