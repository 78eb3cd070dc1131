"""Whatever a program with a token sends, in either form, it is answered or refused, and others are served.

The calls go to the real service, over a whole site in memory; HTTP is left out here
(tests/database/test_clients.py and test_hostile_network.py have it).
"""

import base64
import json
import xmlrpc.client
import zlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from changecapture import clients as service
from changecapture.core.scopes import EVERY
from relay.address import Address
from relay.clients import Clients
from relay.rpc import BROKEN, Form, JsonForm, XmlForm
from relay.trust.state import open_state
from relay.trust.tokens import MOST_INSTALLATIONS, Token, Tokens
from tests.property.test_hostile_calls import Direct
from tests.support.family import script
from tests.support.memory import MemorySite
from tests.unit.core.test_codec import json_values, replace_somewhere
from tests.unit.relay_fake import FakeLog, FakeReactor, new_identity, result

FORMS = (JsonForm(), XmlForm())
EXAMPLES = settings(max_examples=60, deadline=None)


class World:
    """A site that serves two programs."""

    def __init__(self, directory: Path) -> None:
        self.site = MemorySite(script("memory"))
        self.log, self.clock = FakeLog(), FakeReactor()
        self.tokens = Tokens(open_state(directory))
        database: Any = Direct(self.site)
        self.service = Clients(
            Address("127.0.0.1", 0),
            tokens=self.tokens,
            database=database,
            identity=new_identity(),
            reactor=self.clock,
            log=self.log,
        )
        self.evil, self.good = self.add("evil"), self.add("good")
        self.numbers = count(1)

    def add(self, name: str) -> Token:
        found = self.tokens.find(self.tokens.add(name, EVERY, EVERY))
        assert found is not None
        return found

    def call(self, form: Form, body: bytes, token: Token) -> bytes:
        self.clock.advance(1000)
        answering = Deferred.fromCoroutine(self.service.answer(form, token, body))
        self.clock.advance(100)
        return result(answering)

    def serves_others(self) -> None:
        """Check that an honest program's next word is taken and shown, and that the application's is told."""
        word = f"word{next(self.numbers)}"
        change = {"table": "parent", "uuid": word, "columns": {"name": word}}
        said = json.loads(self.call(FORMS[0], write_json("sync.put_changes", ["u", [change]]), self.good))
        assert said["result"]["taken"] == 1, said
        assert self.site.family.rows(f"SELECT 1 FROM parent WHERE uuid = '{word}'"), said

    def check(self, form: Form, body: bytes) -> Any:
        """Make a call; fail unless it is answered or refused for what it is. Return the answer."""
        answered = self.call(form, body, self.evil)
        assert self.log.lines == []
        self.serves_others()
        if not answered:
            return None  # a byte less, and it was a notification
        if isinstance(form, JsonForm):
            said = json.loads(answered, parse_constant=pytest.fail)
            assert said.get("error", {"code": 0})["code"] != BROKEN
            return said.get("result")
        try:
            return xmlrpc.client.loads(answered)[0][0]
        except xmlrpc.client.Fault as fault:
            assert fault.faultCode != BROKEN
            return None


def write_json(method: str, parameters: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).encode()


def write_xml(method: str, parameters: Any) -> bytes:
    return xmlrpc.client.dumps(tuple(parameters), method, allow_none=True).encode()


WRITERS = {"json": (FORMS[0], write_json), "xml": (FORMS[1], write_xml)}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("clients") / "state")
    made.site.family.add_parent("p1")
    made.site.publish()
    yield made


names = st.sampled_from(["sync.get_changes", "sync.put_changes"])
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(max_size=20)
)
changes = st.fixed_dictionaries(
    {"table": st.sampled_from(["parent", "child", "toy", "link", "word", "line"]) | scalars},
    optional={
        "uuid": st.sampled_from(["p1", '["x"]', "urn:1"]) | scalars,
        "deleted": st.booleans() | scalars,
        "changed_at": st.datetimes().map(lambda time: time.isoformat()) | scalars,
        "columns": st.dictionaries(
            st.sampled_from(["note", "must", "may", "name", "boss", "text", "uuid", "id", "@alive"]), scalars
        )
        | scalars,
    },
)


