"""Checks of what only PostgreSQL has. Twin: mysql.py."""

from collections.abc import Iterator

from changecapture.dialect.postgresql import TRIGGER_PREFIX, quote
from changecapture.doctor.site import RECONCILE, name_some, note_own_triggers
from changecapture.doctor.subject import Problem, Subject
from changecapture.steps import read_schema
from changecapture.store.postgresql import ROW_WAIT_MS
from changecapture.store.sqlstore import SqlStore

TRIGGERS = (
    "SELECT t.tgname, c.relname, t.tgenabled FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "WHERE NOT t.tgisinternal AND t.tgname LIKE %s AND t.tgenabled IN ('D', 'R') "
    "AND c.relnamespace = current_schema()::regnamespace ORDER BY 2, 1"
)
OWNERS = (
    "SELECT quote_ident(o.rolname), "
    "has_schema_privilege(o.oid, 'changecapture', 'USAGE'), "
    "has_table_privilege(o.oid, 'changecapture.captured', 'INSERT'), "
    "has_table_privilege(o.oid, 'changecapture.missed', 'INSERT'), "
    "has_sequence_privilege(o.oid, 'changecapture.captured_id_seq', 'USAGE'), "
    "has_sequence_privilege(o.oid, 'changecapture.missed_id_seq', 'USAGE') "
    "FROM (SELECT DISTINCT p.proowner FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE NOT t.tgisinternal AND t.tgname LIKE %s) AS f JOIN pg_roles o ON o.oid = f.proowner ORDER BY 1"
)
OWNER_NEEDS = (
    "USAGE ON SCHEMA changecapture",
    "INSERT ON TABLE changecapture.captured",
    "INSERT ON TABLE changecapture.missed",
    "USAGE ON SEQUENCE changecapture.captured_id_seq",
    "USAGE ON SEQUENCE changecapture.missed_id_seq",
)
"""What OWNERS asks, in its order."""
SCHEMAS = (
    "SELECT n.nspname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND t.tgname LIKE %s LIMIT 1"
)
"""Where the tables are that have our triggers."""
SETTINGS = (
    "SELECT r.rolname, d.datname, split_part(text, '=', 1), substr(text, strpos(text, '=') + 1) "
    "FROM pg_db_role_setting s CROSS JOIN LATERAL unnest(s.setconfig) AS text "
    "LEFT JOIN pg_roles r ON r.oid = s.setrole LEFT JOIN pg_database d ON d.oid = s.setdatabase "
    "WHERE (s.setdatabase = 0 OR d.datname = current_database()) "
    "ORDER BY s.setdatabase <> 0, s.setrole <> 0"
)
"""What is set for roles and databases, what counts more coming later."""
HIDDEN = (
    "SELECT c.relname FROM pg_class c, pg_roles r "
    "WHERE c.relnamespace = current_schema()::regnamespace AND c.relrowsecurity "
    "AND r.rolname = coalesce(%s, current_user) AND NOT r.rolbypassrls AND NOT r.rolsuper "
    "AND (c.relforcerowsecurity OR NOT pg_has_role(r.oid, c.relowner, 'USAGE')) ORDER BY 1"
)
"""Tables of which a policy may hide rows from an account."""
FOREIGN_TRIGGERS = (
    "SELECT c.relname, t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgenabled IN ('O', 'A') AND t.tgname NOT LIKE %s "
    "AND c.relnamespace = current_schema()::regnamespace ORDER BY 1, 2"
)
PARTITIONED = (
    "SELECT relname FROM pg_class WHERE relkind = 'p' AND NOT relispartition "
    "AND relnamespace = current_schema()::regnamespace ORDER BY 1"
)
APPLICATION_WRITES = "WHEN (current_setting('changecapture.applying', true) IS DISTINCT FROM 'on')"
PATTERN = TRIGGER_PREFIX.replace("_", "\\_") + "%"


def check_triggers(subject: Subject) -> Iterator[Problem]:
    """Triggers of ours that somebody has disabled."""
    for trigger, table, state in subject.store.query(TRIGGERS, (PATTERN,)):
        how = "disabled" if state == "D" else "enabled for replication only"
        relation = f"{quote(read_schema(subject.store))}.{quote(table)}"
        yield Problem(
            f"the trigger {trigger} of {table} is {how}",
            "nobody notes what is written there meanwhile",
            (f"ALTER TABLE {relation} ENABLE TRIGGER {quote(trigger)}", RECONCILE),
        )


def check_own_triggers(subject: Subject) -> Iterator[Problem]:
    """Triggers of the application on synced tables: what they write while changes are applied stays here."""
    yield from note_own_triggers(
        subject, subject.store.query(FOREIGN_TRIGGERS, (PATTERN,)), APPLICATION_WRITES
    )


def check_row_security(subject: Subject) -> Iterator[Problem]:
    """Policies that hide rows of synced tables from the relay's account."""
    store = subject.store
    hidden = [table for (table,) in store.query(HIDDEN, (subject.role,)) if table in subject.tables]
    if hidden:
        role = quote(subject.role or str(store.query("SELECT current_user")[0][0]))
        yield Problem(
            f"row security may hide rows of {name_some(hidden)} from {role}",
            "a pass refuses to read them: a row that cannot be seen would count as gone",
            (f"ALTER ROLE {role} BYPASSRLS",),
        )


