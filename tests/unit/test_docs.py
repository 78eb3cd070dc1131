"""The documentation is built without a warning, lacks nothing, and fetches nothing."""

import os
import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import click
import pytest

from changecapture.cli import commands
from changecapture.profiles.form import LISTS, RECORDS, VALUES
from relay.cli import main as relay_commands
from relay.settings import ONE_OF_MANY, TYPES

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = {"changecapture": commands, "changecapture-relay": relay_commands}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `mkdocs build --strict` has put the pages: a broken link would have failed it."""
    directory = tmp_path_factory.mktemp("docs")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", directory],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "true"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    return directory


def read_text(page: Path) -> str:
    """What a reader sees of a page, without the tags."""
    return unescape(re.sub(r"<[^>]*>", "", page.read_text(encoding="utf-8")))


def list_commands(group: click.Group, called: str) -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = [(called, group)]
    for name, command in group.commands.items():
        below = isinstance(command, click.Group)
        found += list_commands(command, f"{called} {name}") if below else [(f"{called} {name}", command)]
    return found


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_command_and_option_is_in_the_reference(program: str, site: Path) -> None:
    text = read_text(site / "reference" / f"{program}.html")
    for called, command in list_commands(PROGRAMS[program], program):
        assert called in text
        options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
        assert {o for option in options for o in option.opts if o not in text} == set()


def test_every_setting_of_a_relay_is_in_the_reference(site: Path) -> None:
    rows = re.findall(r"<tr>.*?</tr>", (site / "reference/relay-toml.html").read_text("utf-8"), re.S)
    first = [unescape(re.sub(r"<[^>]*>", "", row.partition("</td>")[0])) for row in rows]

    def is_told(place: str, setting: str) -> bool:
        return any(cell.split()[0] == place and re.search(rf"\b{setting}\b", cell) for cell in first[1:])

    places = {f"[{name}]" if name != "peer" else "[[peer]]": keys for name, keys in TYPES.items()}
    places["[[database]]"] = ONE_OF_MANY
    assert [(p, s) for p, keys in places.items() for s in keys if not is_told(p, s)] == []


def test_every_key_of_a_profile_is_in_the_reference(site: Path) -> None:
    text = read_text(site / "reference/profile-toml.html")
    assert [key for key in VALUES if key not in text] == []
    lines = text.splitlines()
    for form, brackets in ((RECORDS, "[{}]"), (LISTS, "[[{}]]")):
        for name, (required, others) in form.items():
            told = " ".join(line for line in lines if brackets.format(name) in line)
            assert [key for key in (*required, *others) if not re.search(rf"\b{key}\b", told)] == [], name


def test_reading_fetches_nothing_from_elsewhere(site: Path) -> None:
    fetched = re.compile(r"<(?:link|script|img|iframe)[^>]*?(?:href|src)=[\"']?((?:https?:)?//[^\"'> ]+)")
    pages = list(site.rglob("*.html"))
    assert len(pages) > 10
    assert {url for page in pages for url in fetched.findall(page.read_text(encoding="utf-8"))} == set()


def read_security() -> str:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    return " ".join(text.partition("\n## Security")[2].partition("\n## ")[0].split())


NAMED = re.compile(r"(?:(\w+)/)?\b(test_\w+): ((?:(?!\w*/?\btest_\w+: )[^()|])*)")
"""Where tests are, and what they say: ``database/test_clients: one law; another``."""


def test_tests_that_the_section_security_names_are_there() -> None:
    named = NAMED.findall(read_security())
    assert len(named) > 30
    gone = []
    for folder, file, laws in named:
        tests = (ROOT / "tests" / (folder or "unit") / f"{file}.py").read_text(encoding="utf-8")
        for law in filter(str.strip, laws.split(";")):
            name = re.sub(r"[^a-z0-9]+", "_", law.lower()).strip("_")
            if not re.search(rf"def test_\w*{name}", tests):
                gone.append(f"{file}: {law}")
    assert gone == []
