-- Keys that are one row.

-- statement: key_alias
-- Keys that are one row, seeded at several sites: each with the name of the row, the smallest of them.
CREATE TABLE IF NOT EXISTS changecapture.key_alias (
    table_name  varchar(128) COLLATE "C" NOT NULL,
    row_key     varchar(512) COLLATE "C" NOT NULL,
    name        varchar(512) COLLATE "C" NOT NULL,
    PRIMARY KEY (table_name, row_key)
)

-- statement: key_alias_name
-- postgresql only: MySQL has it inside the table.
CREATE INDEX IF NOT EXISTS key_alias_name ON changecapture.key_alias (table_name, name)
