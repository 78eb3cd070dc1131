"""``verify --with PEER``: two sites compare over the link, as they would in one program."""

import json
from pathlib import Path

import pytest

from changecapture.core.change import Row
from changecapture.core.hashtree import HashTree, find_differing
from changecapture.core.scopes import EVERY, Scopes
from changecapture.errors import ConfigError, PeerError
from changecapture.verify import verify
from changecapture.verify.questions import FarSide, Respondent
from changecapture.verify.side import StoreSide
from tests.support.commands import Outcome, run_command
from tests.support.compare import assert_equal_sites
from tests.support.pairing import pair_all
from tests.support.patience import Patience
from tests.support.relays import Relay
from tests.support.sites import exchange


class Clock:
    """Each look takes a second: an answer is one step."""

    now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


def far(site, scopes=EVERY) -> FarSide:
    return FarSide(Respondent(StoreSide(site.store, scopes), Clock()).answer)


def test_a_link_between_changes_nothing_of_what_is_found_and_shipped(families):
    here, there = families
    for number in range(60):
        here.family.add_parent(f"p{number}")
    exchange(here, there)
    here.family.note("parent", "p7", "new")
    there.family.add_parent("only there")
    near = verify(StoreSide(here.store), StoreSide(there.store))
    found = verify(StoreSide(here.store), far(there))
    assert found == near and {d.key for d in found.differences} == {"p7", "only there"}
    assert not found.in_step and found.bytes < 4096
    half = verify(StoreSide(here.store), far(there), repair=True)
    assert (half.repaired, [d.key for d in half.differences]) == (1, ["p7"])
    rest = verify(StoreSide(there.store), far(here), repair=True)
    assert (rest.repaired, rest.differences) == (1, [])
    assert_equal_sites(here.url, there.url)
    exchange(here, there)
    assert_equal_sites(here.url, there.url)


def test_tables_that_are_not_exchanged_are_neither_compared_nor_told_nor_taken(families):
    here, there = families
    here.family.add_parent("secret")
    here.publish()
    scope = next(iter(here.store.tables.values())).scope
    asked = far(here, Scopes(frozenset({scope})))
    with pytest.raises(ConfigError, match="no table in common"):
        verify(StoreSide(there.store), asked, repair=True)
    assert there.family.shown("parent") == {}
    for question in (
        {"do": "tell", "rows": [["parent", "secret"]]},
        {"do": "merged", "rows": [["parent", "secret"]]},
    ):
        with pytest.raises(PeerError, match="may be compared"):
            asked._ask(json.dumps(question))


MALFORMED = (
    *("", "[]", "{}", '{"do":"drop"}', '{"do":"nodes","of":[[8,256]]}', '{"do":"rows","of":[[-1,0]]}'),
    *(
        '{"do":"tell","rows":[["parent"]]}',
        '{"do":"tell","rows":[["a\\u0000b","k"]]}',
        '{"do":"find","places":5}',
    ),
    *('{"do":"take","vector":"{}","records":[]}', '{"do":"nodes","of":[[0,0],[0,0]]}'),
    '{"do":"read","without":[]}',
    '{"do":"read","without":{"parent":[{}]}}',
)


@pytest.mark.parametrize("question", MALFORMED)
def test_malformed_question_is_refused_and_the_next_one_answered(home, question):
    respondent = Respondent(StoreSide(home.store))
    respondent.answer('{"do":"begin"}')
    with pytest.raises(PeerError):
        respondent.answer(question)
    assert "tables" in respondent.answer('{"do":"begin"}')


def test_rows_below_a_node_are_listed_only_when_they_are_few(home):
    for number in range(30):
        home.family.add_parent(f"p{number}")
    asked = far(home)
    asked.begin()
    for _ in asked.read({"parent": ["note"]}):
        pass
    with pytest.raises(PeerError, match="too many rows"):
        asked.ask_rows([(0, 0)])
    nodes = [(8, value) for value in range(256)]
    assert len(asked.ask_rows(nodes)) == sum(rows for rows, _ in asked.ask_nodes(nodes)) == 30


def test_answer_about_large_rows_comes_in_parts(home, monkeypatch):
    monkeypatch.setattr("changecapture.verify.questions.LARGEST", 300)
    rows = []
    for number in range(9):
        home.family.add_parent(f"p{number}", f"name {number}")
        rows.append(Row("parent", f"p{number}"))
    asked = far(home)
    asked.begin()
    assert [told.shown["name"] for told in asked.tell(rows)] == [f"name {n}" for n in range(9)]
    assert {record.key for record in asked.merged(rows)[1]} == {row.key for row in rows}


def test_stamp_of_the_future_is_not_taken_into_our_name(families):
    here, there = families
    there.family.add_parent("p")
    there.publish()
    for table in ("changelog", "row_version"):
        there.run(f"UPDATE {there.prefix}{table} SET stamp = 7258118399999999")
    verify(StoreSide(here.store), far(there), repair=True)
    assert here.family.shown("parent") == {"p": None}
    ((stamp,),) = here.fetch("SELECT max(stamp) FROM {p}changelog")
    assert stamp <= here.store.read_clock() + 60_000_000


@pytest.mark.long
def test_peer_that_says_that_everything_differs_is_not_followed_for_ever():
    class Liar:
        def ask_nodes(self, prefixes):
            return [(10**9, n) for n, _ in enumerate(prefixes)]

    with pytest.raises(PeerError, match="hardly a row in common"):
        find_differing(HashTree(), Liar())


def test_question_before_the_beginning_is_told_to_begin(home):
    with pytest.raises(PeerError, match="is gone"):
        Respondent(StoreSide(home.store)).answer('{"do":"nodes","of":[[0,0]]}')


def ask(relay: Relay, site, *options: str) -> Outcome:
    relay.config.write_text(
        relay.config.read_text().replace('url_env = "CHANGECAPTURE_URL"', f'url = "{site.url}"')
    )
    return run_command("verify", "--config", str(relay.config), *options, "--json")


def test_running_peer_is_asked_through_the_relays_of_both(new_site, tmp_path: Path):
    here, there = new_site("mariadb", "family"), new_site("postgresql", "family")
    relays = [Relay(name, site.url, tmp_path) for name, site in (("here", here), ("there", there))]
    pair_all(*relays)
    here.family.add_parent("p", "one")
    try:
        for relay in relays:
            relay.start()
        relays[1].wait_for("received 1 change", Patience())
        relays[0].wait_for("up to date with", Patience())
        equal = ask(relays[0], here, "--with", "there")
        assert (equal.status, equal.err) == (0, ""), equal
        assert json.loads(equal.out)["rows"] == 1
        mark = (
            "SET changecapture.applying = 'on'"
            if there.dialect == "postgresql"
            else "SET @changecapture_applying = 1"
        )
        there.run(f"{mark}; UPDATE parent SET note = 'unseen';")
        differing = ask(relays[0], here, "--with", "there", "--repair")
        (difference,) = json.loads(differing.out)["differences"]
        assert differing.status == 1 and difference["columns"] == {"note": [None, "unseen"]}
        assert "reconcile" in difference["right"] and there.family.shown("parent") == {"p": "unseen"}
        relays[1].stop()
        away = ask(relays[0], here, "--with", "there")
        assert away.status == 2 and away.err.count("\n") == 1, away
    finally:
        for relay in relays:
            relay.stop()
    assert "no relay runs here" in ask(relays[0], here, "--with", "there").err


def test_verify_takes_two_databases_or_a_peer():
    for arguments in ((), ("a",), ("a", "b", "--with", "c")):
        assert run_command("verify", *arguments).status == 2
