"""The two dialects stay in step, what was released stays frozen, and reviewers see rendered triggers."""

import re
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files

import pytest

from changecapture.dialect import mysql, postgresql
from changecapture.plan import plan
from changecapture.profiles import choose_profile
from changecapture.sql import split_statements
from tests.support.catalogues import eden
from tests.support.golden import assert_golden

DIALECTS = {"postgresql": postgresql, "mysql": mysql}
PAIRS = [
    ("triggers", "postgresql/schema.sql", "mysql/schema.sql"),
    ("triggers", "postgresql/capture.sql", "mysql/capture.sql"),
    ("triggers", "postgresql/cascade.sql", "mysql/cascade.sql"),
    ("triggers", "postgresql/history.sql", "mysql/history.sql"),
    ("triggers", "postgresql/remove.sql", "mysql/remove.sql"),
    ("migrations", "sql/0001/postgresql.up.sql", "sql/0001/mysql.up.sql"),
    ("migrations", "sql/0001/postgresql.down.sql", "sql/0001/mysql.down.sql"),
    ("migrations", "sql/0002/postgresql.up.sql", "sql/0002/mysql.up.sql"),
    ("migrations", "sql/0002/postgresql.down.sql", "sql/0002/mysql.down.sql"),
    ("migrations", "sql/0003/postgresql.up.sql", "sql/0003/mysql.up.sql"),
    ("migrations", "sql/0003/postgresql.down.sql", "sql/0003/mysql.down.sql"),
]
FROZEN = {
    "0001/mysql.down.sql": "f518581c30d9395c25e083761f018effbcf44774a4ceb557f3aa6c57d9946ca1",
    "0001/mysql.up.sql": "ee819931f5b7aa9f79f5118c7cb5acaca58c5e4cbc1ee651207314995ab82432",
    "0001/postgresql.down.sql": "fa336675998f535fb48b16646b3ed3dc0c67f2dda632ecf77f8c7006ec54655c",
    "0001/postgresql.up.sql": "10721c2d8843d2cb0a3d05b2741334eb3096e3efcd74ca03d6952b4269f71765",
    "0002/mysql.down.sql": "c43864cebcb58c48a7057606cd781c44386b7f8b618788848f20d05b1e21aa34",
    "0002/mysql.up.sql": "686bb54443f10ddea278bb3d23e108aa60c8a0c5bc1b18b510591b482209b11d",
    "0002/postgresql.down.sql": "92fd63567cbc012d86bf1cf568eb463a6952227a6f8731fd2e9d404021b129b4",
    "0002/postgresql.up.sql": "e4ba185dacaaacc46dc3fe3115c6822b54fda0bc6c79f7b4fc696fe44e37530a",
    "0003/mysql.down.sql": "506ff9e962d25fd395f28d6ca1476f78d158789a4d03e42098f9ab10f2501166",
    "0003/mysql.up.sql": "72d923017ddbaa47b216c4c8a56234188e55693bbda6bc0c1a5b848a1be8ba3e",
    "0003/postgresql.down.sql": "d439a0d93ef358a9a90c680bad67efef9f5fb2c172060e3dc3433162cc513896",
    "0003/postgresql.up.sql": "ed22f65632d2cfcd2bd342e978cc0e1dfecae9157e43f419fe2d5aa3626da703",
    "0004/mysql.down.sql": "064a556445db8c5476a7431ed04a59c48f561150774d56337be4bbc8fa7a5cfb",
    "0004/mysql.up.sql": "921c4369eef6332e2d87150a1d743014762a76c2a4cfd7e508afceae5f5ccdc2",
    "0004/postgresql.down.sql": "70ec9bab94ea4aae845f694d4e83255bc13fc55ee43ef1a1a9be3b880be1e75e",
    "0004/postgresql.up.sql": "079f7fad217d3a0c2e1a2c12c1cb8792aac4ee8e11ea36e12f1932c4ffafe411",
    "0005/mysql.down.sql": "ac13f217b18bece0866fb4a1d6e4bf6db65bbb4ccc0b58e5176f810573c49956",
    "0005/mysql.up.sql": "4ce549bae11f1716fc46e4f1f6c3b650d3e3b22e12d8f1a18d542968aea0e2d2",
    "0005/postgresql.down.sql": "304671b319611e2a2ae1abb7faae900ca17462fd94c1dc101c124d500d937a58",
    "0005/postgresql.up.sql": "bcdc6c53f7727314d2bc809a0d5f9d29d3facf740d62a887479fe3e3c812ab2d",
    "0006/mysql.down.sql": "d0bb5aec9fae0e913be969ffd5e83209148ecf35eacf81024f8525e5b8e8d14d",
    "0006/mysql.up.sql": "61dc12c6f3dbf9d801a4d93248068362df02a9a281cb91cc7d534b9d13727faa",
    "0006/postgresql.down.sql": "9e04137a2229a40114f6e06f9f21b40e88a898c84fe1c8814622aae54d46e6ac",
    "0006/postgresql.up.sql": "74dd6c9c8ad18a97b296546986b1fd6b2b30f57ccfa663f7572a82150f0bc59e",
    "0007/mysql.down.sql": "ef7b5c6c25d77a9e9aacf9299d12830b3dc74f614b67b2bd25ebfd20049cacd4",
    "0007/mysql.up.sql": "d5d3762921f78e83df0ba49cd7ba6e85d1d9bd382ab6e8995bd8eba1c5970d87",
    "0007/postgresql.down.sql": "6c479d46224f1e785c44879e3a54c47ef5d3941e513e5ff71872656b6eac7679",
    "0007/postgresql.up.sql": "1931a26fd02e7331902a1cef49d4bc5d05ff3f6a4bd0c54463bc7b43f871c0d4",
    "0008/mysql.down.sql": "07718f43fc149dbcfc9e216adca4adb6d6610efe56d33ab938349fbdd707b4f3",
    "0008/mysql.up.sql": "a31fb4bbeebdaff4060ee542c140c0205878b4523cbba540582a8472e38e85cc",
    "0008/postgresql.down.sql": "61840ca9f97b324e8d21a57914465b7a48acbb9de7b06f1ffd7017075014b57e",
    "0008/postgresql.up.sql": "61840ca9f97b324e8d21a57914465b7a48acbb9de7b06f1ffd7017075014b57e",
    "0009/mysql.down.sql": "f62c33c698ea57e81d1d22b3ae1293c414ec4c1eaa2ddbed3ab3a40f84e40db1",
    "0009/mysql.up.sql": "206c8f278fba3ec51e384443a3273c449ca2144460bcf9ff1fc18e938e4300c2",
    "0009/postgresql.down.sql": "5cf77cced0e530a591ddc3a40044b2e7113871cfa882048164f8a9add56f3f61",
    "0009/postgresql.up.sql": "3793d87db602dde9fa0166cc23c0f2b5fd5f5110a6ff55a01029aff5622b2ac9",
    "0010/mysql.down.sql": "c1c1368ef30ea85fccd5045e18ddd25ddaa3e13bc4ab1574a2d41264b91c70e0",
    "0010/mysql.up.sql": "e4a4249fa7a45c85cc46b7b315e1c346696517e392a8dfd6de72b47e016dcf84",
    "0010/postgresql.down.sql": "9f865b6668445c618ea7897ab41d57623b27dc2fbd9b7cd0ed7ca6c34bf70e88",
    "0010/postgresql.up.sql": "723e6fb9771f88e907a5635beed212be7fc1ab1ee689e7e013ec057d844d14d1",
    "0011/mysql.down.sql": "9f865b6668445c618ea7897ab41d57623b27dc2fbd9b7cd0ed7ca6c34bf70e88",
    "0011/mysql.up.sql": "4637f3198c90780a3fbcec37368e60de30fcf14db5c8102f5f90b4a43325b256",
    "0011/postgresql.down.sql": "b8deb5f4b9a3e806c776d43a68ee167aaee58f49ce2995a9a6ff4a29905edf86",
    "0011/postgresql.up.sql": "8f6564ccb1812fa5de44f0c23200af5a8b1e770c481344a2f6a117f22dfdf2f4",
}
GOLDEN_TABLES = {"pr_person": 1, "gis_location": 2, "pr_pentity": 3}


