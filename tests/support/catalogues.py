"""The catalogues of the real Sahana databases as ``core.catalogue``, without any server.

Built from tests/schemas/*.json only: what the reader of a real server must return, said a second
time and independently of it.
"""

import re
from functools import cache

from changecapture.core.catalogue import Action, Catalogue, Column, Engine, ForeignKey, Table
from tests.support import schemas

SPELLED_OUT = {  # the format of the JSON shortens what PostgreSQL prints
    "varchar": "character varying",
    "timestamp": "timestamp without time zone",
}
KINDS = {
    "integer": ("integer", "smallint", "int", "bigint", "tinyint"),
    "decimal": ("numeric", "decimal"),
    "float64": ("double precision", "double"),
    "float32": ("float",),
    "date": ("date",),
    "time": ("time without time zone", "time"),
    "datetime": ("timestamp without time zone", "datetime"),
    "instant": ("timestamp",),
    "bytes": ("bytea", "blob", "mediumblob", "longblob"),
    "json": ("json",),
    "geometry": ("geometry",),
}
ACTIONS: dict[str, Action] = {
    "NO ACTION": "no action",
    "RESTRICT": "restrict",
    "CASCADE": "cascade",
    "SET NULL": "set null",
}


@cache
def eden(engine: Engine, database: str = "eden") -> Catalogue:
    """Return Eden's catalogue (462 tables); ``database`` only makes the constant uuid defaults."""
    return load_catalogue(f"eden-{engine}", database)


@cache
def load_catalogue(name: str, database: str = "") -> Catalogue:
    """Return the catalogue of one of ``schemas.NAMES``."""
    engine: Engine = "postgresql" if name.endswith("postgresql") else "mysql"
    database = database or name.partition("-")[0]
    return Catalogue(
        engine=engine,
        database=database,
        schema="public" if engine == "postgresql" else database,
        server="",
        tables={
            table.name: _make_table(table, database, engine)
            for table in schemas.read_catalogue(name).values()
        },
    )


def _make_table(facts: schemas.Table, database: str, engine: Engine) -> Table:
    return Table(
        name=facts.name,
        columns=tuple(_make_column(facts.name, c, database, engine) for c in facts.columns),
        primary_key=facts.primary_key,
        uniques=tuple(sorted(facts.uniques)),
        foreign_keys=tuple(
            ForeignKey(
                name=f"{facts.name}_{'_'.join(key.columns)}_{number}",
                columns=key.columns,
                target=key.table,
                target_columns=key.referenced,
                on_delete=ACTIONS[key.on_delete],
                on_update=ACTIONS[key.on_update],
            )
            for number, key in enumerate(facts.foreign_keys)
        ),
        storage=facts.engine,
        collation=facts.collation,
    )


def _make_column(table: str, facts: schemas.Column, database: str, engine: Engine) -> Column:
    bare, _, rest = facts.type.partition("(")
    spelled = SPELLED_OUT.get(bare, bare) if engine == "postgresql" else bare
    length = re.fullmatch(r"(?:var)?char(?:acter)?\((\d+)\)", facts.type)
    default = facts.default
    if default == schemas.CONSTANT_UUID:
        default = schemas.constant_uuid(database, table)
    return Column(
        name=facts.name,
        type=spelled + ("(" + rest if rest else ""),
        kind=next((kind for kind, names in KINDS.items() if spelled in names), "text"),
        nullable=facts.nullable,
        default=re.sub(r"^'(.*)'(::[a-z ]+)?$", r"\1", default) if default else default,
        automatic=facts.extra in ("serial", "auto_increment"),
        on_update=(facts.extra or "").startswith("on update"),
        length=int(length.group(1)) if length else None,
    )
