-- Takes away what mysql.up.sql made.

-- statement: in_step
DROP TABLE IF EXISTS changecapture_in_step
