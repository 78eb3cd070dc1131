-- Takes away what the upgrade made.

-- statement: tide
DROP TABLE IF EXISTS changecapture.tide

-- statement: compaction
DROP TABLE IF EXISTS changecapture.compaction

-- statement: contested
DROP TABLE IF EXISTS changecapture.contested

-- statement: life
DROP TABLE IF EXISTS changecapture.life

-- statement: meeting
DROP TABLE IF EXISTS changecapture.meeting

-- statement: pass_context
DROP INDEX IF EXISTS changecapture.pass_context
