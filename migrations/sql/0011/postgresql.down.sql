-- Takes away what postgresql.up.sql set.

-- statement: row_version
ALTER TABLE changecapture.row_version RESET (fillfactor)
