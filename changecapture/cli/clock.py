"""``changecapture clock``: put stamps right that a wrong clock has made."""

import json

import click

from changecapture.cli.conflicts import opened
from changecapture.cli.options import json_option, url_argument
from changecapture.cli.output import count

EPILOG = """\b
Example:
  changecapture clock env:EDEN_URL --behind 86400
"""


@click.command("clock", epilog=EPILOG)
@url_argument
@click.option(
    "--behind",
    type=float,
    required=True,
    metavar="SECONDS",
    help="How far the clock was behind when the changes were made; negative: ahead.",
)
@json_option
def command(url: str | None, behind: float, as_json: bool) -> None:
    """Stamp anew what was written under a wrong clock.

    Only what has not left this site yet. To be run once, before the site meets others, after the clock was
    set. What others may have already keeps its stamp: an edit made after it wins all the same. A relay does
    this by itself when three peers agree.
    """
    from changecapture.clocks import SECOND, correct_stamps

    with opened(url) as store:
        number = correct_stamps(store, int(behind * SECOND))
    if as_json:
        click.echo(json.dumps({"stamped_anew": number}))
        return
    click.echo(f"{count(number, 'entry')} stamped anew")
