"""Checks of what only MySQL and MariaDB have. Twin: postgresql.py.

Run on MariaDB 10.11 only; what is asked of information_schema MySQL 8 answers as well.
"""

from collections.abc import Iterator

from changecapture import account
from changecapture.dialect.mysql import TRIGGER_PREFIX, literal, quote
from changecapture.doctor.site import RECONCILE, name_some, note_own_triggers
from changecapture.doctor.subject import Problem, Subject, unseen
from changecapture.rights import find_distrusting_log, find_statement_log
from changecapture.store.sqlstore import SqlStore

DEFINERS = (
    "SELECT DISTINCT definer FROM information_schema.triggers WHERE trigger_schema = DATABASE() "
    "AND trigger_name LIKE %s UNION SELECT definer FROM information_schema.routines "
    "WHERE routine_schema = DATABASE() AND routine_name LIKE %s ORDER BY 1"
)
DROPPERS = (
    "SELECT grantee, '*.*' FROM information_schema.user_privileges WHERE privilege_type = 'DROP' "
    "UNION ALL SELECT grantee, CONCAT('`', REPLACE(table_schema, '`', '``'), '`.*') "
    "FROM information_schema.schema_privileges WHERE privilege_type = 'DROP' "
    "AND DATABASE() LIKE table_schema UNION ALL "
    "SELECT grantee, CONCAT('`', table_schema, '`.`', REPLACE(table_name, '`', '``'), '`') "
    "FROM information_schema.table_privileges WHERE privilege_type = 'DROP' "
    "AND table_schema = DATABASE() AND LEFT(table_name, 14) <> 'changecapture_' ORDER BY 1, 2"
)
"""Who may TRUNCATE, and by what grant: that takes the right DROP."""
FOREIGN_TRIGGERS = (
    "SELECT event_object_table, trigger_name FROM information_schema.triggers "
    "WHERE trigger_schema = DATABASE() AND trigger_name NOT LIKE %s ORDER BY 1, 2"
)
TABLES = (
    "SELECT table_name, engine, row_format FROM information_schema.tables "
    "WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE' ORDER BY 1"
)
CHARACTERS = (
    "SELECT table_name, GROUP_CONCAT(DISTINCT character_set_name) FROM information_schema.columns "
    "WHERE table_schema = DATABASE() AND character_set_name NOT IN ('utf8mb4', 'binary') "
    "GROUP BY table_name ORDER BY 1"
)
APPLICATION_WRITES = "IF NOT IFNULL(@changecapture_applying, 0) THEN .. END IF"
PACKET = 64 << 20
"""Bytes: a row of 24 MiB, the largest that travels, takes more than twice that as a statement."""
PATTERN = TRIGGER_PREFIX.replace("_", "\\_") + "%"


def check_definer(subject: Subject) -> Iterator[Problem]:
    """The account that triggers run as: there, locked, and with its rights."""
    store = subject.store
    if not subject.sees_triggers or not account.can_see(store):
        yield unseen("the account that triggers run as", "the right TRIGGER, and SELECT ON mysql.*")
        return
    for (definer,) in store.query(DEFINERS, (PATTERN, PATTERN)):
        name, _, host = str(definer).rpartition("@")
        found = store.query("SELECT 1 FROM mysql.user WHERE user = %s AND host = %s", (name, host))
        if f"'{name}'@'{host}'" == account.NAME:
            yield from _check_account(subject, there=bool(found))
        elif not found:
            yield Problem(
                f"triggers run as '{name}'@'{host}', an account that does not exist",
                "every write of the application fails (error 1449)",
                ("$ changecapture install URL --definer account",),
            )


def _check_account(subject: Subject, *, there: bool) -> Iterator[Problem]:
    """Look at our own account; what makes it whole is what an installation would run."""
    wanted = account.list_wanted(subject.store)
    if not there:
        why = "every write of the application fails (error 1449)"
        yield Problem(f"triggers run as {account.NAME}, an account that does not exist", why, tuple(wanted))
    elif wanted:
        why = "every write of the application fails (error 1142)"
        if account.fires(subject.store):
            why = "capture fails, the application's statement goes on: changes are missed"
        yield Problem(f"{account.NAME}, which triggers run as, lacks rights", why, (*wanted, RECONCILE))
    if there and not account.is_locked(subject.store):
        why = "nobody should log in as an account that may write the queue of changes"
        yield Problem(f"{account.NAME} is not locked", why, (f"ALTER USER {account.NAME} ACCOUNT LOCK",))


def check_own_triggers(subject: Subject) -> Iterator[Problem]:
    """Triggers of the application on synced tables: what they write while changes are applied stays here."""
    if not subject.sees_triggers:
        yield unseen("the application's own triggers", "the right TRIGGER")
        return
    yield from note_own_triggers(
        subject, subject.store.query(FOREIGN_TRIGGERS, (PATTERN,)), APPLICATION_WRITES
    )


