"""What names alike at every site and is not the same: people that come with an installation, and numbers.

Nothing has to be done: it is said what becomes of each, so that nobody looks for them elsewhere or takes two
for one.
"""

from collections.abc import Iterator

from changecapture.core.catalogue import Catalogue
from changecapture.doctor.subject import Problem, Subject
from changecapture.mapping.model import Record
from changecapture.mapping.parts import KEY, Local
from changecapture.profiles import Profile, choose_profile
from changecapture.store.sqlstore import SqlStore
from changecapture.wanted import DIALECTS

SHOWN = 5
SEEDED = (
    "every installation has them: they stay at home, and so do changes of them. Who is referred to by such a "
    "name is at each site the site's own"
)
NAMELESS = "they stay at home until the application gives them one: it is what other sites know them by"
NAMED = "the number stays at home: sites take two rows for one by that name, whatever their numbers"
COUNTED = "one number means another thing at each site: they stay at home, and do not travel at all"


def check_home(subject: Subject) -> Iterator[Problem]:
    """Rows of records that a mapping keeps at home, seeded ones and those without the name that they need,
    and tables with numbers of this site."""
    store, wanted = subject.store, subject.wanted
    for record in store.mapping.records if subject.status is not None and store.mapping is not None else ():
        if record.skip and record.anchor.key == (KEY,):
            yield from _note_seeded(store, record, record.anchor)
        if record.named:
            yield from _note_nameless(store, record)
    if wanted is None:
        return
    profile = choose_profile(wanted.profile, wanted.catalogue)
    named = _find_named(wanted.catalogue, profile)
    if named:
        yield Problem(f"known by a name, not by a number: {', '.join(named)}", NAMED, (), "note")
    rules = {name: profile.table_rule(name) for name in wanted.catalogue.tables}
    counted = sorted(name for name, rule in rules.items() if rule is not None and rule.counted)
    if counted:
        yield Problem(f"numbered by this site alone: {', '.join(counted)}", COUNTED, (), "note")


def _note_seeded(store: SqlStore, record: Record, part: Local) -> Iterator[Problem]:
    """Note the rows of a table that stay at home, by their names."""
    table = store.tables_by_wire.get(part.table)
    if table is None or not table.identity.is_text:
        return
    quote = DIALECTS[store.engine].quote
    name = quote(table.identity.columns[0].name)
    patterns = [pattern.replace("_", "!_").replace("*", "%").replace("?", "_") for pattern in record.skip]
    some = " OR ".join([f"{name} LIKE %s ESCAPE '!'"] * len(patterns))
    rows = store.query(f"SELECT {name} FROM {quote(table.name)} WHERE {some} ORDER BY 1", patterns)
    found = [key for (key,) in rows if record.stays(key)]
    if found:
        more = f" and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
        shown = ", ".join(found[:SHOWN])
        yield Problem(f"{table.name} {shown}{more}: come with an installation", SEEDED, (), "note")


def _note_nameless(store: SqlStore, record: Record) -> Iterator[Problem]:
    """Note how many rows lack the name without which their record is nothing elsewhere."""
    table = store.tables_by_wire.get(record.anchor.table)
    if table is None:
        return
    pairs = [pair for pair in record.pairs if pair.local.part == record.anchor.name]
    needed = {pair.local.column for pair in pairs if pair.common[0] in record.needs}
    columns = [c for c in (*table.identity.columns, *table.columns) if c.wire in needed]
    quote = DIALECTS[store.engine].quote
    for column in dict.fromkeys(column.name for column in columns):
        nothing = f"{quote(column)} IS NULL OR {quote(column)} IN ('', 'NULL')"
        ((found,),) = store.query(f"SELECT count(*) FROM {quote(table.name)} WHERE {nothing}")
        if found:
            rows = f"{found} row{'s have' if found > 1 else ' has'}"
            yield Problem(f"{table.name}: {rows} no {column}", NAMELESS, (), "note")


def _find_named(catalogue: Catalogue, profile: Profile) -> list[str]:
    """Return the numbers of tables that the profile knows by a name, each with that name."""
    found: list[str] = []
    for name, table in sorted(catalogue.tables.items()):
        rule = profile.key_rule(name)
        numbers = [c.name for c in table.columns if c.automatic and c.name in table.primary_key]
        if rule is not None and numbers and not set(numbers) & set(rule.columns):
            found.append(f"{name}.{numbers[0]} (by {', '.join(rule.columns)})")
    return found
