"""``changecapture-relay init``."""

import socket
from pathlib import Path

import click

from changecapture.errors import ConfigError
from relay.cli.options import config_option, ending, example
from relay.messages import NAME_LIMIT, clean

TEMPLATE = """\
# The relay of one site: changecapture-relay run. Everything that is commented out is as it is by itself.

[site]
name = "{name}"                 # what people at other sites read
# state = "{state}"             # directory of this site's key and of whom it trusts: for its owner alone,
                                # in no backup that others can read; beside this file
# owner = "Red Cross"           # these three are shown at paired sites, to people
# contact = "ann@example.org"
# url = "http://10.8.0.1/eden"  # where the application is

[database]
url_env = "CHANGECAPTURE_URL"   # the variable that holds the URL, so that no password stands in a file
# url = "postgresql://relay:secret@127.0.0.1:5432/eden"     # or the URL itself: then chmod 600 this file

[listen]
# host = "*"                    # every address of this machine; "127.0.0.1": this machine only
# port = 7480                   # TCP; let it through the firewall

[discovery]
# enabled = true                # zeroconf: UDP 5353, multicast
# interfaces = []               # addresses of this machine to be found on; empty: all of them
# service = "_sahana-sync._tcp.local."    # another one keeps an exercise apart from the real sites

[metrics]                       # http://127.0.0.1:7482/metrics and /healthz, for this machine only
port = 7482                     # without a port there are none
# host = "127.0.0.1"

[page]                          # for browsers, once `changecapture-relay password` was run
# enabled = true
# host = "127.0.0.1"            # this machine only: from elsewhere through ssh -L
# port = 7483
# trust_local = false           # true: whoever is logged in on this machine needs no password
# names = []                    # other names under which a browser may ask for it

[clients]                       # programs with a token: changecapture-relay token add NAME
# port = 7481                   # without a port there are none
# host = "127.0.0.1"            # this machine only; any other address: TLS

[history]
# days = 30                     # changes that later ones have overtaken are kept for so long

[limits]
# origins = 5000                # that nobody here knew one peer may bring: sites, programs, by module

[log]
# format = "text"               # or "json": one object a line

# Sites that discovery does not reach (other networks, VPN), any number; they are paired like all others:
# [[peer]]
# address = "10.8.0.2:7480"
"""
NEXT = """\
wrote {path}
next: set CHANGECAPTURE_URL, then `changecapture install`, `changecapture-relay password` (for the page in a
browser), `changecapture-relay run`; and for each two sites, once, `changecapture-relay pair`"""


@click.command(epilog=example("init --name camp-north"))
@config_option
@click.option("--name", help="What people at other sites read; the name of this machine if it is left out.")
def init(config_file: Path, name: str | None) -> None:
    """Write a commented configuration, unless there is one."""
    with ending():
        write_template(config_file, name or socket.gethostname().partition(".")[0])
    click.echo(NEXT.format(path=config_file))


def write_template(path: Path, name: str) -> None:
    """Write the configuration; raise ConfigError when there is one, or it cannot be written."""
    if not name or clean(name, NAME_LIMIT) != name or '"' in name or "\\" in name:
        raise ConfigError(
            f"--name '{clean(name, NAME_LIMIT)}' cannot be used", why="up to 64 plain characters"
        )
    text = TEMPLATE.format(name=name, state=path.with_suffix(".state").name)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ConfigError(
            f"{path} is there already", mend="edit it, or name another: --config FILE"
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot write {path}", why=error.strerror or str(error)) from error