def read(package, path):
    return files(package).joinpath(path).read_text(encoding="utf-8")


def names_with_twins(text, only):
    """Return the names of a file's statements, those whose header says ``only`` left out."""
    parts = re.split(r"^-- statement: (\w+)$", text, flags=re.MULTILINE)
    return [name for name, body in zip(parts[1::2], parts[2::2], strict=True) if only not in header(body)]


def header(body):
    return re.match(r"\A((?:\s*--[^\n]*\n)*)", body)[1]


@pytest.mark.parametrize(("package", "left", "right"), PAIRS)
def test_statements_of_the_two_dialects_are_the_same_in_the_same_order(package, left, right):
    assert names_with_twins(read(package, left), "-- postgresql only: ") == names_with_twins(
        read(package, right), "-- mysql only: "
    )


@pytest.mark.parametrize(("package", "left", "right"), PAIRS)
def test_statement_with_a_twin_has_its_holes(package, left, right):
    ours, theirs = (split_statements(read(package, path)) for path in (left, right))
    # MySQL names the table of an index, PostgreSQL that of a trigger; its view only calls its function;
    # MySQL's triggers call a procedure where PostgreSQL's write missed themselves.
    apart = {"drop_index", "drop_trigger", "history_view", "unfailing"}
    for name in ours.keys() & theirs.keys():
        here, there = (set(re.findall(r"\{\{(\w+)\}\}", body[name])) for body in (ours, theirs))
        assert here == there or name in apart, name


