-- A mark that a dump restores last: see ../../../triggers/mysql/schema.sql.

-- statement: whole
-- mysql only: PostgreSQL's dumps make our keys last, and until then nothing can be written.
-- A dump that is put back drops and fills table after table; of a view it makes an empty form at its place in
-- the alphabet, before our tables, and the view itself at the very end. In between, nothing may be read or written.
CREATE OR REPLACE SQL SECURITY INVOKER VIEW changecapture AS SELECT 'whole' AS `state`
