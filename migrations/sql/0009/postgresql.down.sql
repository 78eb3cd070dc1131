-- Takes away what postgresql.up.sql made.

-- statement: in_step
DROP TABLE IF EXISTS changecapture.in_step
