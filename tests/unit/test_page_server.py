"""When the page is served."""

from pathlib import Path

from twisted.internet.testing import MemoryReactorClock

from relay.config import PageConfig
from relay.page.password import write_password
from relay.page.server import PASSWORD_S, PageServer
from relay.trust.state import open_state
from tests.unit.relay_fake import FakeLog


def test_page_is_served_as_soon_as_there_is_a_password(tmp_path: Path) -> None:
    reactor = MemoryReactorClock()
    state = open_state(tmp_path / "state")
    server = PageServer(PageConfig(), [], state, reactor=reactor, log=FakeLog())
    server.start()
    reactor.advance(PASSWORD_S)
    assert reactor.tcpServers == []
    write_password(state, "correct horse battery")
    reactor.advance(PASSWORD_S)
    assert [port for port, *_ in reactor.tcpServers] == [PageConfig().port]
    assert reactor.getDelayedCalls() == []
