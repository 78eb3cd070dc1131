"""The relay works with the rights that doctor prints and no others, and doctor names each that is missing."""

from contextlib import closing, contextmanager

import pytest

from changecapture.config import parse_url
from changecapture.doctor import make_subject
from changecapture.doctor.relay_rights import check_relay_rights, list_relay_rights
from changecapture.drift import find_drift
from changecapture.errors import ConfigError
from changecapture.pair import synchronise
from changecapture.status import read_status
from changecapture.store import open_store
from changecapture.sync import NO_TERMS
from relay.connection import DatabaseExchange
from tests.support.accounts import PASSWORD, account_name, new_account, with_login
from tests.support.commands import run_command
from tests.support.databases import run_script
from tests.support.sites import assert_in_step


def statements(shown):
    """Return the statements that the command printed, without those of a $ or a why."""
    return [line.strip() for line in shown.out.splitlines() if line.endswith(";")]


@contextmanager
def relay_account(url):
    """Give the URL of an account that was made as doctor prints it."""
    with account_name(url) as name:
        for statement in statements(run_command("doctor", url, "--role", name)):
            run_script(url, statement)
        yield with_login(url, name)


def fill(site):
    """Write rows of every kind: references of each action, keys of ours, a tree."""
    site.add_parent("anna", "Anna")
    site.add_parent("ben", "Ben", boss="anna")
    site.add_child("carl", "anna", may="ben")
    site.add_child("dora", "ben", keep="anna")
    site.add_toy("ball", "carl")
    site.add_link("anna", "carl", "fond")
    site("INSERT INTO word VALUES ('w', 'n')")
    site("INSERT INTO line (note) VALUES ('first'), ('second')")


def test_relay_publishes_applies_and_tells_its_status_with_the_rights_that_doctor_prints(families):
    here, there = families
    with relay_account(here.url) as theirs, closing(open_store(theirs)) as store:
        fill(here.family)
        synchronise(store, there.store)
        for site, word in ((here, "here"), (there, "there")):
            site.family.note("child", "carl", word)
            site.family(f"UPDATE line SET note = '{word}' WHERE note = 'first'")
        here.family("UPDATE word SET text = 'v'")
        there.family("DELETE FROM line WHERE note = 'second'")
        there.family("INSERT INTO line (note) VALUES ('third')")
        there.family.add_parent("taken", "Eve")
        here.family.add_parent("also", "Eve")
        there.family.delete("child", "carl")
        synchronise(store, there.store)
        here.family.add_child("carl", "ben")  # comes back, after it was deleted
        there.family.delete("parent", "taken")  # what was parked is shown
        synchronise(store, there.store)
        there.family("UPDATE parent SET uuid = 'benjamin' WHERE uuid = 'ben'")
        synchronise(store, there.store)
        assert read_status(store).parked == {}
        assert find_drift(store) == []
        assert_in_step(here, there)


def test_relay_starts_and_exchanges_with_the_rights_that_doctor_prints(families):
    here, there = families
    here.family.add_parent("anna", "Anna")
    there.family.add_parent("ben", "Ben")
    there.publish()
    with (
        relay_account(here.url) as theirs,
        closing(DatabaseExchange(parse_url(theirs)).open()) as relay,
        closing(DatabaseExchange(parse_url(there.url)).open()) as peer,
    ):
        assert relay.publish() == 1
        assert relay.greet("").site == here.origin
        request = relay.next_request(there.origin, NO_TERMS)
        relay.receive(there.origin, peer.answer(request, NO_TERMS).payload, NO_TERMS)
        request = peer.next_request(here.origin, NO_TERMS)
        peer.receive(here.origin, relay.answer(request, NO_TERMS).payload, NO_TERMS)
        assert relay.retry() == 0
    assert_in_step(here, there)


def test_account_made_as_doctor_prints_has_all_that_it_needs_and_no_more(home):
    with relay_account(home.url) as theirs:
        shown = run_command("doctor", theirs)
        assert "rights" not in shown.out.replace("relay's rights", "").replace("more rights", "")
        with closing(open_store(theirs)) as store, pytest.raises(ConfigError):
            store.execute(f"DROP TABLE {store.prefix}captured")
        with closing(open_store(theirs)) as store, pytest.raises(ConfigError):
            store.execute(f"UPDATE {store.prefix}synced_table SET active = 0")
        with closing(open_store(theirs)) as store, pytest.raises(ConfigError):
            store.execute("DROP TABLE toy")


def test_each_right_that_is_taken_away_is_named_with_the_grant_that_gives_it(home):
    with relay_account(home.url) as theirs, closing(open_store(home.url, installed=False)) as admin:
        name = theirs.split("//")[1].split(":")[0]
        subject = make_subject(admin, name)
        account = name if home.dialect == "postgresql" else f"'{name}'@'localhost'"
        assert list(check_relay_rights(subject)) == []
        rights = list_relay_rights(subject)
        assert len(rights) > 40
        for right in rights:
            named = f"{right.right} ON {right.kind} {right.name}"
            if right.kind == "SCHEMA" and "public" in right.name:
                continue  # everyone has it on PostgreSQL, by PUBLIC
            home.run(f"REVOKE {named} FROM {account}")
            (problem,) = check_relay_rights(subject)
            assert problem.state == "mend"
            assert problem.mend == (f"GRANT {named} TO {account}",)
            home.run(problem.mend[0])
        assert list(check_relay_rights(subject)) == []


def test_relay_without_a_right_is_told_by_doctor_which_in_its_own_account_too(home):
    with relay_account(home.url) as theirs:
        name = theirs.split("//")[1].split(":")[0]
        account = name if home.dialect == "postgresql" else f"'{name}'@'localhost'"
        table = "public.toy" if home.dialect == "postgresql" else "toy"
        home.run(f"REVOKE DELETE ON {table} FROM {account}")
        shown = run_command("doctor", theirs)
        assert shown.status == 1
        (grant,) = statements(shown)
        assert grant.startswith("GRANT DELETE ON TABLE ")
        assert "toy" in grant
        home.run(grant)
        assert "GRANT" not in run_command("doctor", theirs).out


def test_administrator_is_told_that_a_relay_needs_less(home):
    shown = run_command("doctor", home.url)
    assert shown.status == 0
    assert "may do everything on this server" in shown.out


def test_account_of_several_hosts_must_be_named_in_full(new_site):
    home = new_site("mariadb", "family")
    with new_account(home.url) as (_, account):
        home.run(f"CREATE USER {account.replace('%', 'localhost')} IDENTIFIED BY '{PASSWORD}'")
        name = account.split("'")[1]
        shown = run_command("doctor", home.url, "--role", name)
        assert f"several accounts are named {name}" in shown.out
        assert len(statements(run_command("doctor", home.url, "--role", f"{name}@%"))) > 10
