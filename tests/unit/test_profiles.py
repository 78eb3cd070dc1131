"""Reading profiles, and choosing one."""

from pathlib import Path

import pytest

from changecapture.core.catalogue import Catalogue, Table
from changecapture.errors import ConfigError
from changecapture.profiles import PROFILES, choose_profile, load_profile, recognise
from tests.support.catalogues import eden, load_catalogue

RULE = '[[table]]\ntables = ["x_*"]\nsync = true\nwhy = "because"\n'


def write(path: Path, text: str) -> str:
    file = path / "own.toml"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize("name", PROFILES)
def test_every_packaged_profile_reads(name: str) -> None:
    profile = load_profile(name)
    assert profile.name == name
    assert profile.tables and all(rule.why for rule in profile.tables)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("tabel = 1", ["own.toml", "'tabel'", "table"]),
        ("title = 1", ["own.toml", "'title' is 1", "a text"]),
        ("title = ''", ["'title' is empty"]),
        ("[[table]]\ntables = ['a']\nsync = true", ["[[table]] number 1", "'why' is missing"]),
        (RULE + "[[table]]\ntables = 'a'\nsync = true\nwhy = 'w'", ["number 2", "a list of texts"]),
        ("[[table]]\ntables = []\nsync = true\nwhy = 'w'", ["'tables' is empty"]),
        ("[[table]]\ntables = ['a']\nsync = 'yes'\nwhy = 'w'", ["'sync' is 'yes'", "true or false"]),
        ("[[table]]\ntables = ['a']\nsinc = true\nwhy = 'w'", ["'sinc'", "module, sync, tables, why"]),
        ("[table]\ntables = ['a']", ["write [[table]]"]),
        ("[[deleted]]\ncolumn = 'd'", ["write [deleted]"]),
        ("[deleted]\ncolumn = 'd'\ndeleted = 'T'", ["[deleted]", "'live' is missing"]),
        ("[[tree]]\ncolumn = 'parent'", ["write table.column"]),
        ("[[reference]]\ncolumn = 'a.b'\nto = 'c.*'\nwhy = 'w'", ["'to'", "write table.column"]),
        ("[[needs]]\ncolumns = ['a.b']\non_delete = 'drop'\nwhy = 'w'", ["'drop'", "cascade"]),
        ("not toml", ["own.toml is not TOML"]),
        ("extends = 'edne'", ["'edne'", "eden"]),
    ],
)
def test_a_wrong_profile_is_refused_with_the_place_and_what_is_allowed(
    tmp_path: Path, text: str, parts: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_profile(write(tmp_path, text))
    for part in parts:
        assert part in str(caught.value)


def test_an_unknown_name_and_an_unreadable_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no profile is called 'edn'.*eden"):
        load_profile("edn")
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read"):
        load_profile(str(tmp_path / "nowhere.toml"))


def test_the_first_rule_that_matches_decides(tmp_path: Path) -> None:
    other = RULE.replace("x_*", "x_a").replace("true", "false").replace("because", "not this")
    rule = load_profile(write(tmp_path, other + RULE)).table_rule("x_a")
    assert rule and (rule.synced, rule.why) == (False, "not this")


def test_rules_of_a_file_stand_before_those_that_it_extends(tmp_path: Path) -> None:
    text = 'extends = "eden"\n' + RULE.replace("x_*", "auth_user")
    profile = load_profile(write(tmp_path, text))
    rule, other = profile.table_rule("auth_user"), profile.table_rule("auth_group")
    assert rule and rule.synced
    assert other and not other.synced
    assert profile.name == "own"


def test_values_of_a_file_replace_those_that_it_extends_and_others_stay(tmp_path: Path) -> None:
    profile = load_profile(write(tmp_path, 'extends = "eden"\nmodule = "all"\n'))
    assert profile.module_of("pr_person") == "all"
    assert profile.deleted == load_profile("eden").deleted
    assert profile.uuid_columns == ("uuid",)


def test_names_match_whatever_their_case_and_a_bare_column_is_of_any_table(tmp_path: Path) -> None:
    rules = RULE + '[[column]]\ncolumns = ["secret", "x_b.L*"]\ntravels = false\nwhy = "w"\n'
    profile = load_profile(write(tmp_path, rules))
    assert profile.table_rule("X_Person")
    assert profile.column_rule("any", "Secret")
    assert profile.column_rule("x_b", "l0")
    assert not profile.column_rule("x_c", "l0")


def test_the_module_is_the_prefix_unless_a_rule_says_otherwise() -> None:
    profile = load_profile("eden")
    assert profile.module_of("pr_person") == "pr"
    assert profile.module_of("msg_basestation") == "org"


@pytest.mark.parametrize("engine", ["postgresql", "mysql"])
def test_eden_is_recognised(engine: str) -> None:
    assert choose_profile("auto", load_catalogue(f"eden-{engine}")).name == "eden"


def test_what_nobody_recognises_is_told_with_what_was_looked_for() -> None:
    strange = Catalogue("postgresql", "shop", "public", "", {"orders": Table("orders", ())})
    with pytest.raises(ConfigError) as caught:
        recognise(strange)
    for part in ("shop", "pr_person", "--profile", "generic", "FILE.toml"):
        assert part in str(caught.value)


def test_an_empty_database_is_told_as_such() -> None:
    with pytest.raises(ConfigError, match="no tables in schema public"):
        recognise(Catalogue("postgresql", "shop", "public", "", {}))


def test_generic_is_never_chosen_by_itself() -> None:
    assert load_profile("generic").recognised_by == ()
    assert recognise(eden("postgresql")).name != "generic"
