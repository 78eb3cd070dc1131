"""An application in which foreign keys do all that they can: each action, several levels and ways, keys
that follow, keys of two columns, a self reference, a circle of two tables, tables that are not synced.
"""

from pathlib import Path

PROFILE = str(Path(__file__).with_suffix(".toml"))
LOCAL_TABLES = ("page", "ledger")
"""Those that are not synced."""

TABLES = """
CREATE TABLE zone (code varchar(20) PRIMARY KEY, title varchar(40)){engine};
CREATE TABLE camp (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, title varchar(40),
    zone varchar(20), spare varchar(20),
    FOREIGN KEY (zone) REFERENCES zone (code) ON DELETE CASCADE ON UPDATE CASCADE,
    FOREIGN KEY (spare) REFERENCES zone (code) ON DELETE SET NULL ON UPDATE SET NULL
){engine};
CREATE TABLE tent (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, title varchar(40), camp_id integer NOT NULL,
    FOREIGN KEY (camp_id) REFERENCES camp (id) ON DELETE CASCADE ON UPDATE CASCADE
){engine};
CREATE TABLE bed (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, note text, tent_id integer NOT NULL,
    FOREIGN KEY (tent_id) REFERENCES tent (id) ON DELETE CASCADE
){engine};
CREATE TABLE visit (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, camp_id integer, tent_id integer,
    FOREIGN KEY (camp_id) REFERENCES camp (id) ON DELETE CASCADE,
    FOREIGN KEY (tent_id) REFERENCES tent (id) ON DELETE SET NULL
){engine};
CREATE TABLE lease (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, camp_id integer NOT NULL,
    FOREIGN KEY (camp_id) REFERENCES camp (id) ON DELETE RESTRICT
){engine};
CREATE TABLE stay (
    zone varchar(20) NOT NULL, item varchar(20) NOT NULL, title varchar(40), PRIMARY KEY (zone, item),
    FOREIGN KEY (zone) REFERENCES zone (code) ON DELETE CASCADE ON UPDATE CASCADE
){engine};
CREATE TABLE plot (
    zone varchar(20) NOT NULL, place varchar(20) NOT NULL, title varchar(40), PRIMARY KEY (zone, place),
    FOREIGN KEY (zone) REFERENCES zone (code) ON DELETE CASCADE ON UPDATE CASCADE
){engine};
CREATE TABLE shed (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, zone varchar(20), place varchar(20),
    FOREIGN KEY (zone, place) REFERENCES plot (zone, place) ON DELETE CASCADE ON UPDATE CASCADE
){engine};
CREATE TABLE link (
    camp_id integer NOT NULL, tent_id integer NOT NULL, title varchar(40), PRIMARY KEY (camp_id, tent_id),
    FOREIGN KEY (camp_id) REFERENCES camp (id) ON DELETE CASCADE,
    FOREIGN KEY (tent_id) REFERENCES tent (id) ON DELETE CASCADE
){engine};
CREATE TABLE node (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, title varchar(40), parent integer,
    FOREIGN KEY (parent) REFERENCES node (id) ON DELETE CASCADE
){engine};
CREATE TABLE egg (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, hen_id integer
){engine};
CREATE TABLE hen (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, egg_id integer,
    FOREIGN KEY (egg_id) REFERENCES egg (id) ON DELETE CASCADE
){engine};
ALTER TABLE egg ADD CONSTRAINT egg_of_hen FOREIGN KEY (hen_id) REFERENCES hen (id) ON DELETE CASCADE;
CREATE TABLE ledger (id integer PRIMARY KEY){engine};
CREATE TABLE page (
    id integer PRIMARY KEY, ledger_id integer,
    FOREIGN KEY (ledger_id) REFERENCES ledger (id) ON DELETE CASCADE
){engine};
CREATE TABLE entry (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, title varchar(40), page_id integer,
    FOREIGN KEY (page_id) REFERENCES page (id) ON DELETE CASCADE
){engine};
CREATE TABLE remark (
    id {serial} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, page_id integer,
    FOREIGN KEY (page_id) REFERENCES page (id) ON DELETE SET NULL
){engine}
"""

ROWS = (
    "INSERT INTO zone VALUES ('a', 'A'), ('b', 'B'), ('c', 'C')",
    "INSERT INTO camp (id, uuid, title, zone, spare) VALUES (1, 'camp 1', 't', 'a', 'b'), "
    "(2, 'camp 2', 't', 'b', 'a'), (3, 'camp 3', 't', 'c', NULL)",
    "INSERT INTO tent (id, uuid, camp_id) VALUES (11, 'tent 11', 1), (12, 'tent 12', 1), (21, 'tent 21', 2)",
    "INSERT INTO bed (id, uuid, note, tent_id) VALUES (111, 'bed 111', 'it''s \"so\"', 11), "
    "(112, 'bed 112', NULL, 11), (211, 'bed 211', '', 21)",
    "INSERT INTO visit (id, uuid, camp_id, tent_id) VALUES (1, 'visit 1', 1, 11), (2, 'visit 2', 1, 21), "
    "(3, 'visit 3', 2, 11), (4, 'visit 4', NULL, 12)",
    "INSERT INTO stay VALUES ('a', 'x', 't'), ('a', 'y', 't'), ('b', 'x', 't')",
    "INSERT INTO plot VALUES ('a', 'p', 't'), ('a', 'q', 't'), ('b', 'p', 't')",
    "INSERT INTO shed (id, uuid, zone, place) VALUES (1, 'shed 1', 'a', 'p'), (2, 'shed 2', 'a', 'p'), "
    "(3, 'shed 3', 'b', 'p'), (4, 'shed 4', 'a', NULL)",
    "INSERT INTO link VALUES (1, 11, 't'), (2, 12, 't'), (2, 21, 't'), (3, 21, 't')",
    "INSERT INTO node (id, uuid, parent) VALUES (1, 'node 1', NULL), (2, 'node 2', 1), (3, 'node 3', 2), "
    "(4, 'node 4', 2), (5, 'node 5', NULL)",
    "UPDATE node SET parent = 1 WHERE id = 1",
    "INSERT INTO egg (id, uuid) VALUES (1, 'egg 1'), (2, 'egg 2')",
    "INSERT INTO hen (id, uuid, egg_id) VALUES (1, 'hen 1', 1), (2, 'hen 2', 2)",
    "UPDATE egg SET hen_id = 1 WHERE id = 2",
    "INSERT INTO ledger VALUES (1), (2)",
    "INSERT INTO page VALUES (1, 1), (2, 1), (3, 2)",
    "INSERT INTO entry (id, uuid, page_id) VALUES (1, 'entry 1', 1), (2, 'entry 2', 2), (3, 'entry 3', 3)",
    "INSERT INTO remark (id, uuid, page_id) VALUES (1, 'remark 1', 1)",
)
"""One statement after the other, with the same numbers everywhere."""


def script(kind: str) -> str:
    """Return what creates the tables on "postgresql" or "mariadb"."""
    if kind == "postgresql":
        return TABLES.format(serial="serial", engine="")
    return TABLES.format(serial="integer AUTO_INCREMENT", engine=" ENGINE=InnoDB CHARSET=utf8mb4")
