-- Takes everything away; the triggers, views and indexes were dropped before, by name.

-- statement: peer
DROP TABLE IF EXISTS changecapture_peer

-- statement: conflict
DROP TABLE IF EXISTS changecapture_conflict

-- statement: waiting
DROP TABLE IF EXISTS changecapture_waiting

-- statement: parked
DROP TABLE IF EXISTS changecapture_parked

-- statement: local_key
DROP TABLE IF EXISTS changecapture_local_key

-- statement: deleted_row
DROP TABLE IF EXISTS changecapture_deleted_row

-- statement: row_version
DROP TABLE IF EXISTS changecapture_row_version

-- statement: vector
DROP TABLE IF EXISTS changecapture_vector

-- statement: context
DROP TABLE IF EXISTS changecapture_context

-- statement: pass
DROP TABLE IF EXISTS changecapture_pass

-- statement: changelog
DROP TABLE IF EXISTS changecapture_changelog

-- statement: missed
DROP TABLE IF EXISTS changecapture_missed

-- statement: captured
DROP TABLE IF EXISTS changecapture_captured

-- statement: synced_table
DROP TABLE IF EXISTS changecapture_synced_table

-- statement: site
DROP TABLE IF EXISTS changecapture_site
