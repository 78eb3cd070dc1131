"""Attack 8.2: names and many columns. Copy to tests/database."""

import pytest
from tests.support.sites import assert_in_step, exchange, Site
from tests.support.commands import run_command

PG, MY = "postgresql", "mariadb"


def show(*sites):
    for s in sites:
        print(
            s.dialect,
            "parked",
            s.parked(),
            "aside",
            s.set_aside(),
            "conflicts",
            len(s.conflicts()),
            "captured",
            s.captured(),
        )


def q(kind, n):
    return ('"' + n.replace('"', '""') + '"') if kind == PG else ("`" + n.replace("`", "``") + "`")


ODD = [
    "a%b",
    "a%%b",
    "a\\b",
    "a\\",
    "a`b",
    "a'b",
    'a"b',
    "a''b",
    "a b",
    "{{table}}",
    "a--b",
    "a/*b*/",
    "é" * 20,
    "表" * 20,
    "a;b",
    "a,b",
    "a.b",
    "$$",
    "select",
    "NEW",
    "old",
    "r",
    "t",
    "a\nb",
    "a{b}",
    "a%(x)s",
    "ın",
    "ß",
    "x" * 60,
]


def make(kind, table, columns):
    cols = ", ".join(f"{q(kind, c)} {'varchar(40)'}" for c in columns)
    return f"CREATE TABLE {q(kind, table)} (uuid varchar(40) PRIMARY KEY, {cols})"


def raw(site, st, *p):
    f = site.family
    with f.connection.cursor() as c:
        c.execute(st, p) if p else c.execute(st)


@pytest.mark.parametrize("kinds", [(PG, MY), (MY, PG), (MY, MY), (PG, PG)], ids="-".join)
def test_columns(new_tables, kinds):
    sites = [
        new_tables(k, make(k, "tent", ODD) + "; CREATE TABLE rest (uuid varchar(40) PRIMARY KEY)")
        for k in kinds
    ]
    print(run_command("plan", sites[0].url).out)
    a, b = sites
    ca = [q(kinds[0], c) for c in ODD]
    raw(a, f"INSERT INTO tent VALUES ('u', {', '.join(repr(str(n)) for n in range(len(ODD)))})")
    exchange(a, b)
    show(a, b)
    assert a.fetch("SELECT * FROM tent") == b.fetch("SELECT * FROM tent")
    for n, c in enumerate(ODD):
        raw(b, f"UPDATE tent SET {q(kinds[1], c)} = 'new{n}'")
    exchange(a, b)
    show(a, b)
    assert_in_step(a, b)
    raw(a, f"UPDATE tent SET {', '.join(f'{q(kinds[0], c)} = NULL' for c in ODD)}")
    raw(
        b,
        f"UPDATE tent SET {', '.join(f'{q(kinds[1], c)} = chr(65)' if kinds[1] == PG else f'{q(kinds[1], c)} = char(65)' for c in ODD)}",
    )
    exchange(a, b)
    show(a, b)
    assert_in_step(a, b)
    raw(a, "DELETE FROM tent")
    exchange(a, b)
    assert_in_step(a, b)
    for s in sites:
        for cmd in (
            ("status", s.url),
            ("doctor", s.url),
            ("plan", s.url),
            ("log", s.url),
            ("conflicts", "list", s.url),
            ("verify", s.url, sites[1 - sites.index(s)].url),
        ):
            out = run_command(*cmd)
            if "unexpected" in out.err or "Traceback" in out.err or out.status not in (0, 1):
                print(cmd, out.status, out.err[-500:], out.out[-300:])
        out = run_command("uninstall", s.url, "--yes")
        print(out.status, out.out[-300:], out.err[-300:])


TABLES_ODD = [o for o in ODD if not o.endswith(" ")] + ["T" * 63, "é" * 31]


