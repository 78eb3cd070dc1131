-- Takes away what the upgrade made.

-- statement: tide
DROP TABLE IF EXISTS changecapture_tide

-- statement: compaction
DROP TABLE IF EXISTS changecapture_compaction

-- statement: contested
DROP TABLE IF EXISTS changecapture_contested

-- statement: life
DROP TABLE IF EXISTS changecapture_life

-- statement: meeting
DROP TABLE IF EXISTS changecapture_meeting

-- statement: choose_index
-- mysql only: a killed upgrade keeps what it made, and MySQL 8 has no IF EXISTS for an index.
SET @changecapture_index = IF((SELECT count(*) FROM information_schema.statistics
    WHERE table_schema = DATABASE() AND table_name = 'changecapture_pass'
    AND index_name = 'pass_context') = 1, 'DROP INDEX pass_context ON changecapture_pass', 'DO 0')

-- statement: prepare_index
-- mysql only: see choose_index.
PREPARE changecapture_index FROM @changecapture_index

-- statement: pass_context
EXECUTE changecapture_index

-- statement: forget_index
-- mysql only: see choose_index.
DEALLOCATE PREPARE changecapture_index
