"""Doctor: looks at a database for all that could keep changes from being captured or shipped.

Each check is a function of its own that yields problems, with what mends each. Nothing is changed, and
nothing needs to be installed: where it is not, the doctor says what an installation would lack.
A check that cannot look, for want of a right, says so: it never calls that well.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from changecapture.core.catalogue import Engine
from changecapture.doctor import given, home, mysql, postgresql, relay_rights, server, site
from changecapture.doctor.subject import Problem, State, Subject, unseen
from changecapture.errors import ConfigError, DriftError
from changecapture.status import Status, read_status
from changecapture.store.sqlstore import SqlStore
from changecapture.wanted import Wanted, find_wanted

Check = Callable[[Subject], Iterator[Problem]]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: ``well``, or one problem. ``mend`` are statements, or commands after a $."""

    check: str
    state: State
    what: str
    why: str
    mend: tuple[str, ...]


CHECKS: Mapping[Engine, Mapping[str, Check]] = {
    "postgresql": {
        "installation": site.check_installation,
        "installing": site.check_installing,
        "drift": site.check_drift,
        "triggers": postgresql.check_triggers,
        "own triggers": postgresql.check_own_triggers,
        "row security": postgresql.check_row_security,
        "partitions": postgresql.check_partitions,
        "definer": postgresql.check_owner,
        "replication role": postgresql.check_replication_role,
        "missed": site.check_missed,
        "captured": site.check_captured,
        "parked": site.check_parked,
        "names": site.check_names,
        "given names": given.check_given_names,
        "home": home.check_home,
        "shortened": site.check_shortened,
        "relay's rights": relay_rights.check_relay_rights,
        "relay's settings": postgresql.check_relay_settings,
        "our schema": postgresql.check_schema,
        "server": postgresql.check_server,
        "clock": server.check_clock,
        "disk": server.check_disk,
    },
    "mysql": {
        "installation": site.check_installation,
        "installing": site.check_installing,
        "drift": site.check_drift,
        "own triggers": mysql.check_own_triggers,
        "definer": mysql.check_definer,
        "truncate": mysql.check_truncate,
        "engine": mysql.check_engine,
        "characters": mysql.check_characters,
        "missed": site.check_missed,
        "captured": site.check_captured,
        "parked": site.check_parked,
        "names": site.check_names,
        "given names": given.check_given_names,
        "home": home.check_home,
        "shortened": site.check_shortened,
        "relay's rights": relay_rights.check_relay_rights,
        "server": mysql.check_server,
        "binary log": mysql.check_binary_log,
        "clock": server.check_clock,
        "disk": server.check_disk,
    },
}

INSTALLED_ONLY = frozenset(
    ("drift", "triggers", "definer", "replication role", "missed", "captured", "parked", "relay's rights")
) | {"relay's settings", "our schema", "shortened", "given names"}
"""Checks that have nothing to look at where nothing is installed."""


def examine(store: SqlStore, role: str | None = None, profile: str | None = None) -> list[Finding]:
    """Return what the checks find, in their order; at least one finding for each check that applies.

    ``store`` is opened with ``installed=False``; ``role`` is the account that the relay has, None for the
    store's own; ``profile`` as for an installation. Raises RetryLater when the server goes away.
    """
    subject = make_subject(store, role, profile)
    checks = CHECKS[store.engine].items()
    applying = [(n, check) for n, check in checks if subject.status is not None or n not in INSTALLED_ONLY]
    return [finding for name, check in applying for finding in _examine(name, check, subject)]


def make_subject(store: SqlStore, role: str | None = None, profile: str | None = None) -> Subject:
    """Return what the checks are given: how the site stands, and what is wanted."""
    wanted: Wanted | None = None
    why_not = ""
    try:
        wanted = find_wanted(store, profile)
    except ConfigError as error:
        why_not = str(error)
    return Subject(store, role, _read_status(store), wanted, why_not)


def _read_status(store: SqlStore) -> Status | None:
    try:
        store.load_tables()
        return read_status(store)
    except (ConfigError, DriftError):
        return None


def _examine(name: str, check: Check, subject: Subject) -> Iterator[Finding]:
    try:
        problems = list(check(subject))
    except ConfigError as error:
        problems = [unseen(str(error), "more rights")]
    except DriftError as error:
        problems = [Problem(error.what, error.why, (site.INSTALL,))]
    if not problems:
        yield Finding(name, "well", "", "", ())
    for problem in problems:
        yield Finding(name, problem.state, problem.what, problem.why, problem.mend)
