"""What a session asks of its connection's socket."""

import select
import socket

import pytest

from changecapture.store.session import is_ready


@pytest.mark.parametrize("has_poll", [True, False])
def test_whether_a_socket_is_ready_is_told_at_once_also_where_there_is_no_poll(has_poll, monkeypatch):
    """Windows has select alone."""
    if not has_poll:
        monkeypatch.delattr(select, "poll")
    here, there = socket.socketpair()
    with here, there:
        assert not is_ready(here.fileno(), reads=True)
        assert is_ready(here.fileno(), reads=True, writes=True)
        there.sendall(b"x")
        assert is_ready(here.fileno(), reads=True)