def check_truncate(subject: Subject) -> Iterator[Problem]:
    """Who may TRUNCATE a synced table: no trigger fires, so nothing is captured."""
    store = subject.store
    if not account.can_see(store):
        yield unseen("who may TRUNCATE synced tables", "SELECT ON mysql.*")
        return
    why = "TRUNCATE fires no trigger: rows vanish here and nowhere else"
    administrators: list[str] = []
    for grantee, place in store.query(DROPPERS):
        if place == "*.*" or grantee == account.read_account(store):
            administrators.append(str(grantee))
        else:
            # An upgrade of the application may need it back: GRANT DROP, upgrade, install, REVOKE DROP.
            mend = (f"REVOKE DROP ON {place} FROM {grantee}",)
            yield Problem(f"{grantee} may TRUNCATE tables by its right DROP on {place}", why, mend)
    if administrators:
        names = ", ".join(dict.fromkeys(administrators))
        what = f"administrators may TRUNCATE tables: {names}"
        yield Problem(what, f"{why}; who has done it runs reconcile", (RECONCILE,), "note")


def check_engine(subject: Subject) -> Iterator[Problem]:
    """Tables without transactions, the application's and our own, and an old row format of ours."""
    plain: list[str] = []
    for name, engine, form in subject.store.query(TABLES):
        ours = str(name).startswith(subject.store.prefix)
        if engine != "InnoDB" and (ours or name in subject.tables):
            plain.append(str(name))
        elif ours and str(form).upper() != "DYNAMIC":
            yield Problem(
                f"{name} has the row format {form}",
                "an index of it then takes keys of 767 bytes only, ours are longer",
                (f"ALTER TABLE {quote(name)} ROW_FORMAT = DYNAMIC",),
            )
    if plain:
        yield Problem(
            f"{name_some(plain)} not kept by InnoDB",
            "what such a table is told stays after a ROLLBACK, and what was captured of it does not",
            tuple(f"ALTER TABLE {quote(name)} ENGINE = InnoDB" for name in plain),
        )


def check_characters(subject: Subject) -> Iterator[Problem]:
    """Synced tables that cannot hold every character."""
    narrow = {str(n): str(sets) for n, sets in subject.store.query(CHARACTERS) if n in subject.tables}
    if narrow:
        sets = ", ".join(sorted({one for sets in narrow.values() for one in sets.split(",")}))
        yield Problem(
            f"{name_some(list(narrow))} of the character set {sets}",
            "a text from elsewhere with a character that it does not have (any of 4 bytes) is parked",
            tuple(f"ALTER TABLE {quote(name)} CONVERT TO CHARACTER SET utf8mb4" for name in narrow),
            "note",
        )


def check_server(subject: Subject) -> Iterator[Problem]:
    """Settings of the server with which capture or the relay cannot work, or make the application wait."""
    store = subject.store
    ((autoinc, read_only, packet, strict, ends),) = store.query(
        "SELECT @@innodb_autoinc_lock_mode, @@GLOBAL.read_only, @@GLOBAL.max_allowed_packet, "
        "@@GLOBAL.sql_mode, @@innodb_rollback_on_timeout"
    )
    if autoinc == 0:
        why = "each statement then holds the queue to its end: all other writers wait for it"
        mend = ("set innodb_autoinc_lock_mode = 1 in the server's configuration, and restart it",)
        yield Problem("innodb_autoinc_lock_mode is 0", why, mend)
    if read_only not in (0, "OFF"):
        why = "neither the application nor the relay can write"
        yield Problem("the server is read only", why, ("SET GLOBAL read_only = 0",))
    if packet < PACKET:
        why = "rows of up to 24 MiB travel, and a statement must hold one"
        mend = (f"SET GLOBAL max_allowed_packet = {PACKET}",)
        yield Problem(f"max_allowed_packet is {packet >> 20} MB", why, mend, "note")
    if "STRICT" not in str(strict):
        why = "the application's own texts and numbers are cut where they do not fit; peers get what was kept"
        mode = ",".join(filter(None, (str(strict), "STRICT_TRANS_TABLES")))
        mend = (f"SET GLOBAL sql_mode = {literal(mode)}",)
        yield Problem("sql_mode is not strict", why, mend, "note")
    if ends in (1, "ON"):
        why = "one row that the application holds then makes all that arrives wait, not that row alone"
        mend = ("set innodb_rollback_on_timeout = OFF in the server's configuration, and restart it",)
        yield Problem("innodb_rollback_on_timeout is ON", why, mend)
    yield from _check_foreign_keys(store)


def _check_foreign_keys(store: SqlStore) -> Iterator[Problem]:
    """Name MySQL's new way with foreign keys (9.6 and later; decision 73), which MariaDB does not have."""
    found = store.query("SHOW GLOBAL VARIABLES LIKE 'innodb\\_native\\_foreign\\_keys'")
    if found and found[0][1] == "OFF":
        why = "9.7.4 then leaves a row whose parent is gone where one key cascades and another sets NULL"
        mend = ("set innodb_native_foreign_keys = ON in the server's configuration, and restart it",)
        yield Problem("innodb_native_foreign_keys is OFF", why, mend)


def check_binary_log(subject: Subject) -> Iterator[Problem]:
    """What a binary log forbids."""
    for error in find_statement_log(subject.store):
        yield Problem(error.what, error.why, (error.mend,))
    for error in find_distrusting_log(subject.store):
        yield Problem(error.what, f"{error.why}; the relay makes none", (error.mend,), "note")