@pytest.mark.parametrize("kinds", [(PG, MY), (MY, PG)], ids="-".join)
def test_tables(new_tables, kinds):
    bad = set()

    def script(k):
        return [make(k, t, ["note"]) for t in TABLES_ODD]

    from tests.support.databases import connect_mysql, connect_postgresql

    sites = [new_tables(k, "CREATE TABLE plainone (uuid varchar(40) PRIMARY KEY)") for k in kinds]
    for s, k in zip(sites, kinds):
        for t in TABLES_ODD:
            try:
                raw(s, make(k, t, ["note"]))
            except Exception as e:
                print("cannot make", k, t, e)
                bad.add(t)
        s.close()
        out = run_command("install", s.url)
        print(out.status, out.out[-900:], out.err[-900:])
    a, b = sites
    good = [t for t in TABLES_ODD if t not in bad]
    for t in good:
        raw(a, f"INSERT INTO {q(kinds[0], t)} VALUES ('u', 'n')")
    exchange(a, b)
    show(a, b)
    lost = []
    for t in good:
        try:
            with b.family.connection.cursor() as c:
                c.execute(f"SELECT note FROM {q(kinds[1], t)}")
                found = c.fetchall()
        except Exception as e:
            found = e
        if list(found) != [("n",)]:
            lost.append((t, found))
    print("LOST", lost)
    for t in good:
        raw(b, f"UPDATE {q(kinds[1], t)} SET note = 'm'")
        raw(a, f"UPDATE {q(kinds[0], t)} SET note = 'm2'")
    exchange(a, b)
    show(a, b)
    for s in sites:
        for cmd in (
            ("status", s.url),
            ("doctor", s.url),
            ("plan", s.url),
            ("log", s.url),
            ("conflicts", "list", s.url),
            ("verify", s.url, sites[1 - sites.index(s)].url),
        ):
            out = run_command(*cmd)
            if "unexpected" in out.err or "Traceback" in out.err or out.status not in (0, 1):
                print(cmd, out.status, out.err[-500:], out.out[-300:])
        for t in good[:3]:
            out = run_command("log", s.url, "--table", t)
            print(out.status, out.err[-200:])
        out = run_command("uninstall", s.url, "--yes")
        print(out.status, out.out[-300:], out.err[-300:])
    assert not lost


def test_columns_that_differ_in_case(new_tables):
    """PostgreSQL: "Name" and "name" are two columns; two tables "Tent" and "tent"."""
    sql = 'CREATE TABLE tent (uuid varchar(40) PRIMARY KEY, "Name" varchar(40), name varchar(40)); CREATE TABLE "Tent" (uuid varchar(40) PRIMARY KEY, note varchar(40))'
    sql += "; CREATE TABLE rest (uuid varchar(40) PRIMARY KEY)"
    a, b = new_tables(PG, sql), new_tables(PG, sql)
    out = run_command("plan", a.url)
    print(out.out)
    raw(a, "INSERT INTO tent VALUES ('u', 'big', 'small')")
    raw(a, """INSERT INTO "Tent" VALUES ('u', 'other')""")
    exchange(a, b)
    show(a, b)
    print(b.fetch("SELECT * FROM tent"), b.fetch('SELECT * FROM "Tent"'))
    raw(a, """UPDATE tent SET "Name" = 'BIG'""")
    raw(a, "UPDATE tent SET name = 'smaller'")
    raw(a, """UPDATE "Tent" SET note = 'more'""")
    exchange(a, b)
    show(a, b)
    print(b.fetch("SELECT * FROM tent"), b.fetch('SELECT * FROM "Tent"'))
    assert b.fetch("SELECT * FROM tent") == [("u", "BIG", "smaller")] and b.fetch('SELECT * FROM "Tent"') == [
        ("u", "more")
    ]


@pytest.mark.parametrize("kinds", [(PG, MY), (MY, PG)], ids="-".join)
@pytest.mark.parametrize("count", [180])
def test_many_columns(new_tables, kinds, count):
    names = [f"column_{n}" for n in range(count)]
    a, b = [
        new_tables(
            k,
            make(k, "wide", names)
            .replace(" varchar(40)", " varchar(8)")
            .replace("uuid varchar(8)", "uuid varchar(40)"),
        )
        for k in kinds
    ]
    for r in range(20):
        raw(a, f"INSERT INTO wide VALUES ('u{r}', {', '.join(repr(str(n)) for n in range(count))})")
    exchange(a, b)
    show(a, b)
    assert_in_step(a, b)
    for r in range(20):
        raw(
            b,
            f"UPDATE wide SET {', '.join(f'column_{n} = {n + r}' if 0 else f'column_{n} = {chr(39)}{n + r}{chr(39)}' for n in range(count))} WHERE uuid = 'u{r}'",
        )
    exchange(a, b)
    show(a, b)
    assert_in_step(a, b)
