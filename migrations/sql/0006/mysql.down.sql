-- Takes away what mysql.up.sql made.

-- statement: shortened
DROP TABLE IF EXISTS changecapture_shortened

-- statement: mapped_row
DROP TABLE IF EXISTS changecapture_mapped_row

-- statement: mapping
DROP TABLE IF EXISTS changecapture_mapping
