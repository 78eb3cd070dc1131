"""Database URLs: what an operator may write, and one clear line, without the password, when it is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from changecapture.config import parse_url
from changecapture.errors import ConfigError


def test_every_part_of_a_url_is_read():
    url = parse_url("postgresql://jo%40x:s%25cret%2F1@db.example:5433/eden?sslmode=require")
    assert (url.engine, url.host, url.port) == ("postgresql", "db.example", 5433)
    assert (url.user, url.password, url.database) == ("jo@x", "s%cret/1", "eden")
    assert url.options == (("sslmode", "require"),)


@pytest.mark.parametrize(
    ("scheme", "engine", "port"),
    [
        ("postgresql", "postgresql", 5432),
        ("postgres", "postgresql", 5432),
        ("mysql", "mysql", 3306),
        ("mariadb", "mysql", 3306),
    ],
)
def test_scheme_names_the_engine_and_its_usual_port(scheme, engine, port):
    url = parse_url(f"{scheme}://site/eden")
    assert (url.engine, url.port) == (engine, port)


def test_url_comes_from_the_environment_variable_that_is_named():
    assert parse_url("env:EDEN", {"EDEN": "mysql://site/eden"}).database == "eden"


def test_missing_environment_variable_names_the_command_that_sets_it():
    with pytest.raises(ConfigError, match=r"variable EDEN \(export EDEN=postgresql://"):
        parse_url("env:EDEN", {})


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("eden", "not a database URL: it names no kind of database (write postgresql://"),
        ("sqlite:///eden.db", "not a database URL: it begins with 'sqlite:'"),
        ("postgresql://site", "the database URL names no database"),
        ("postgresql://site:70000/eden", "the port in the database URL is not a number up to 65535"),
        ("postgresql://[::1/eden", "not a database URL: its host cannot be read"),
        ("postgresql://jo:se/cret@site/eden", "the database URL has a # or a / too many"),
        ("postgresql://jo:12/cret@site/eden", "the database URL has a # or a / too many"),
        ("postgresql://jo:se#cret@site/eden", "the database URL has a # or a / too many"),
        ("postgresql://jo:12#cret@site/eden", "the database URL has a # or a / too many"),
        ("postgresql://jo:12?cret@site/eden", "the database URL names no database"),
        ("postgresql://jo:cret/eden", "the port in the database URL is not a number"),
    ],
)
def test_what_is_no_url_gets_one_line_that_shows_no_password(text, what):
    with pytest.raises(ConfigError) as caught:
        parse_url(text)
    assert what in str(caught.value)
    assert "cret" not in str(caught.value)


def test_password_is_shown_neither_in_messages_nor_in_debugging():
    url = parse_url("mysql://jo:cret@site/eden")
    assert "cret" not in f"{url} {url!r}"


@given(st.text() | st.from_regex(r"(postgresql|mysql)://[^ ]*"))
def test_any_text_is_a_url_or_gets_one_line(text):
    try:
        parse_url(text, {})
    except ConfigError as error:
        assert "\n" not in str(error)
