"""Several databases in one relay, by the example of the documentation."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from relay.cli import main
from tests.support.pairing import pair_states
from tests.support.patience import Patience
from tests.support.relays import ROOT, Relay
from tests.support.sites import Site

NAMES = ("north-eden", "north-vesuvius")
HERE = """
[listen]
host = "127.0.0.1"
port = 0
[discovery]
service = "{service}"
"""


def read_example() -> str:
    """Return the configuration that the documentation shows."""
    text = (ROOT / "docs/reference/relay-toml.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", text.partition("## Several databases")[2], re.DOTALL)
    return str(example).replace("port = 7490", "port = 0")


@pytest.fixture
def relay(tmp_path: Path) -> Iterator[Relay]:
    made = Relay("north", "", tmp_path)
    service = re.findall(r'service = "(.*?)"', made.config.read_text())[0]
    made.config.write_text(read_example() + HERE.format(service=service))
    yield made
    made.stop()


def test_two_databases_of_one_relay_are_two_sites_that_are_paired_and_exchange(
    families: tuple[Site, Site], relay, tmp_path, monkeypatch
):
    eden, vesuvius = families
    monkeypatch.setenv("EDEN_URL", eden.url)
    monkeypatch.setenv("VESUVIUS_URL", vesuvius.url)
    pair_states(*((name, tmp_path / f"{name}.state") for name in NAMES))
    relay.start()
    for site, name in zip(families, NAMES, strict=True):
        site.family.add_parent(name)
    both = sorted(NAMES)
    for site in families:
        Patience().wait(lambda s=site: sorted(s.family.shown("parent")) == both, f"{both} at {site.url}")
    for site, name, other in zip(families, NAMES, reversed(NAMES), strict=True):
        assert relay.said(f"{name}: this is {name}, site {site.origin}")
        told = CliRunner().invoke(main, ["peers", "--config", str(relay.config), "--site", name]).output
        assert f"  {other} (device " in told
    told = CliRunner().invoke(main, ["peers", "--config", str(relay.config)])
    assert told.exit_code == 2 and "add --site NAME" in told.output


def test_one_database_under_two_spellings_is_not_run_as_two_sites(new_site, relay, monkeypatch):
    site = new_site("postgresql", "family")
    monkeypatch.setenv("EDEN_URL", site.url)
    monkeypatch.setenv("VESUVIUS_URL", site.url.replace("127.0.0.1", "127.1"))
    relay.start()
    relay.wait_for("is stopped: it is the same site as north-", Patience())
    site.family.add_parent("still published")
    Patience().wait(lambda: not site.store.count_captured(), "the change to be published")
    relay.stop()
    assert not [line for line in relay.lines if "Traceback" in line or "mistake" in line]
