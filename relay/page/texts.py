"""The templates, and the texts in them: English, ready for gettext (``make texts`` writes build/page.pot).

A translation is ``locale/LANGUAGE/LC_MESSAGES/page.mo`` beside this file; the browser says which is wanted.
"""

import gettext
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from changecapture.core.clock import UNDATED
from relay.meter import tell_size

HERE = Path(__file__).parent
LOCALE = HERE / "locale"
DOMAIN = "page"


def make_render(languages: str) -> Callable[..., str]:
    """Return what renders a template in the first language of an Accept-Language header that there is."""
    language = choose_language(languages)
    environment = _environment(language)

    def render(template: str, /, **values: Any) -> str:
        return environment.get_template(template).render(lang=language, **values)

    return render


def choose_language(languages: str) -> str:
    """Return the language that is wanted most of those that there are."""
    wanted = [part.partition(";")[0].strip().partition("-")[0].lower() for part in languages.split(",")]
    return next((w for w in wanted if w == "en" or (w.isalpha() and (LOCALE / w).is_dir())), "en")


@cache
def _environment(language: str) -> Environment:
    made = Environment(
        loader=PackageLoader("relay.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    found = gettext.translation(DOMAIN, LOCALE, [language], fallback=True)
    i18n: Any = made
    i18n.install_gettext_translations(found, newstyle=True)
    undated = found.gettext("before the installation")
    made.filters |= {
        "moment": partial(moment, undated=undated),
        "iso": iso,
        "value": tell_value,
        "stored": tell_stored,
        "count": count,
        "size": tell_size,
    }
    return made


def moment(microseconds: int, undated: str = "") -> str:
    """Return a time as people read it; ``undated`` for rows whose age nobody kept."""
    if undated and 0 <= microseconds < UNDATED:
        return undated
    return _datetime(microseconds).strftime("%Y-%m-%d %H:%M:%S UTC")


def iso(microseconds: int) -> str:
    """Return a time as machines read it."""
    return _datetime(microseconds).isoformat(timespec="seconds")


def count(number: int) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def tell_value(value: Any) -> str:
    """Return a canonical value as people read it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def tell_stored(text: str) -> str:
    """Return a value that is kept as JSON text as people read it."""
    return tell_value(json.loads(text))


def _datetime(microseconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
    except (OverflowError, ValueError, OSError):
        return datetime.max.replace(tzinfo=UTC)
