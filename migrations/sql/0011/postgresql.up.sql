-- Room in the pages of row_version: see ../../../triggers/postgresql/schema.sql.

-- statement: row_version
ALTER TABLE changecapture.row_version SET (fillfactor = 70)
