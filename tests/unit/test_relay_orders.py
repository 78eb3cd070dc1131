"""What a person orders is done, and what cannot be done is one clear error."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from twisted.internet.defer import Deferred

from changecapture.core.scopes import Scopes
from changecapture.errors import ConfigError
from relay.address import Address
from relay.config import RelayConfig
from relay.node import Node
from relay.orders import Orders
from relay.trust.peers import Paired
from tests.unit.relay_fake import FakeLog, FakeReactor, device_id, result

ONE, TWO = device_id("1"), device_id("2")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(
        RelayConfig("north", "", tmp_path / "state"), reactor=FakeReactor(), rng=Random(1), log=FakeLog()
    )
    made.peers.put(Paired(ONE, "south"))
    yield made
    result(made.stop())


def give(node: Node, **request: Any) -> list[dict[str, Any]]:
    """Return what an order says."""

    async def modules() -> list[str]:
        return ["cr", "mpr"]

    async def work() -> list[dict[str, Any]]:
        return [said async for said in Orders(node, modules).carry_out(request)]

    return result(Deferred.fromCoroutine(work()))


def test_peers_are_listed_and_strangers_apart_from_them(node):
    node.neighbours.announce("one", [Address("10.0.0.1", 1)], ONE)
    node.neighbours.announce("two", [Address("10.0.0.2", 2)], TWO)
    ((done),) = (said["done"] for said in give(node, order="peers"))
    assert [(p["name"], p["addresses"]) for p in done["peers"]] == [("south", ["10.0.0.1:1"])]
    assert done["others"] == [{"device": TWO, "addresses": ["10.0.0.2:2"]}]


def test_a_limit_is_kept_and_shown(node):
    (said,) = give(node, order="limit", peer="south", send="all but mpr", accept="cr")
    assert node.peers.get(ONE).send == Scopes(frozenset({"mpr"}))
    assert (said["done"]["send"], said["done"]["accept"]) == ("all but mpr", "cr")


def test_one_limit_leaves_the_other(node):
    give(node, order="limit", peer="south", send="cr")
    give(node, order="limit", peer="south", accept="none")
    peer = node.peers.get(ONE)
    assert (peer.send, peer.accept) == (Scopes(frozenset({"cr"}), False), Scopes(but=False))


def test_a_module_that_no_table_is_of_is_refused_with_those_that_there_are(node):
    with pytest.raises(ConfigError, match="module mpx: the modules are cr, mpr"):
        give(node, order="limit", peer="south", send="all but mpx")


def test_a_peer_is_allowed_to_introduce_and_no_longer(node):
    for allowed in (True, False):
        give(node, order="allow", peer="south", introducer=allowed)
        assert node.peers.get(ONE).introducer is allowed


def test_unpairing_tells_who_is_gone(node):
    node.peers.put(Paired(TWO, "two", introduced_by=ONE))
    (said,) = give(node, order="unpair", peer="south")
    assert {peer["name"] for peer in said["done"]} == {"south", "two"} and node.peers.all() == []


def test_an_order_of_another_version_is_one_clear_error(node):
    with pytest.raises(ConfigError, match="does not know this command"):
        give(node, order="fly")
    with pytest.raises(ConfigError, match="lacks 'peer'"):
        give(node, order="unpair")
