-- Conflicts are found by their row: an entry that decides one settles it.
-- An index that is there already, after a migration that was killed, is left: MySQL has no IF NOT EXISTS for it.

-- statement: conflict_row_text
SET @changecapture_index = IF(
    (SELECT count(*) FROM information_schema.statistics WHERE table_schema = DATABASE()
     AND table_name = 'changecapture_conflict' AND index_name = 'conflict_row') = 0,
    'CREATE INDEX conflict_row ON changecapture_conflict (table_name, row_key)',
    'DO 0'
)

-- statement: conflict_row_prepared
PREPARE changecapture_index FROM @changecapture_index

-- statement: conflict_row
EXECUTE changecapture_index

-- statement: conflict_row_done
DEALLOCATE PREPARE changecapture_index
