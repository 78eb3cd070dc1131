"""A relay over a site in memory, as a process: python -m tests.endtoend.relay_site LETTER SERVICE STATE HOST

Its application wrote one line, "from LETTER", and writes what it reads from stdin. Prints ``has: ..`` to
stdout whenever its changelog has changed; everything else is what ``changecapture-relay run`` does.
"""

import sys
from pathlib import Path
from threading import Thread

import relay.cli
import relay.config
import relay.connection
from relay.address import ANY
from relay.config import ProgramConfig, RelayConfig
from tests.unit.relay_fake import FakeSite, site_id


class PrintingSite(FakeSite):
    """Says what it has, once for each new content."""

    said = ""

    def check(self) -> None:
        super().check()
        says = "has: " + ", ".join(sorted(self.texts))
        if says != self.said:
            self.said = says
            print(says, flush=True)


def main(letter: str, service: str, state: str, host: str = "127.0.0.1") -> None:
    site = PrintingSite(site_id(letter))
    site.write(f"from {letter}")
    config = RelayConfig(
        f"camp {letter}",
        "",
        Path(state),
        host=host,
        port=0,
        interfaces=() if host == ANY else (host,),
        service=service,
    )
    relay.config.read_program = lambda _: ProgramConfig((config,))
    relay.connection.DatabaseExchange = lambda *_: site
    Thread(target=lambda: [site.write(line.strip()) for line in sys.stdin], daemon=True).start()
    relay.cli.main(["run", "--config", "none"])


if __name__ == "__main__":
    main(*sys.argv[1:])
