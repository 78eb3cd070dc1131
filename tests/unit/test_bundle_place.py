"""A file is put on a stick whole, and never through or over what somebody left there."""

import pytest

from changecapture.errors import ConfigError
from relay.bundle.place import written_whole


def is_ours(content: bytes) -> bool:
    return content.startswith(b"ours")


def write(path, content=b"ours, new"):
    with written_whole(path, "receipt", is_ours) as file:
        file.write(content)


def test_what_is_ours_is_replaced(tmp_path):
    (tmp_path / "r").write_bytes(b"ours, old")
    write(tmp_path / "r")
    assert {place.name: place.read_bytes() for place in tmp_path.iterdir()} == {"r": b"ours, new"}


def test_what_is_not_ours_stays(tmp_path):
    (tmp_path / "r").write_bytes(b"a list of names")
    with pytest.raises(ConfigError, match="is no receipt"):
        write(tmp_path / "r")
    assert (tmp_path / "r").read_bytes() == b"a list of names"


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "keys").write_bytes(b"ours, but elsewhere")
    (tmp_path / "r").symlink_to(tmp_path / "keys")
    with pytest.raises(ConfigError, match="is a link"):
        write(tmp_path / "r")
    assert (tmp_path / "keys").read_bytes() == b"ours, but elsewhere"


def test_a_failure_leaves_what_was_there(tmp_path):
    (tmp_path / "r").write_bytes(b"ours, old")
    with pytest.raises(LookupError), written_whole(tmp_path / "r", "receipt", is_ours) as file:
        file.write(b"ours, ha")
        raise LookupError
    assert {place.name: place.read_bytes() for place in tmp_path.iterdir()} == {"r": b"ours, old"}


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot write .*none/r"):
        write(tmp_path / "none" / "r")
