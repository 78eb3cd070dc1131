-- Takes everything of ours away; the application's tables stay as they were.
-- Twin: ../mysql/remove.sql.

-- statement: drop_trigger
DROP TRIGGER IF EXISTS {{trigger}} ON {{table}}

-- statement: drop_function
-- postgresql only: MySQL's triggers have no function.
DROP FUNCTION IF EXISTS {{function}}()

-- statement: drop_view
DROP VIEW IF EXISTS {{view}}

-- statement: drop_index
DROP INDEX IF EXISTS {{index}}
