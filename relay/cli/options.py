"""What the commands share: the configuration file, and how an error ends them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from changecapture.errors import ChangeCaptureError

INTERRUPTED = 130

config_option = click.option(
    "--config",
    "config_file",
    default="relay.toml",
    show_default=True,
    envvar="CHANGECAPTURE_RELAY_CONFIG",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The TOML file that says which database, which port and which peers.",
)
site_option = click.option(
    "--site", metavar="NAME", help="Which of the relay's sites, where it has several databases."
)
introducer_option = click.option(
    "--introducer",
    is_flag=True,
    help="The other site may introduce others: who it has paired by hand is paired here too.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="What came of it as JSON, a line each.")


def example(*lines: str) -> str:
    """Return the end of a help: the program called with each of the lines."""
    called = "\n".join(f"  changecapture-relay {line}" for line in lines)
    return f"\b\nExample:\n{called}\n"


@contextmanager
def ending() -> Iterator[None]:
    """End the program with one line and status 2 for an error, with 130 for Ctrl-C."""
    try:
        yield
    except ChangeCaptureError as error:
        click.echo(f"changecapture-relay: error: {error}", err=True)
        raise SystemExit(2) from error
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
