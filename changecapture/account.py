"""The account of our own that triggers, procedures and views run as on MySQL and MariaDB.

Locked: nobody can log in as it. While it stands, accounts of people can come and go; were a trigger's
definer dropped, each write of the application would fail (error 1449). It may read the application's
tables, which history and the walk along foreign keys need, and append to two tables of ours. All
databases of a server share it. PostgreSQL's functions belong to who made them, who cannot be dropped.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import token_hex

from changecapture.errors import ConfigError, RetryLater
from changecapture.store.session import LOCK_SECONDS
from changecapture.store.sqlstore import SqlStore

NAME = "'changecapture'@'localhost'"
LOCK = "changecapture:account"
RIGHTS = ("SELECT", "TRIGGER", "EXECUTE", "LOCK TABLES")
"""LOCK TABLES: MySQL asks it, or worse, of who reads FOR UPDATE; MariaDB does not."""
TABLES = ("captured", "missed")
ALL = "ALL PRIVILEGES"
GRANTING = "GRANT OPTION"
SETTING = ("SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER")
"""The rights with any of which an account may name another as definer, whatever the server."""

_LINE = re.compile(
    r"GRANT (?P<rights>.+) ON (?:TABLE )?(?P<database>\*|`(?:[^`]|``)+`)\.(?P<table>\*|`(?:[^`]|``)+`) TO "
)


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights on everything (database and table ``*``), on a database (a pattern) or on a table."""

    rights: frozenset[str]
    database: str
    table: str


@dataclass(frozen=True, slots=True)
class Rights:
    """What an account may, as SHOW GRANTS says."""

    grants: tuple[Grant, ...]

    def has(self, right: str, database: str = "*", table: str = "*") -> bool:
        """Return whether a right holds for all that is named: everything, a database, or a table."""
        return any(_covers(grant, right, database, table) for grant in self.grants)

    def pattern(self, database: str) -> str:
        """Return the pattern, as GRANT takes it, under which more rights on a database are to be granted.

        Of several patterns that fit, the server obeys only one: a second one would take rights away.
        """
        for grant in self.grants:
            if grant.table == "*" and grant.database != "*" and _matches(grant.database, database, "*"):
                return _quote(grant.database)
        return pattern(database)

    def used_elsewhere(self, database: str) -> bool:
        """Return whether anything is granted outside a database."""
        return any(
            grant.database != "*" and not _matches(grant.database, database, grant.table)
            for grant in self.grants
        )


def read_own_rights(store: SqlStore) -> Rights:
    """Return what the store's account may."""
    return parse_grants(text for (text,) in store.query("SHOW GRANTS"))


def read_account(store: SqlStore) -> str:
    """Return the store's own account, as GRANT takes it."""
    name, _, host = str(store.query("SELECT CURRENT_USER()")[0][0]).rpartition("@")
    return f"'{name}'@'{host}'"


def parse_grants(lines: Iterable[str]) -> Rights:
    """Return what lines of SHOW GRANTS say; grants of roles and on routines are left out."""
    grants = []
    for line in lines:
        found = _LINE.match(line)
        if found:
            rights = {right.strip().upper() for right in found["rights"].split(",")}
            if line.endswith("WITH GRANT OPTION"):
                rights.add(GRANTING)
            grants.append(Grant(frozenset(rights), _unquote(found["database"]), _unquote(found["table"])))
    return Rights(tuple(grants))


def list_wanted(store: SqlStore, *, before_tables: bool = False) -> list[str]:
    """Return the statements that the account still needs, all of them where it cannot be seen.

    ``before_tables``: our tables are not there yet, which a right on them must then allow for.
    """
    if can_see(store) and _suffices(_read_rights(store), store):
        return []
    database = store.url.database
    rights = "CREATE, INSERT" if before_tables else "INSERT"
    return [
        f"CREATE USER IF NOT EXISTS {NAME} IDENTIFIED BY 'Cc1!{token_hex(16)}' ACCOUNT LOCK",
        f"GRANT {', '.join(RIGHTS)} ON {pattern(database)}.* TO {NAME}",
        *(f"GRANT {rights} ON {_quote(database)}.{store.prefix}{table} TO {NAME}" for table in TABLES),
    ]


def fires(store: SqlStore) -> bool:
    """Return whether our account may have triggers here: without that each write of the application fails."""
    return _read_rights(store).has("TRIGGER", store.url.database)


def can_see(store: SqlStore) -> bool:
    """Return whether we may look at accounts."""
    try:
        store.query("SELECT 1 FROM mysql.user LIMIT 1")
    except ConfigError:
        return False
    return True


