"""The relay's commands, as far as they need no network."""

import re
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from changecapture.core.scopes import Scopes
from changecapture.errors import ConfigError
from relay.cli import main
from relay.config import RelayConfig, read_config
from relay.orders import read_modules, tell_modules
from relay.settings import TYPES


def run(*arguments: str) -> tuple[int, str]:
    ended = CliRunner().invoke(main, arguments)
    return ended.exit_code, ended.output


def test_init_writes_what_is_read_as_the_defaults(tmp_path: Path):
    file = tmp_path / "relay.toml"
    assert run("init", "--config", str(file), "--name", "camp-north")[0] == 0
    config = read_config(file, {"CHANGECAPTURE_URL": "postgresql://h/d"})
    assert config == RelayConfig("camp-north", "postgresql://h/d", tmp_path / "relay.state")


def test_what_init_leaves_as_a_comment_is_the_default(tmp_path: Path):
    file = tmp_path / "relay.toml"
    run("init", "--config", str(file), "--name", "n")
    lines = [line.removeprefix("# ") for line in file.read_text().partition("[metrics]")[0].splitlines()]
    settings = [
        line for line in lines if line.startswith(("host", "port", "enabled", "interfaces", "service"))
    ]
    assert len(settings) == 5
    listen, discovery = "\n".join(settings[:2]), "\n".join(settings[2:])
    tables = tomllib.loads(f"[listen]\n{listen}\n[discovery]\n{discovery}")
    known = RelayConfig("n", "")
    assert tables["listen"] == {"host": known.host, "port": known.port}
    assert tables["discovery"]["service"] == known.service and tables["discovery"]["enabled"]


def test_init_names_every_setting_of_a_single_site(tmp_path: Path):
    file = tmp_path / "relay.toml"
    run("init", "--config", str(file), "--name", "camp-north")
    parts = dict(re.findall(r"(?ms)^(?:# )?\[+(\w+)\]+(.*?)(?=^(?:# )?\[|\Z)", file.read_text()))
    missing = {
        f"{place}.{name}"
        for place, settings in TYPES.items()
        for name in settings
        if not re.search(rf"(?m)^(?:# )?{name} =", parts.get(place, ""))
    }
    assert missing == set()


def test_init_overwrites_nothing(tmp_path: Path):
    file = tmp_path / "relay.toml"
    file.write_text("mine")
    status, said = run("init", "--config", str(file))
    assert status == 2 and "is there already" in said and file.read_text() == "mine"


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "x" * 65])
def test_a_name_that_would_not_be_read_again_is_refused(tmp_path: Path, name: str):
    status, said = run("init", "--config", str(tmp_path / "relay.toml"), "--name", name)
    assert status == 2 and "cannot be used" in said and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "scopes"),
    [
        ("all", Scopes()),
        ("none", Scopes(but=False)),
        ("cr", Scopes(frozenset({"cr"}), False)),
        ("cr, gis", Scopes(frozenset({"cr", "gis"}), False)),
        ("all but mpr", Scopes(frozenset({"mpr"}))),
        ("all but mpr,dvi", Scopes(frozenset({"mpr", "dvi"}))),
    ],
)
def test_modules_are_read_as_people_write_them(text, scopes):
    assert read_modules(text) == scopes
    assert read_modules(tell_modules(scopes)) == scopes


@pytest.mark.parametrize("text", ["", "all but", "all cr", "but cr", ","])
def test_what_names_no_modules_is_refused(text):
    with pytest.raises(ConfigError, match="names no modules"):
        read_modules(text)


@pytest.mark.parametrize("command", sorted(main.commands))
def test_help_of_every_command_has_an_example(command: str):
    assert f"  Example:\n    changecapture-relay {command}" in run(command, "--help")[1]


def test_what_tells_something_tells_it_as_json_too():
    given = {name for name, c in main.commands.items() if any("--json" in p.opts for p in c.params)}
    assert given == {"pair", "peers", "allow", "limit", "unpair", "token"}
