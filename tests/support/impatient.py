"""``changecapture-relay`` whose waits are those of a test: python -m tests.support.impatient JSON run ..

JSON names fields of ``relay.load.Timing``, in seconds: on a link that is twenty times as fast, and cut twenty
times as often, everything is the same with waits that are twenty times as short.
"""

import json
import sys

import relay.cli
import relay.service
from relay.load import Timing


def main(timing: str, *arguments: str) -> None:
    """Run it."""
    waits = Timing(**json.loads(timing))
    vars(relay.service)["Timing"] = lambda: waits
    relay.cli.main(arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
