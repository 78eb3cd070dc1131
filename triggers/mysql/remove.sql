-- Takes everything of ours away; the application's tables stay as they were.
-- Twin: ../postgresql/remove.sql.

-- statement: drop_trigger
DROP TRIGGER IF EXISTS {{trigger}}

-- statement: drop_view
DROP VIEW IF EXISTS {{view}}

-- statement: drop_index
DROP INDEX {{index}} ON {{table}}
