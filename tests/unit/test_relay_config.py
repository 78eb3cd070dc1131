"""The configuration is read strictly."""

from pathlib import Path

import pytest

from changecapture.errors import ConfigError
from relay.address import Address, is_loopback, own_addresses, parse_address
from relay.config import make_program, read_config

SITE = {"name": "north"}
DATABASE = {"url": "postgresql://u:secret@127.0.0.1/eden"}


def make(**tables: object):
    return make_program({"site": SITE, "database": DATABASE} | tables, {}).find(None)


def test_a_whole_file_is_read(tmp_path: Path):
    file = tmp_path / "relay.toml"
    file.write_text(
        """
        [site]
        name = "north"
        state = "north.state"
        [database]
        url_env = "EDEN"
        [listen]
        host = "localhost"
        port = 8001
        [discovery]
        enabled = false
        interfaces = ["127.0.0.2"]
        service = "_exercise-1._tcp.local."
        [[peer]]
        address = "127.0.0.1:8002"
        [[peer]]
        address = "[::1]:8003"
        """
    )
    config = read_config(file, {"EDEN": "mysql://u:secret@h/eden"})
    assert (config.name, config.url) == ("north", "mysql://u:secret@h/eden")
    assert (config.host, config.port) == ("127.0.0.1", 8001)
    assert (config.discovery, config.interfaces) == (False, ("127.0.0.2",))
    assert config.service == "_exercise-1._tcp.local."
    assert config.peers == (Address("127.0.0.1", 8002), Address("::1", 8003))
    assert config.state == tmp_path / "north.state"


def test_site_and_database_are_enough():
    config = make()
    assert (config.host, config.port, config.peers) == ("*", 7480, ())
    assert (config.discovery, config.interfaces) == (True, ())
    assert config.state == Path("relay.state")
    assert config.service == "_sahana-sync._tcp.local."


def test_the_password_does_not_show():
    assert "secret" not in repr(make())


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"sites": {}}, "[sites] is not known"),
        ({"site": {"name": "n", "nme": "x"}}, "[site] nme is not known"),
        ({"site": {}}, "[site] name is missing"),
        ({"site": {"name": 3}}, "[site] name must be a text"),
        ({"site": {"name": "a\nb"}}, "[site] name cannot be used"),
        ({"site": {"name": "n", "state": "a\0b"}}, "[site] state cannot be used"),
        ({"site": {"name": "n", "state": ""}}, "[site] state cannot be used"),
        ({"site": "north"}, "[site] must be a table"),
        ({"database": {}}, "[database] needs one of url and url_env"),
        ({"database": DATABASE | {"url_env": "X"}}, "[database] needs one of"),
        ({"database": {"url_env": "X"}}, "environment variable X"),
        ({"database": {"url": "sqlite:///x"}}, "not a database URL"),
        ({"listen": {"port": "80"}}, "[listen] port must be a whole number"),
        ({"listen": {"port": True}}, "[listen] port must be a whole number"),
        ({"listen": {"port": 65536}}, "[listen] port cannot be used"),
        ({"discovery": {"enabled": 1}}, "[discovery] enabled must be true or false"),
        ({"discovery": {"interfaces": ["eth0"]}}, "[discovery] interfaces = 'eth0' is not an address"),
        ({"listen": {"host": "camp-north.local"}}, "[listen] host = 'camp-north.local' is not an address"),
        ({"listen": {"host": ""}}, "[listen] host = '' is not an address"),
        ({"discovery": {"interfaces": [1]}}, "[discovery] interfaces must be"),
        ({"discovery": {"service": "sahana"}}, "[discovery] service cannot be used"),
        ({"discovery": {"service": "_sahana-sync-12345._tcp.local."}}, "[discovery] service cannot"),
        ({"peer": {"address": "127.0.0.1:1"}}, "peer must be a list"),
        ({"peer": [{}]}, "[[peer]] address is missing"),
        ({"peer": [{"address": "127.0.0.1"}]}, "is not an address"),
        ({"peer": [{"address": "127.0.0.1:0"}]}, "is not an address"),
    ],
)
def test_what_is_wrong_is_named_in_one_line(tables, message):
    with pytest.raises(ConfigError) as caught:
        make(**tables)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value) and "secret" not in str(caught.value)


def test_the_database_is_not_asked_for_where_it_is_not_needed():
    assert make_program({"site": SITE}, {}, database=False).find(None).url == ""


@pytest.mark.parametrize("host", ["*", "0.0.0.0", "::"])
def test_every_spelling_of_all_addresses_is_one(host):
    config = make(listen={"host": host})
    assert (config.host, config.interfaces) == ("*", ())


def test_who_listens_on_one_address_is_found_on_that_one():
    assert make(listen={"host": "::1"}).interfaces == ("::1",)


def test_an_address_is_its_own_and_without_a_network_it_is_loopback():
    assert own_addresses("127.0.0.1") == ["127.0.0.1"]
    found = own_addresses("*")
    assert found and (found == ["127.0.0.1"] or not any(map(is_loopback, found)))


