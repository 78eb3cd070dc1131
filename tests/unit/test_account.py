"""What SHOW GRANTS says, of MariaDB and of MySQL 8 (its lines from the manual: it was not run)."""

import pytest

from changecapture.account import parse_grants

ADMIN = "GRANT ALL PRIVILEGES ON *.* TO `admin`@`%` IDENTIFIED BY PASSWORD '*0' WITH GRANT OPTION"


def test_right_on_everything_holds_everywhere() -> None:
    rights = parse_grants([ADMIN])
    assert rights.has("SET USER")
    assert rights.has("INSERT", "eden", "changecapture_captured")
    assert rights.has("GRANT OPTION", "eden")


def test_all_privileges_without_grant_option_may_not_grant() -> None:
    rights = parse_grants(["GRANT ALL PRIVILEGES ON `eden`.* TO `app`@`%`"])
    assert rights.has("TRIGGER", "eden")
    assert not rights.has("GRANT OPTION", "eden")
    assert not rights.has("SELECT", "other")
    assert not rights.has("CREATE USER")


@pytest.mark.parametrize(
    ("granted", "database", "holds"),
    [
        ("`eden\\_a`", "eden_a", True),
        ("`eden\\_a`", "edenXa", False),
        ("`eden_a`", "edenXa", True),
        ("`eden%`", "eden_a", True),
        ("`e``d`", "e`d", True),
        ("`e.d`", "eXd", False),
    ],
)
def test_database_of_a_grant_is_a_pattern(granted: str, database: str, holds: bool) -> None:
    rights = parse_grants([f"GRANT SELECT, INSERT ON {granted}.* TO `app`@`%`"])
    assert rights.has("INSERT", database) is holds


def test_right_on_a_table_holds_for_that_table_only() -> None:
    rights = parse_grants(["GRANT INSERT ON `eden_a`.`t` TO `x`@`localhost`"])
    assert rights.has("INSERT", "eden_a", "t")
    assert not rights.has("INSERT", "eden_a", "u")
    assert not rights.has("INSERT", "eden_a")
    assert not rights.has("INSERT", "edenXa", "t")


def test_usage_roles_and_rights_on_routines_are_nothing() -> None:
    rights = parse_grants(
        [
            "GRANT USAGE ON *.* TO `x`@`%`",
            "GRANT `role` TO `x`@`%`",
            "GRANT EXECUTE ON PROCEDURE `eden`.`p` TO `x`@`%`",
        ]
    )
    assert not rights.has("EXECUTE", "eden")
    assert not rights.used_elsewhere("other")


def test_rights_with_names_of_their_own_in_mysql_8() -> None:
    lines = [
        "GRANT SELECT, RELOAD ON *.* TO `root`@`localhost` WITH GRANT OPTION",
        "GRANT SET_USER_ID,SYSTEM_USER ON *.* TO `root`@`localhost` WITH GRANT OPTION",
    ]
    assert parse_grants(lines).has("SET_USER_ID")


def test_grant_on_another_database_is_use_elsewhere() -> None:
    here = "GRANT SELECT ON `eden\\_a`.* TO `changecapture`@`localhost`"
    there = "GRANT INSERT ON `other`.`changecapture_captured` TO `changecapture`@`localhost`"
    usage = "GRANT USAGE ON *.* TO `changecapture`@`localhost` IDENTIFIED BY PASSWORD '*0'"
    assert not parse_grants([usage, here]).used_elsewhere("eden_a")
    assert parse_grants([usage, here, there]).used_elsewhere("eden_a")
