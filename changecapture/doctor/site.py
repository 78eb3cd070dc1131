"""Checks of what is ours in the database: installation, drift, and what waits."""

from collections.abc import Iterable, Iterator, Sequence

from changecapture.core.table import SyncedTable
from changecapture.doctor.subject import Problem, State, Subject, unseen
from changecapture.install import find_revision
from changecapture.revision import find_head
from changecapture.rights import find_missing
from changecapture.steps import list_steps
from changecapture.store.sqlstore import SqlStore
from changecapture.wanted import DIALECTS

INSTALL = "$ changecapture install URL"
RECONCILE = "$ changecapture reconcile URL"
RELAY = "$ changecapture-relay run --config relay.toml"
OLDEST = 600_000_000
"""Microseconds after which a captured change that nobody took says that no relay runs."""
NAMED = 5
"""Tables that are named; of more only the number."""


def check_installation(subject: Subject) -> Iterator[Problem]:
    """Nothing installed, an installation that did not come to its end, or one of another version."""
    found, status = find_revision(subject.store), subject.status
    if subject.wanted is None:
        state: State = "note" if status is not None else "mend"
        yield Problem(subject.why_not, "then nothing can be compared", ("$ changecapture plan URL",), state)
    if status is None and found is None:
        yield Problem("nothing is installed", "no change is captured", (INSTALL,))
    elif status is None or not status.finished:
        yield Problem("the installation was not finished", "rows and tables may be missing in it", (INSTALL,))
    elif found != (head := find_head()):
        yield Problem(
            f"installed is revision {found}, this program is of revision {head}",
            "a relay that does not understand the tables refuses to start",
            (INSTALL,),
        )


def check_installing(subject: Subject) -> Iterator[Problem]:
    """What the account lacks to install what is missing; silent when nothing has to be installed."""
    installed = subject.status is not None
    if subject.wanted is None and not installed:
        why = "it depends on the tables that are to be synced"
        yield Problem("what an installation needs: not looked at", why, (), "unseen")
    if subject.wanted is None or (installed and not _has_drifted(subject)):
        return
    for error in find_missing(subject.store, subject.wanted):
        yield Problem(error.what, error.why, (error.mend,))


def _has_drifted(subject: Subject) -> bool:
    assert subject.wanted is not None
    return subject.sees_triggers and bool(list_steps(subject.store, subject.wanted))


def check_drift(subject: Subject) -> Iterator[Problem]:
    """What the database has, compared with what the catalogue and the profile ask for."""
    if subject.wanted is None:
        return
    if not subject.sees_triggers:
        yield unseen("the triggers", "the right TRIGGER")
        return
    steps = list_steps(subject.store, subject.wanted)
    if not steps:
        return
    created, dropped = (sum(counts) for counts in zip(*((s.created, s.dropped) for s in steps), strict=True))
    yield Problem(
        f"{name_some([step.table for step in steps])} not as installed "
        f"({created} triggers to create, {dropped} to drop)",
        "the application has changed its tables, or somebody ours: changes are not captured in full",
        (INSTALL, RECONCILE),
    )


def check_missed(subject: Subject) -> Iterator[Problem]:
    """Where capture failed and the application's statement went on."""
    for missed in subject.status.missed if subject.status else ():
        yield Problem(
            f"changes of {missed.table} were missed, {missed.count} times at least: {missed.reason}",
            "they are in no log, and so at no peer",
            (INSTALL, RECONCILE),
        )


def check_captured(subject: Subject) -> Iterator[Problem]:
    """Captured changes that nobody takes."""
    status = subject.status
    if status is None or status.oldest_captured_at is None:
        return
    age = status.now - status.oldest_captured_at
    if status.oldest_captured_at and age > OLDEST:
        yield Problem(
            f"{status.captured} captured changes wait, the oldest since {age // 60_000_000} minutes",
            "a relay takes them within a second: none runs, or it cannot",
            (RELAY,),
        )


def check_parked(subject: Subject) -> Iterator[Problem]:
    """Rows and values that wait for a person."""
    status = subject.status
    if status is None:
        return
    if status.parked:
        reasons = ", ".join(f"{reason} {number}" for reason, number in status.parked.items())
        why = "they came and cannot be shown here"
        yield Problem(f"rows are parked: {reasons}", why, ("$ changecapture parked list URL",), "note")
    if status.conflicts:
        why = "two sites changed the same at once; nobody has looked at what lost"
        mend = ("$ changecapture conflicts list URL",)
        yield Problem(f"open conflicts: {status.conflicts}", why, mend, "note")


def check_names(subject: Subject) -> Iterator[Problem]:
    """Rows that share a name, in tables whose names no unique index guards: only one of them travels."""
    for table in sorted(subject.tables.values(), key=lambda table: table.name):
        if table.identity.indexed:
            continue
        doubled = count_doubled(subject.store, table)
        if doubled:
            names = ", ".join(column.name for column in table.identity.columns)
            yield Problem(
                f"{table.name}: {doubled} values of {names} stand in several rows",
                "other sites take the rows of one name for one row: only one of them arrives there. "
                "Give each a value of its own, or delete what is there twice",
            )


def count_doubled(store: SqlStore, table: SyncedTable) -> int:
    """Return how many names several rows of a table have."""
    dialect = DIALECTS[store.engine]
    binary = "BINARY " if store.engine == "mysql" else ""
    names = ", ".join(f"{binary}{dialect.quote(c.name)}" for c in table.identity.columns)
    first = dialect.quote(table.identity.columns[0].name)
    missing = "".join(f" AND {first} <> {dialect.literal(text)}" for text in table.identity.missing)
    return int(
        store.query(
            f"SELECT count(*) FROM (SELECT 1 FROM {dialect.quote(table.name)} "
            f"WHERE {first} IS NOT NULL{missing} GROUP BY {names} HAVING count(*) > 1) AS d"
        )[0][0]
    )


def name_some(tables: list[str]) -> str:
    """Return the names of tables, or how many where they are many."""
    names = list(dict.fromkeys(tables))
    return ", ".join(names) if len(names) <= NAMED else f"{len(names)} tables"


def note_own_triggers(
    subject: Subject, triggers: Iterable[Sequence[str]], condition: str
) -> Iterator[Problem]:
    """Note the application's triggers, (table, trigger) each, of the tables that are synced; ``condition``
    holds where the application writes."""
    named = [f"{table}.{trigger}" for table, trigger in triggers if table in subject.tables]
    if named:
        why = (
            "they fire for what arrives from peers too, and what they write then is not captured: one that "
            "writes rows that are synced, or makes another value each time, leaves sites unequal, "
            f"unless it does so only where the application writes: {condition}"
        )
        yield Problem(f"triggers of the application: {name_some(named)}", why, (), "note")


def check_shortened(subject: Subject) -> Iterator[Problem]:
    """Texts of other applications that a column here shows cut to its length."""
    if subject.store.mapping is None:
        return
    rows = subject.store.query(
        f"SELECT table_name, column_name, count(*) FROM {subject.store.prefix}shortened "
        "GROUP BY table_name, column_name ORDER BY count(*) DESC"
    )
    if rows:
        named = ", ".join(f"{table}.{column} ({count})" for table, column, count in rows[:NAMED])
        why = "they are longer than the column; whole, they are in the changelog, and go on to others whole"
        yield Problem(f"texts are shown cut: {named}", why, (), "note")
