"""``changecapture compact``: give up what later changes have overtaken."""

import json

import click

from changecapture.cli.conflicts import opened
from changecapture.cli.options import json_option, url_argument
from changecapture.cli.output import count, progress_bar

EPILOG = """\b
Example:
  changecapture compact env:EDEN_URL --keep 90
"""
DAYS = 30


@click.command("compact", epilog=EPILOG)
@url_argument
@click.option(
    "--keep",
    "days",
    type=click.FloatRange(min=0),
    default=DAYS,
    show_default=True,
    metavar="DAYS",
    help="Leave alone what came within so many days.",
)
@json_option
def command(url: str | None, days: float, as_json: bool) -> None:
    """Delete entries of which later changes took every value.

    The relay does this in the background; what the application shows does not change, and no peer misses
    anything. Deleted rows stay known, with their last images. The application and the relay may go on
    meanwhile.
    """
    from changecapture.compact import DAY, compact

    removed = 0
    with opened(url) as store, progress_bar() as progress:
        for step in compact(store, int(days * DAY), anew=True):
            removed += step.removed
            progress("entries looked at", step.position, step.end)
        left = store.count_entries()
    if as_json:
        click.echo(json.dumps({"given_up": removed, "left": left}))
        return
    click.echo(f"{count(removed, 'entry')} given up, {left} left")
