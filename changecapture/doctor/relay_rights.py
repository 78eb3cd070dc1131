"""The least rights with which a relay works, and which of them an account lacks.

It reads and writes the rows of synced tables, and our own tables as ``OWN`` says; it makes, alters and
empties nothing. On MySQL it needs no right to the triggers: they run as our account, and REFERENCES on the
whole database, with which it can do nothing there but see what foreign keys do, to notice drift. The
application's own account needs nothing beyond what it had.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from changecapture.account import Rights, can_see, parse_grants, pattern, read_account
from changecapture.doctor.subject import Problem, Subject, unseen
from changecapture.errors import ConfigError
from changecapture.steps import read_schema
from changecapture.store.sqlstore import SqlStore
from changecapture.wanted import DIALECTS

ROWS = ("SELECT", "INSERT", "UPDATE", "DELETE")
KEPT = ("SELECT", "INSERT", "UPDATE")
APPENDED = ("SELECT", "INSERT")
OWN: Mapping[str, tuple[str, ...]] = {
    "site": ("SELECT", "UPDATE"),
    "synced_table": ("SELECT",),
    "captured": ("SELECT", "INSERT", "DELETE"),
    "missed": ("SELECT", "INSERT", "DELETE"),
    "changelog": ROWS,
    "pass": ("SELECT", "INSERT", "DELETE"),
    "context": ("SELECT", "INSERT", "DELETE"),
    "vector": KEPT,
    "row_version": ROWS,
    "deleted_row": ROWS,
    "local_key": ROWS,
    "key_alias": KEPT,
    "mapping": ("SELECT",),
    "mapped_row": KEPT,
    "shortened": ROWS,
    "parked": ROWS,
    "waiting": ROWS,
    "conflict": KEPT,
    "peer": KEPT,
    "meeting": KEPT,
    "in_step": KEPT,
    "life": KEPT,
    "contested": APPENDED,
    "compaction": KEPT,
    "tide": ROWS,
    "stretch": ROWS,
    "exchange_log": ("SELECT", "INSERT", "DELETE"),
    "sync_instance": KEPT,
}
"""The rights on each of our tables; a unit test compares them with what the code writes."""
WHY = "without it the relay stops at the first change that needs it"


@dataclass(frozen=True, slots=True)
class Right:
    """A right on an object: ``kind`` SCHEMA, TABLE or SEQUENCE, ``name`` quoted, as GRANT takes it."""

    right: str
    kind: str
    name: str


def list_relay_rights(subject: Subject) -> list[Right]:
    """Return all rights that a relay needs here."""
    store, quote = subject.store, DIALECTS[subject.store.engine].quote
    schema = quote(read_schema(store))
    own = {f"{store.prefix}{name}": rights for name, rights in OWN.items()}
    own[f"{store.prefix}{DIALECTS[store.engine].VERSION_TABLE}"] = ("SELECT",)
    if store.engine == "mysql":
        own["changecapture"] = ("SELECT",)  # whether a dump is being put back
        own = {f"{schema}.{quote(name)}": rights for name, rights in own.items()}
    found = [Right("USAGE", "SCHEMA", name) for name in ("changecapture", schema)]
    if store.engine == "mysql":
        found = [Right("REFERENCES", "TABLE", f"{pattern(store.url.database)}.*")]
    found += [Right(right, "TABLE", table) for table, rights in own.items() for right in rights]
    found += [
        Right(right, "TABLE", f"{schema}.{quote(table)}")
        for table in sorted(subject.tables)
        for right in ROWS
    ]
    if store.engine == "postgresql":
        found += [Right("USAGE", "SEQUENCE", name) for name in _list_sequences(subject)]
    return found


def _list_sequences(subject: Subject) -> list[str]:
    """Return the sequences that defaults of these tables draw from; identity columns need no right."""
    rows = subject.store.query(
        "SELECT DISTINCT format('%I.%I', n.nspname, s.relname) FROM pg_depend d "
        "JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid "
        "JOIN pg_class s ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid AND s.relkind = 'S' "
        "JOIN pg_namespace n ON n.oid = s.relnamespace JOIN pg_class t ON t.oid = a.adrelid "
        "WHERE t.relnamespace = current_schema()::regnamespace AND t.relname = ANY(%s::text[]) "
        "OR t.relnamespace = 'changecapture'::regnamespace ORDER BY 1",
        (list(subject.tables),),
    )
    return [str(name) for (name,) in rows]


def check_relay_rights(subject: Subject) -> Iterator[Problem]:
    """What the relay's account lacks: one problem, and one GRANT for each object."""
    store, role = subject.store, subject.role
    if store.engine == "mysql" and role is not None and not can_see(store):
        if not _is_named(read_account(store), role):
            yield unseen(f"the rights of {role}", "SELECT ON mysql.*")
            return
        role = None  # its own rights everybody sees
    account = find_account(store, role)
    if account is None:
        create = _creation(subject)
        grants = _grants(list_relay_rights(subject), create[1])
        why = "the relay should work as an account of its own, with these rights and no others"
        yield Problem(f"there is no account {subject.role}", why, (create[0], *grants))
        return
    rights = list_relay_rights(subject)
    missing = _find_missing(store, account, rights)
    if missing:
        what = f"{account} lacks {len(missing)} of the {len(rights)} rights that a relay needs"
        yield Problem(what, WHY, tuple(_grants(missing, account)))
    if _is_administrator(store, account):
        yield Problem(
            f"{account} may do everything on this server",
            "a relay needs less: --role NAME prints the rights of an account of its own",
            ("$ changecapture doctor URL --role relay",),
            "note",
        )


