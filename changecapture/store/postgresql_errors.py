"""What the errors of PostgreSQL mean here. Twin: mysql_errors.py."""

import re

import psycopg

from changecapture.config import DatabaseURL
from changecapture.dialect.postgresql import quote
from changecapture.errors import ConfigError, DataError, DriftError, Gone, RetryLater, Unwritable

REFUSED = re.compile(
    "password authentication failed|does not exist|not permitted to log in|no pg_hba.conf entry"
    "|permission denied for database|certificate|does not support SSL"
)
"""What is wrong with the URL, or with an account, when there is no connection and so no state."""
CROWDED = re.compile(
    "too many clients|too many connections|connection slots are reserved|no more connections allowed"
)
"""The same where there are as many connections as there may be; the last is PgBouncer's."""
ROOM = "end some, or raise max_connections or the role's or database's CONNECTION LIMIT; it is tried again"
RIGHTS = "use the owner, or grant it: changecapture doctor URL --role NAME, as an administrator, prints how"


def map_error(error: Exception, url: DatabaseURL) -> Exception:
    """Return the error of ours that a driver's error is; anything else as it is."""
    if not isinstance(error, psycopg.Error):
        return error
    state = error.sqlstate or ""
    text = " ".join(str(error).split("\n")[0].split())
    if state == "23505":
        return DataError("a unique value is taken", reason="unique", why=_detail(error))
    if state in ("23503", "23001"):
        return DataError("a foreign key refuses", reason="foreign key", why=_detail(error))
    if state[:2] in ("22", "23") or state in ("P0001", "54000"):  # 54000: too long for an index
        return DataError("a value does not fit", reason="value", why=text)
    if state[:2] in ("42", "3F") and "function" in (error.diag.context or ""):
        # Ours do nothing while we apply: a trigger of the application lacks something.
        return DataError("a trigger of the application fails", reason="value", why=text)
    if state in ("42P01", "42P10", "42703", "3F000", "42883"):
        mend = "run: changecapture install URL"
        return DriftError("the database is not as installed", why=text, mend=mend)
    if state == "42501" and "row-level security" in text:
        mend = f"ALTER ROLE {quote(url.user)} BYPASSRLS"
        return ConfigError("rows are hidden by a row security policy", why=text, mend=mend)
    if state == "42501":
        return ConfigError(f"{url.user} lacks a right", why=text, mend=RIGHTS)
    if state[:2] in ("28", "3D"):
        return ConfigError(f"cannot connect to {url}", why=text, mend="correct the URL")
    if state == "25006":
        return Unwritable("the database is read-only", why=text)
    if state == "53100":
        return Unwritable("the disk of the database is full", why=text)
    if state in ("55P03", "40001", "40P01", "57014"):
        return RetryLater("the database is busy", why=text)
    if isinstance(error, psycopg.OperationalError) or state[:2] in ("08", "53", "57"):
        return _unreachable(url, text)
    return error


def _detail(error: psycopg.Error) -> str:
    return " ".join((error.diag.message_detail or str(error)).split())


def _unreachable(url: DatabaseURL, why: str) -> Gone | ConfigError:
    if REFUSED.search(why):
        return ConfigError(f"cannot connect to {url}", why=why, mend="correct the URL, or the account")
    if CROWDED.search(why):
        return Gone(f"no connection is left at {url}", why=why, mend=ROOM)
    return Gone(f"cannot reach {url}", why=why, mend="is the server running?")
