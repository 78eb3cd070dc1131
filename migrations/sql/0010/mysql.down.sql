-- Takes away what mysql.up.sql made.

-- statement: whole
DROP VIEW IF EXISTS changecapture
