-- Mappings: the installed one, and which common rows hang on which record.

-- statement: mapping
-- The mapping between the application's tables and the common ones, as it was installed; no row where there is none.
CREATE TABLE IF NOT EXISTS changecapture_mapping (
    id    int        NOT NULL PRIMARY KEY,
    name  varchar(255) NOT NULL,
    text  longtext   NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin

-- statement: mapped_row
-- Which record (by its key) a common row hangs on that refers to it.
CREATE TABLE IF NOT EXISTS changecapture_mapped_row (
    table_name  varchar(128) NOT NULL,
    row_key     varchar(512) NOT NULL,
    record      varchar(512) NOT NULL,
    PRIMARY KEY (table_name, row_key),
    KEY mapped_row_record (record)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin

-- statement: shortened
-- Values that a column of the application shows cut to its length; whole, they are in the changelog.
CREATE TABLE IF NOT EXISTS changecapture_shortened (
    table_name   varchar(128) NOT NULL,
    row_key      varchar(512) NOT NULL,
    column_name  varchar(128) NOT NULL,
    whole        longtext     NOT NULL,
    noted_at     bigint       NOT NULL,
    PRIMARY KEY (table_name, row_key, column_name)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
