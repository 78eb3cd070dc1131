-- Takes away what mysql.up.sql made.

-- statement: stretch
DROP TABLE IF EXISTS changecapture_stretch
