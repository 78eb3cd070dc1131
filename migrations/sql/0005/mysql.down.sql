-- Takes away what mysql.up.sql made.

-- statement: conflict_row
DROP INDEX conflict_row ON changecapture_conflict