def check_partitions(subject: Subject) -> Iterator[Problem]:
    """Partitioned tables: some statements about a partition fire no trigger."""
    tables = [table for (table,) in subject.store.query(PARTITIONED) if table in subject.tables]
    if tables:
        why = "TRUNCATE, ATTACH and DETACH of a partition fire no trigger of ours; after one, reconcile"
        yield Problem(f"{name_some(tables)} partitioned", why, (RECONCILE,), "note")


def check_owner(subject: Subject) -> Iterator[Problem]:
    """What the owner of our functions lacks: they run with its rights, whoever writes."""
    for owner, *has in subject.store.query(OWNERS, (PATTERN,)):
        missing = [need for need, there in zip(OWNER_NEEDS, has, strict=True) if not there]
        if missing:
            yield Problem(
                f"{owner}, who owns the trigger functions, may not write what they capture",
                "capture fails, the application's statement goes on: changes are missed",
                (*(f"GRANT {need} TO {owner}" for need in missing), RECONCILE),
            )


def check_replication_role(subject: Subject) -> Iterator[Problem]:
    """Who works with session_replication_role = replica: triggers do not fire for him."""
    for role, database, name, value in subject.store.query(SETTINGS):
        if name == "session_replication_role" and value == "replica":
            where = f"{role or 'everyone'} in {database or 'all databases'}"
            yield Problem(
                f"session_replication_role is replica for {where}",
                "triggers do not fire in such a session: nothing that it writes is captured",
                (_reset(role, database, name), RECONCILE),
            )
    if subject.store.query("SHOW session_replication_role")[0][0] == "replica":
        yield Problem(
            "session_replication_role is replica in a new session",
            "triggers do not fire in such a session: nothing that it writes is captured",
            ("ALTER SYSTEM RESET session_replication_role", "SELECT pg_reload_conf()", RECONCILE),
        )


def check_relay_settings(subject: Subject) -> Iterator[Problem]:
    """Settings of the relay's role with which it cannot work: read only, search_path."""
    store = subject.store
    set_for = _read_settings(store, subject.role)
    role = quote(subject.role or str(store.query("SELECT current_user")[0][0]))
    if set_for.get("default_transaction_read_only") == "on":
        why = "then it can neither publish nor apply"
        mend = (f"ALTER ROLE {role} SET default_transaction_read_only = off",)
        yield Problem(f"default_transaction_read_only is on for {role}", why, mend)
    rows = store.query(SCHEMAS, (PATTERN,))
    schema = str(rows[0][0]) if rows else read_schema(store)
    first = next((part.strip().strip('"') for part in set_for.get("search_path", schema).split(",")), "")
    if first not in (schema, "$user"):
        yield Problem(
            f"search_path is {set_for['search_path']} for {role}",
            f"the application's tables are in {schema}: the relay would look for them elsewhere",
            (f"ALTER ROLE {role} IN DATABASE {quote(store.url.database)} SET search_path = {quote(schema)}",),
        )


def check_schema(subject: Subject) -> Iterator[Problem]:
    """Whether everybody may enter our schema: the log holds what the application shows to few."""
    rows = subject.store.query(
        "SELECT DISTINCT a.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) AS a "
        "WHERE n.nspname = 'changecapture' AND a.grantee = 0"
    )
    if rows:
        why = "the log holds every column of every synced table; the application needs nothing of ours"
        mend = ("REVOKE ALL ON SCHEMA changecapture FROM PUBLIC",)
        yield Problem("everybody may enter the schema changecapture", why, mend)


def check_server(subject: Subject) -> Iterator[Problem]:
    """Standby, and deadlock_timeout, which must leave the applier time to give way."""
    ((standby, deadlock),) = subject.store.query(
        "SELECT pg_is_in_recovery(), (SELECT setting::int FROM pg_settings WHERE name = 'deadlock_timeout')"
    )
    if standby:
        why = "it takes no writes: neither capture nor the relay work on it"
        yield Problem("the server is a standby", why, ("use the URL of the primary server",))
    if deadlock < 5 * ROW_WAIT_MS:
        yield Problem(
            f"deadlock_timeout is {deadlock} ms",
            f"the applier waits {ROW_WAIT_MS} ms for a lock: a deadlock could end the application's work",
            (f"ALTER SYSTEM SET deadlock_timeout = '{5 * ROW_WAIT_MS}ms'", "SELECT pg_reload_conf()"),
        )


def _read_settings(store: SqlStore, role: str | None) -> dict[str, str]:
    """Return what a new session of the role begins with, as far as it can be seen from here."""
    if role is None:
        names = ["default_transaction_read_only", "search_path"]
        rows = store.query("SELECT name, reset_val FROM pg_settings WHERE name = ANY(%s)", (names,))
        return {str(name): str(value) for name, value in rows}
    rows = store.query(SETTINGS)
    return {name: value for who, _, name, value in rows if who in (None, role)}


def _reset(role: str | None, database: str | None, name: str) -> str:
    if role is None:
        return f"ALTER DATABASE {quote(str(database))} RESET {name}"
    place = f" IN DATABASE {quote(database)}" if database else ""
    return f"ALTER ROLE {quote(role)}{place} RESET {name}"
