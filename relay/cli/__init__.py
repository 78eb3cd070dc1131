"""``changecapture-relay``: the commands, one a file."""

import click

from changecapture import __version__
from relay.cli.init import init
from relay.cli.pair import pair
from relay.cli.password import password
from relay.cli.peers import allow, limit, peers, unpair
from relay.cli.run import run
from relay.cli.service import ensure, service, web2py
from relay.cli.token import token

EPILOG = """\b
Example:
  changecapture-relay init --name camp-north
  changecapture-relay password
  changecapture-relay run

\b
Exit status:
  0    done
  2    error: what, why and what mends it stand on standard error
  130  interrupted
"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="changecapture-relay")
def main() -> None:
    """Exchange changes with the other sites that are within reach."""


for command in (init, run, service, ensure, web2py, pair, peers, allow, limit, unpair, token, password):
    main.add_command(command)
