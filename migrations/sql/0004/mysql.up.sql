-- Keys that are one row.

-- statement: key_alias
-- Keys that are one row, seeded at several sites: each with the name of the row, the smallest of them.
CREATE TABLE IF NOT EXISTS changecapture_key_alias (
    table_name  varchar(128) NOT NULL,
    row_key     varchar(512) NOT NULL,
    name        varchar(512) NOT NULL,
    PRIMARY KEY (table_name, row_key),
    KEY key_alias_name (table_name, name)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
