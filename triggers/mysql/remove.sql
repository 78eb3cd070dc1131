-- Takes everything of ours away; the application's tables stay as they were.
-- Twin: ../postgresql/remove.sql.

-- statement: drop_trigger
DROP TRIGGER IF EXISTS {{trigger}}

-- statement: drop_procedure
-- mysql only: PostgreSQL needs none to see what foreign keys do.
DROP PROCEDURE IF EXISTS {{procedure}}

-- statement: drop_view
DROP VIEW IF EXISTS {{view}}

-- statement: drop_index
DROP INDEX {{index}} ON {{table}}
