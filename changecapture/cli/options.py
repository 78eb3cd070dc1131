"""What the commands have in common: database URLs and profiles, from the command line or elsewhere."""

import os

import click

from changecapture.config import DatabaseURL, parse_url
from changecapture.errors import ConfigError

URL_VARIABLE = "CHANGECAPTURE_URL"

url_argument = click.argument("url", required=False, metavar="[URL]")

profile_option = click.option(
    "--profile",
    metavar="NAME|FILE|auto",
    help="What is known of the application: eden, generic, .. or a .toml file; auto recognises it. "
    "Left out: what was installed before, else auto.",
)


def find_url(text: str | None) -> DatabaseURL:
    """Return the URL that was given, or that of the environment; raise ConfigError when there is none."""
    given = text or os.environ.get(URL_VARIABLE)
    if not given:
        raise ConfigError("no database was named", mend=f"give its URL, or export {URL_VARIABLE}=..")
    return parse_url(given)