def list_given(store: SqlStore) -> list[str]:
    """Return the accounts that were given rights on what is ours here, and our own on MySQL, as DROP takes
    them; as far as the store's account may see."""
    if store.engine == "postgresql":
        rows = store.query(
            "SELECT DISTINCT quote_ident(pg_get_userbyid(a.grantee)) FROM pg_namespace AS n, "
            "aclexplode(n.nspacl) AS a "
            "WHERE n.nspname = 'changecapture' AND a.grantee NOT IN (0, n.nspowner) ORDER BY 1"
        )
    else:
        rows = store.query(
            "SELECT DISTINCT grantee FROM information_schema.table_privileges "
            "WHERE table_schema = DATABASE() AND LEFT(table_name, 14) = 'changecapture_' ORDER BY 1"
        )
    return [str(name) for (name,) in rows]


def is_locked(store: SqlStore) -> bool:
    """Return whether nobody can log in as our account, which must be there."""
    return "ACCOUNT LOCK" in str(store.query(f"SHOW CREATE USER {NAME}")[0][0])


def check_account(store: SqlStore) -> None:
    """Raise ConfigError when triggers cannot be given our account, with what a DBA can run instead."""
    own = read_own_rights(store)
    if not any(own.has(right) for right in (*SETTING, ALL)):
        raise ConfigError(
            f"{store.url.user} may not give a trigger another account",
            why="that takes the right SET USER (MySQL: SET_USER_ID; older servers: SUPER)",
            mend="install as an administrator; or have one run what `install --sql` prints; or add "
            f"--definer current: then never drop {store.url.user}, or the application cannot write",
        )
    wanted = list_wanted(store, before_tables=True)
    if wanted and not _may_create(own, store):
        raise ConfigError(
            f"{store.url.user} may not make the account {NAME}, or cannot see it",
            why="triggers run as that account, which is locked and never dropped",
            mend=f"have an administrator run: {'; '.join(wanted)}; GRANT SELECT ON mysql.* TO CURRENT_USER",
        )


@contextmanager
def alone(store: SqlStore) -> Iterator[None]:
    """Let nobody else on this server change the account: one would drop what another was just granted, and
    the application of the other could not write any more."""
    if not store.query(f"SELECT GET_LOCK('{LOCK}', {LOCK_SECONDS})")[0][0]:
        raise RetryLater(
            f"another installation is changing {NAME}", why=f"it took more than {LOCK_SECONDS} s"
        )
    try:
        yield
    finally:
        store.query(f"SELECT RELEASE_LOCK('{LOCK}')")


def forget_account(store: SqlStore) -> None:
    """Take this database from the account, and drop it when it has no other; if we may."""
    with alone(store):
        _forget_account(store)


def _forget_account(store: SqlStore) -> None:
    try:
        known = _read_rights(store)
        statements = _list_revokes(known, store.url.database)
        if statements and not known.used_elsewhere(store.url.database):
            statements = [f"DROP USER {NAME}"]
        for statement in statements:
            store.execute(statement)
    except ConfigError:
        # It is locked and has nothing to run any more.
        return


def _read_rights(store: SqlStore) -> Rights:
    """Return what our account may, nothing when it is not there; ConfigError when it cannot be seen."""
    if not store.query("SELECT 1 FROM mysql.user WHERE user = 'changecapture' AND host = 'localhost'"):
        return Rights(())
    return parse_grants(text for (text,) in store.query(f"SHOW GRANTS FOR {NAME}"))


def _suffices(known: Rights, store: SqlStore) -> bool:
    database = store.url.database
    return all(known.has(right, database) for right in RIGHTS) and all(
        known.has("INSERT", database, f"{store.prefix}{table}") for table in TABLES
    )


def _may_create(own: Rights, store: SqlStore) -> bool:
    return own.has("CREATE USER") and own.has(GRANTING, store.url.database)


def _list_revokes(known: Rights, database: str) -> list[str]:
    return [
        f"REVOKE {', '.join(sorted(grant.rights))} ON "
        f"{_quote(grant.database)}.{'*' if grant.table == '*' else _quote(grant.table)} FROM {NAME}"
        for grant in known.grants
        if grant.database != "*" and _matches(grant.database, database, grant.table)
    ]


def _covers(grant: Grant, right: str, database: str, table: str) -> bool:
    if right not in grant.rights and (ALL not in grant.rights or right == GRANTING):
        return False
    if grant.database == "*":
        return True
    return _matches(grant.database, database, grant.table) and grant.table in ("*", table)


def _matches(granted: str, database: str, table: str) -> bool:
    """Return whether a grant's database is meant: a pattern when the grant is on a whole database."""
    if table != "*":
        return granted == database
    escaped = re.sub(r"\\?(.)", lambda m: _PATTERN.get(m.group(0), re.escape(m.group(1))), granted)
    return re.fullmatch(escaped, database) is not None


_PATTERN = {"%": ".*", "_": "."}


def pattern(database: str) -> str:
    """Return a database as GRANT takes it: a pattern."""
    return _quote(re.sub(r"([\\_%])", r"\\\1", database))


def _quote(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _unquote(name: str) -> str:
    return name if name == "*" else name[1:-1].replace("``", "`")