@EXAMPLES
@given(method=names | st.text(max_size=9), parameters=json_values | st.lists(scalars, max_size=4))
def test_calls_with_any_parameters(world: World, method: str, parameters: Any):
    world.check(FORMS[0], write_json(method, parameters))


@EXAMPLES
@given(put=st.lists(changes, max_size=3), since=st.just("") | st.text(max_size=20))
def test_changes_with_any_values(world: World, put: Any, since: str):
    # Python writes NaN and infinities, which are not JSON: they must be refused.
    world.check(FORMS[0], write_json("sync.put_changes", ["u-1", put, since]))


@EXAMPLES
@given(data=st.data(), way=st.sampled_from(sorted(WRITERS)))
def test_bodies_with_a_wrong_byte(world: World, data: Any, way: str):
    form, write = WRITERS[way]
    change = {"table": "parent", "uuid": "p1", "columns": {"note": "n"}, "changed_at": "2026-01-01T00:00:00Z"}
    body = bytearray(write("sync.put_changes", ["u-1", [change], ""]))
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    world.check(form, bytes(body))


@EXAMPLES
@given(data=st.data())
def test_since_with_another_value_somewhere(world: World, data: Any):
    until = service.get_changes(world.site.store, "evil u-1", "", EVERY)["until"]
    held = json.loads(zlib.decompress(base64.urlsafe_b64decode(until)))
    forged = replace_somewhere(data.draw, held, data.draw(json_values))
    text = base64.urlsafe_b64encode(zlib.compress(json.dumps(forged).encode())).decode()
    world.check(FORMS[0], write_json("sync.get_changes", ["u-1", text]))
    world.check(FORMS[0], write_json("sync.put_changes", ["u-1", [{"table": "parent", "uuid": "p"}], text]))


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"id":' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"method":"sync.put_changes","params":["u",[{"table":' + b"[" * 900 + b"]" * 900 + b"}]]}",
        b'{"method":"sync.put_changes","params":["u\\ud800",[{"table":"parent","uuid":"p"}]]}',
        b'{"method":"sync.get_changes","params":["u","",' + b"9" * 4000 + b"]}",
        b'{"method":"sync.put_changes","params":["u",[{"table":"parent","uuid":"p","columns":{"note":NaN}}]]}',
        b"\xff\xfe",
    ],
    ids=["no end", "deep id", "deep table", "half a character", "huge number", "not a number", "not text"],
)
def test_calls_that_are_made_to_hurt(world: World, body: bytes):
    world.check(FORMS[0], body)


@pytest.mark.parametrize("value", [9**400, -(2**63) - 1, "9" * 400, 2**53 + 1])
def test_a_number_that_no_column_holds_is_parked_or_refused(world: World, value: Any):
    change = {"table": "toy", "uuid": "t", "columns": {"note": str(value), "owner": value}}
    world.check(FORMS[0], write_json("sync.put_changes", ["u-1", [change]]))


def test_a_time_in_the_far_future_is_now(world: World):
    change = {
        "table": "parent",
        "uuid": "late",
        "columns": {"note": "x"},
        "changed_at": "9999-12-31T00:00:00Z",
    }
    world.check(FORMS[0], write_json("sync.put_changes", ["u-1", [change]]))
    world.site.family("UPDATE parent SET note = 'later' WHERE uuid = 'late'")
    world.site.publish()
    told = service.get_changes(world.site.store, "good u", "", EVERY)
    assert [c["columns"]["note"] for c in told["changes"] if c["uuid"] == "late"] == ["later"]


def test_a_program_that_calls_itself_another_each_time_is_refused_before_it_fills_every_vector(world: World):
    before = len(world.site.store.read_vector())
    change = {"table": "parent", "uuid": "w", "columns": {"note": "w"}}
    for number in range(MOST_INSTALLATIONS + 20):
        body = write_json("sync.put_changes", [f"forged-{number}", [change]])
        refused = json.loads(world.call(FORMS[0], body, world.evil)).get("error")
    assert "installations" in refused["message"]
    assert len(world.site.store.read_vector()) <= before + MOST_INSTALLATIONS
    world.serves_others()
