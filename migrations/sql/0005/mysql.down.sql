-- Takes away what mysql.up.sql made. A table that is not there, after an installation that was killed, is no
-- error: MySQL's DROP INDEX has no IF EXISTS.

-- statement: conflict_row_text
SET @changecapture_index = IF(
    (SELECT count(*) FROM information_schema.statistics WHERE table_schema = DATABASE()
     AND table_name = 'changecapture_conflict' AND index_name = 'conflict_row') = 0,
    'DO 0',
    'DROP INDEX conflict_row ON changecapture_conflict'
)

-- statement: conflict_row_prepared
PREPARE changecapture_index FROM @changecapture_index

-- statement: conflict_row
EXECUTE changecapture_index

-- statement: conflict_row_done
DEALLOCATE PREPARE changecapture_index
