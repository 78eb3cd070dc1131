-- Takes away what postgresql.up.sql made.

-- statement: key_alias
DROP TABLE IF EXISTS changecapture.key_alias
