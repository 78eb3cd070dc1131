"""What the engines print for a default, in one form."""

import pytest

from changecapture.catalogue import mysql, postgresql


@pytest.mark.parametrize(
    ("printed", "default"),
    [
        (None, None),
        ("'urn:uuid:1-2'::character varying", "urn:uuid:1-2"),
        ("'it''s'::text", "it's"),
        ("''::character varying", ""),
        ("E'back\\\\slash'::text", "back\\slash"),
        ("'T'::bpchar", "T"),
        ("'a'::\"Mood\"", "a"),
        ("'abc'::character varying(10)", "abc"),
        ("'{}'::text[]", "{}"),
        ("NULL::character varying", None),
        ("0.0", "0.0"),
        ("'-1'::integer", "-1"),
        ("'-1.5'::numeric", "-1.5"),
        ("(0)::numeric", "0"),
        ("true", "true"),
        ("now()", "now()"),
        ("CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"),
        ("gen_random_uuid()", "gen_random_uuid()"),
        ("('a'::text || 'b'::text)", "('a'::text || 'b'::text)"),
        ("('urn:uuid:'::text || gen_random_uuid())", "('urn:uuid:'::text || gen_random_uuid())"),
        ("nextval('other_seq'::regclass)", "nextval('other_seq'::regclass)"),
    ],
)
def test_postgresql_literals_lose_their_quotes_and_casts(printed: str | None, default: str | None) -> None:
    assert postgresql.read_default(printed) == default


@pytest.mark.parametrize(
    ("printed", "quoted", "default"),
    [
        (None, True, None),
        ("NULL", True, None),
        ("'urn:uuid:1-2'", True, "urn:uuid:1-2"),
        ("'it\\'s'", True, "it's"),
        ("'it''s'", True, "it's"),
        ("'a\\\\b\\n'", True, "a\\b\n"),
        ("''", True, ""),
        ("0", True, "0"),
        ("current_timestamp()", True, "current_timestamp()"),
        ("uuid()", True, "uuid()"),
        ("NULL", False, "NULL"),
        ("'quoted'", False, "'quoted'"),
        ("piece", False, "piece"),
        (b"piece", False, "piece"),
        ("CURRENT_TIMESTAMP", False, "CURRENT_TIMESTAMP"),
    ],
)
def test_mariadb_literals_lose_their_quotes_and_those_of_mysql_have_none(
    printed: str | bytes | None, quoted: bool, default: str | None
) -> None:
    assert mysql.read_default(printed, quoted=quoted) == default
