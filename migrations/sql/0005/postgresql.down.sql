-- Takes away what postgresql.up.sql made.

-- statement: conflict_row
DROP INDEX IF EXISTS changecapture.conflict_row
