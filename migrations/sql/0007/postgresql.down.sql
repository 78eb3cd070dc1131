-- Takes away what postgresql.up.sql made.

-- statement: stretch
DROP TABLE IF EXISTS changecapture.stretch
