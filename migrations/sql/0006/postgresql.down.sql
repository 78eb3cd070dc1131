-- Takes away what postgresql.up.sql made.

-- statement: shortened
DROP TABLE IF EXISTS changecapture.shortened

-- statement: mapped_row
DROP TABLE IF EXISTS changecapture.mapped_row

-- statement: mapping
DROP TABLE IF EXISTS changecapture.mapping
