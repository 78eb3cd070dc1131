-- Takes away what mysql.up.sql made.

-- statement: key_alias
DROP TABLE IF EXISTS changecapture_key_alias
