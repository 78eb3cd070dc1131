"""``changecapture-relay`` whose waits are those of a test: python -m tests.support.impatient JSON run ..

On a link that is ten times as fast, and cut ten times as often, everything is the same with waits that are
ten times as short. JSON names the waits, in seconds: fields of ``relay.load.Timing``, and constants as
"relay.transfer.SILENCE_S".
"""

import json
import sys
from typing import Any

import relay.cli
import relay.service
from relay.load import Timing


def main(waits: str, *arguments: str) -> None:
    """Run it."""
    given: dict[str, Any] = json.loads(waits)
    timing = Timing(**{name: seconds for name, seconds in given.items() if "." not in name})
    vars(relay.service)["Timing"] = lambda: timing
    for place, seconds in given.items():
        module, dot, name = place.rpartition(".")
        if dot:
            assert name in vars(sys.modules[module]), place
            vars(sys.modules[module])[name] = seconds
    relay.cli.main(arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
