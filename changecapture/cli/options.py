"""What the commands have in common: database URLs and profiles, from the command line or elsewhere."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from changecapture.config import DatabaseURL, parse_url
from changecapture.core.clock import read_time
from changecapture.errors import ConfigError

URL_VARIABLE = "CHANGECAPTURE_URL"

URLS = ("postgresql://", "mysql://", "env:")

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


def take_url(*given: str | None, names: tuple[str, ...]) -> tuple[str | None, ...]:
    """Return (URL or None, *the others) of arguments of which the first, the URL, may be left out.

    ``names``: of the others. A URL that stands last is taken as well. Raises UsageError with what is missing.
    """
    there = [text for text in given if text is not None]
    if len(there) > len(names) + 1:
        raise click.UsageError(f"unexpected: {', '.join(there[len(names) + 1 :])}")
    if len(there) > 1 and there[-1].startswith(URLS) and not there[0].startswith(URLS):
        there.insert(0, there.pop())
    if len(there) > len(names):
        return tuple(there)
    exported = URL_VARIABLE in os.environ
    has_url = bool(there) and ("://" in there[0] or there[0].startswith("env:"))
    if exported and not has_url and len(there) == len(names):
        return (None, *there)
    missing = names[len(there) - 1 :] if has_url else names[len(there) :]
    if has_url or exported:
        raise click.UsageError(f"missing: {', '.join(missing)}")
    missing = ("the database's URL", *missing)
    raise click.UsageError(f"missing: {', '.join(missing)} (give the URL first, or export {URL_VARIABLE}=..)")


def url_and(*names: str) -> Callable[[Any], Any]:
    """Return the arguments ``[URL] NAMES``, as ``given``, for take_url."""
    return click.argument("given", nargs=-1, metavar=" ".join(("[URL]", *names)))


def confirm(question: str) -> bool:
    """Ask; raise ConfigError where nobody answers, as in a script."""
    try:
        return click.confirm(question, err=True)
    except click.Abort as error:
        if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise ConfigError("the question was not answered", mend="add --yes to go on without it") from error


json_option = click.option("--json", "as_json", is_flag=True, help="All of it as JSON.")


config_option = click.option(
    "--config",
    "config_file",
    default="relay.toml",
    show_default=True,
    envvar="CHANGECAPTURE_RELAY_CONFIG",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The configuration of this site's relay.",
)
site_option = click.option(
    "--site", metavar="NAME", help="Which of the relay's sites, where it has several databases."
)


class Time(click.ParamType):  # type: ignore[type-arg]
    """A time, as people write it: a date, or a date and a time, UTC where no zone is named; as a stamp."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return microseconds since 1970 UTC."""
        if isinstance(value, int):
            return value
        try:
            return read_time(value)
        except ValueError:
            self.fail(f"{value!r} is no time: write 2026-11-20 or 2026-11-20T08:30", param, ctx)


def time_option(name: str, text: str) -> Callable[[Any], Any]:
    """Return the option of a time."""
    return click.option(name, type=Time(), metavar="TIME", help=text)