def test_a_file_that_is_missing_or_not_toml_is_one_line(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot read"):
        read_config(tmp_path / "none.toml", {})
    file = tmp_path / "bad.toml"
    file.write_text("[site\nname")
    with pytest.raises(ConfigError, match="is not TOML"):
        read_config(file, {})
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not TOML"):
        read_config(file, {})


def test_an_error_names_the_file(tmp_path: Path):
    file = tmp_path / "relay.toml"
    file.write_text("[site]\n")
    with pytest.raises(ConfigError, match=r"relay\.toml: \[site\] name is missing"):
        read_config(file, {})


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", Address("127.0.0.1", 80)),
        ("LOCALHOST:80", Address("127.0.0.1", 80)),
        ("[::1]:80", Address("::1", 80)),
        ("[0:0::1]:80", Address("::1", 80)),
    ],
)
def test_an_address_has_one_spelling(text, address):
    assert parse_address(text) == address
    assert parse_address(str(address)) == address


@pytest.mark.parametrize("text", ["", ":80", "::1:80", "h:", "h:-1", "h:²", "h:80:", "h"])
def test_what_is_not_an_address_is_refused(text):
    with pytest.raises(ConfigError):
        parse_address(text)


def test_loopback_is_known_in_every_spelling():
    for host in ("127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LocalHost"):
        assert is_loopback(host)
    for host in ("", "0.0.0.0", "::", "10.0.0.1", "localhost.example.org", "1", "127.1"):
        assert not is_loopback(host)


MANY = [
    {"name": "north-eden", "url": "postgresql://h/eden"},
    {"name": "north-vesuvius", "url": "mysql://h/vesuvius", "port": 7490, "clients_port": 7491},
]


def make_many(*databases: object, **tables: object):
    return make_program(
        {"site": SITE, "database": list(databases or MANY)} | tables, {}, Path("/d/relay.toml")
    )


def test_each_of_several_databases_is_a_site_with_its_own_name_state_and_port():
    first, second = make_many(site=SITE | {"owner": "Red Cross"}, clients={"port": 7481}).sites
    assert (first.name, first.port, first.state) == ("north-eden", 7480, Path("/d/north-eden.state"))
    assert (second.name, second.port, second.state) == (
        "north-vesuvius",
        7490,
        Path("/d/north-vesuvius.state"),
    )
    assert (first.owner, second.owner) == ("Red Cross", "Red Cross")
    assert (first.clients, second.clients) == (Address("127.0.0.1", 7481), Address("127.0.0.1", 7491))


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"port": 1}, "needs a name"),
        ({"name": "../x", "port": 1}, "needs a name"),
        ({"name": "b"}, "[[database]] b needs a port of its own"),
        ({"name": "north-eden", "port": 1}, "two [[database]] have the same name"),
        ({"name": "b", "port": 7480}, "two [[database]] have the same port"),
        ({"name": "b", "port": 1, "state": "north-eden.state"}, "two [[database]] have the same state"),
        ({"name": "b", "port": 1, "url": "postgresql://h/eden"}, "two [[database]] have the same url"),
        ({"name": "b", "port": 1, "url": "postgresql://me@h:5432/eden?a=b"}, "have the same url"),
        ({"name": "b", "port": 1, "host": "x"}, "[[database]] host is not known"),
    ],
)
def test_two_databases_share_nothing_that_a_site_must_have_alone(second, message):
    with pytest.raises(ConfigError) as caught:
        make_many(MANY[0], {"url": "mysql://h/v"} | second)
    assert message in str(caught.value)


def test_which_site_is_meant_must_be_said_where_there_are_several():
    program = make_many()
    assert program.find("north-vesuvius").port == 7490
    with pytest.raises(ConfigError, match="--site NAME"):
        program.find(None)
    with pytest.raises(ConfigError, match="no site is called 'x'"):
        program.find("x")


def test_metrics_and_clients_are_for_this_machine_unless_another_address_is_named():
    program = make_program({"site": SITE, "database": DATABASE, "metrics": {"port": 1}}, {})
    assert program.metrics == Address("127.0.0.1", 1) and program.sites[0].clients is None
    assert make().clients is None
    assert make(clients={"host": "*", "port": 2}).clients == Address("*", 2)


def test_a_log_is_text_or_json():
    assert make_program({"site": SITE, "database": DATABASE, "log": {"format": "json"}}, {}).log == "json"
    with pytest.raises(ConfigError, match="text or json"):
        make_program({"site": SITE, "database": DATABASE, "log": {"format": "xml"}}, {}).find(None)


def test_what_a_peer_may_bring_is_bounded_unless_told_otherwise():
    assert (make().most_brought, make(limits={"origins": 7}).most_brought) == (5000, 7)
    with pytest.raises(ConfigError, match=r"\[limits\] origins cannot be used"):
        make(limits={"origins": -1})
