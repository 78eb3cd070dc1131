-- Takes away what postgresql.up.sql set.

-- statement: row_version
ALTER TABLE IF EXISTS changecapture.row_version RESET (fillfactor)
