"""``changecapture-relay`` that counts its calls: python -m tests.benchmark.counted FILE run ..

FILE always says how many calls it has made to other relays, and of how many bytes they and their answers
were, as JSON: {"calls": .., "bytes": ..}.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import relay.cli
import relay.node
from relay import messages
from relay.address import Address
from relay.client import Client


class CountingClient(Client):
    """Writes its counts down after each call, by a rename: who reads them finds all of them."""

    file: Path
    calls = size = 0

    async def _call(self, address: Address, device: str, within_s: float, method: str, *given: Any) -> bytes:
        answer = await super()._call(address, device, within_s, method, *given)
        self.calls += 1
        self.size += len(messages.write_call(method, *given)) + len(answer)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps({"calls": self.calls, "bytes": self.size}))
        os.replace(fresh, self.file)
        return answer


def main(file: str, *arguments: str) -> None:
    """Run it."""
    CountingClient.file = Path(file)
    vars(relay.node)["Client"] = CountingClient
    relay.cli.main(arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