def _is_named(account: str, role: str) -> bool:
    """Return whether an account of MySQL is what a person calls NAME or NAME@HOST."""
    name, _, host = role.replace("'", "").partition("@")
    return account == f"'{name}'@'{host}'" or (not host and account.startswith(f"'{name}'@"))


def find_account(store: SqlStore, role: str | None) -> str | None:
    """Return an account as GRANT takes it, the store's own for None; None when there is no such account.

    Raises ConfigError when accounts cannot be seen, or several have the name.
    """
    if store.engine == "postgresql":
        sql = "SELECT quote_ident(rolname) FROM pg_roles WHERE rolname = coalesce(%s, current_user)"
        return next((str(name) for (name,) in store.query(sql, (role,))), None)
    if role is None:
        return read_account(store)
    name, _, host = role.replace("'", "").partition("@")
    rows = store.query(
        "SELECT host FROM mysql.user WHERE user = %s AND (host = %s OR %s = '')", (name, host, host)
    )
    if len(rows) > 1:
        hosts = ", ".join(f"{name}@{found}" for (found,) in rows)
        raise ConfigError(f"several accounts are named {name}", mend=f"name one of them: --role {hosts}")
    return f"'{name}'@'{rows[0][0]}'" if rows else None


def _creation(subject: Subject) -> tuple[str, str]:
    """Return the statement that makes an account, and the account as GRANT takes it."""
    assert subject.role is not None
    if subject.store.engine == "postgresql":
        name = DIALECTS["postgresql"].quote(subject.role)
        return f"CREATE ROLE {name} LOGIN PASSWORD 'choose one'", name
    user, _, host = subject.role.replace("'", "").partition("@")
    name = f"'{user}'@'{host or 'localhost'}'"
    return f"CREATE USER {name} IDENTIFIED BY 'choose one'", name


def _find_missing(store: SqlStore, account: str, rights: list[Right]) -> list[Right]:
    if store.engine == "postgresql":
        return _find_missing_on_postgresql(store, account, rights)
    known, database = _read_rights(store, account), store.url.database
    missing = [r for r in rights if not known.has(r.right, database, _bare(r.name, database))]
    everywhere, obeyed = f"{pattern(database)}.*", f"{known.pattern(database)}.*"
    return [replace(r, name=obeyed) if r.name == everywhere else r for r in missing]


def _bare(name: str, database: str) -> str:
    """Return the table of a quoted name, ``*`` for the whole database."""
    if name == f"{pattern(database)}.*":
        return "*"
    return name.removeprefix(f"{DIALECTS['mysql'].quote(database)}.")[1:-1].replace("``", "`")


def _find_missing_on_postgresql(store: SqlStore, account: str, rights: list[Right]) -> list[Right]:
    rows = store.query(
        "SELECT place FROM (SELECT oid FROM pg_roles WHERE quote_ident(rolname) = %s) AS role, "
        "unnest(%s::text[], %s::text[], %s::text[]) WITH ORDINALITY AS r(allowed, kind, name, place) "
        "WHERE NOT coalesce(CASE kind "
        "WHEN 'SCHEMA' THEN has_schema_privilege(role.oid, to_regnamespace(name), allowed) "
        "WHEN 'TABLE' THEN has_table_privilege(role.oid, to_regclass(name), allowed) "
        "ELSE has_sequence_privilege(role.oid, to_regclass(name), allowed) END, false)",
        (account, [r.right for r in rights], [r.kind for r in rights], [r.name for r in rights]),
    )
    return [rights[int(place) - 1] for (place,) in rows]


def _is_administrator(store: SqlStore, account: str) -> bool:
    if store.engine == "postgresql":
        sql = "SELECT rolsuper FROM pg_roles WHERE quote_ident(rolname) = %s"
        return bool(store.query(sql, (account,))[0][0])
    return _read_rights(store, account).has("SUPER")


def _read_rights(store: SqlStore, account: str) -> Rights:
    own = account == read_account(store)
    return parse_grants(
        text for (text,) in store.query("SHOW GRANTS" if own else f"SHOW GRANTS FOR {account}")
    )


def _grants(rights: list[Right], account: str) -> Iterator[str]:
    """Yield one GRANT for each object."""
    objects: dict[tuple[str, str], list[str]] = {}
    for right in rights:
        objects.setdefault((right.kind, right.name), []).append(right.right)
    for (kind, name), names in objects.items():
        yield f"GRANT {', '.join(names)} ON {kind} {name} TO {account}"
