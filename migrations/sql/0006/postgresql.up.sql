-- Mappings: the installed one, and which common rows hang on which record.

-- statement: mapping
-- The mapping between the application's tables and the common ones, as it was installed; no row where there is none.
CREATE TABLE IF NOT EXISTS changecapture.mapping (
    id    integer    NOT NULL PRIMARY KEY,
    name  varchar(255) COLLATE "C" NOT NULL,
    text  text       COLLATE "C" NOT NULL
)

-- statement: mapped_row
-- Which record (by its key) a common row hangs on that refers to it.
CREATE TABLE IF NOT EXISTS changecapture.mapped_row (
    table_name  varchar(128) COLLATE "C" NOT NULL,
    row_key     varchar(512) COLLATE "C" NOT NULL,
    record      varchar(512) COLLATE "C" NOT NULL,
    PRIMARY KEY (table_name, row_key)
)

-- statement: mapped_row_record
-- postgresql only: MySQL has it inside the table.
CREATE INDEX IF NOT EXISTS mapped_row_record ON changecapture.mapped_row (record)

-- statement: shortened
-- Values that a column of the application shows cut to its length; whole, they are in the changelog.
CREATE TABLE IF NOT EXISTS changecapture.shortened (
    table_name   varchar(128) COLLATE "C" NOT NULL,
    row_key      varchar(512) COLLATE "C" NOT NULL,
    column_name  varchar(128) COLLATE "C" NOT NULL,
    whole        text         COLLATE "C" NOT NULL,
    noted_at     bigint       NOT NULL,
    PRIMARY KEY (table_name, row_key, column_name)
)