@pytest.mark.parametrize("path", [path for _, *pair in PAIRS for path in pair if path.endswith("schema.sql")])
def test_columns_of_the_fixed_objects_are_the_same_in_the_same_order(path):
    other = path.replace("mysql", "postgresql")
    assert columns_of(read("triggers", path)) == columns_of(read("triggers", other))


def columns_of(text):
    """Return {table: column names} of a schema file."""
    found = {}
    for name, body in split_statements(text).items():
        if body.startswith("CREATE TABLE"):
            found[name] = re.findall(r"^    [`\"]?([a-z_]+)[`\"]?\s+[a-z]", body, re.MULTILINE)
    return found


def test_every_function_of_a_dialect_has_a_twin_in_the_same_order():
    ours, theirs = (
        [name for name in re.findall(r"^def ([a-z]\w+)\(", read("changecapture", f"dialect/{n}.py"), re.M)]
        for n in DIALECTS
    )
    shared = set(ours) & set(theirs)
    assert [n for n in ours if n in shared] == [n for n in theirs if n in shared]
    # Only MySQL's names can be too long, and only its triggers call what they have in common.
    assert set(ours) ^ set(theirs) == {"history_name", "render_helper"}


@pytest.mark.parametrize("path", FROZEN)
def test_released_migration_is_never_changed(path):
    found = sha256(files("migrations").joinpath("sql", path).read_bytes()).hexdigest()
    assert found == FROZEN[path], f"{path} was released: write a new revision"


def test_every_frozen_file_has_its_checksum():
    root = files("migrations").joinpath("sql")
    found = {f"{r.name}/{f.name}" for r in root.iterdir() for f in r.iterdir() if f.name.endswith(".sql")}
    assert found == set(FROZEN)


@pytest.mark.parametrize("name", GOLDEN_TABLES)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_rendered_capture_of_a_table_of_eden(dialect, name):
    catalogue = eden(dialect)
    decisions = {d.table: d for d in plan(catalogue, choose_profile("eden", catalogue))}
    schema = "public" if dialect == "postgresql" else "eden"
    table_id = GOLDEN_TABLES[name]
    capture = DIALECTS[dialect].render_capture(decisions[name].definition, table_id, schema)
    statements = [*capture.functions.values(), *capture.triggers.values(), *capture.history]
    text = ";\n\n".join(statements)
    assert "{{" not in text
    assert_golden(f"{name}.{dialect}.sql", text + "\n")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_fingerprint_changes_with_every_column_that_is_captured(dialect):
    """A column more, less, or of another type: another trigger name, which is how drift is seen."""
    catalogue = eden(dialect)
    table = next(
        d.definition for d in plan(catalogue, choose_profile("eden", catalogue)) if d.table == "pr_contact"
    )
    others = [
        table,
        replace(table, columns=table.columns[1:]),
        replace(table, columns=(replace(table.columns[0], kind="text"), *table.columns[1:])),
        replace(table, deleted_flag=None),
        replace(table, locator=table.identity.columns),
    ]
    rendered = [DIALECTS[dialect].render_capture(other, 7, "eden") for other in others]
    assert len({frozenset(capture.triggers) for capture in rendered}) == len(others)
    again = DIALECTS[dialect].render_capture(table, 7, "eden")
    assert again == rendered[0]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("text", ["", "a", "it's", 'say "x"', "back\\slash", "`tick`", "a\\'b", "%s {{x}}"])
def test_literals_and_names_are_closed(dialect, text):
    """An odd number of closing quotes would end the literal early."""
    module = DIALECTS[dialect]
    literal = module.literal(text)
    body = literal.removeprefix("E")[1:-1]
    assert literal.endswith("'") and literal.removeprefix("E").startswith("'")
    assert not re.search(r"(?<!')'(?!')", body.replace("''", "").replace("\\\\", ""))
    mark = "`" if dialect == "mysql" else '"'
    assert module.quote(text) == mark + text.replace(mark, mark * 2) + mark
