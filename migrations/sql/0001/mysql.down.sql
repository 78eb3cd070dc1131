-- Takes everything away; the triggers, views and indexes were dropped before, by name.

-- statement: changecapture_peer
DROP TABLE IF EXISTS changecapture_peer

-- statement: changecapture_conflict
DROP TABLE IF EXISTS changecapture_conflict

-- statement: changecapture_waiting
DROP TABLE IF EXISTS changecapture_waiting

-- statement: changecapture_parked
DROP TABLE IF EXISTS changecapture_parked

-- statement: changecapture_local_key
DROP TABLE IF EXISTS changecapture_local_key

-- statement: changecapture_deleted_row
DROP TABLE IF EXISTS changecapture_deleted_row

-- statement: changecapture_row_version
DROP TABLE IF EXISTS changecapture_row_version

-- statement: changecapture_vector
DROP TABLE IF EXISTS changecapture_vector

-- statement: changecapture_context
DROP TABLE IF EXISTS changecapture_context

-- statement: changecapture_pass
DROP TABLE IF EXISTS changecapture_pass

-- statement: changecapture_changelog
DROP TABLE IF EXISTS changecapture_changelog

-- statement: changecapture_captured
DROP TABLE IF EXISTS changecapture_captured

-- statement: changecapture_synced_table
DROP TABLE IF EXISTS changecapture_synced_table

-- statement: changecapture_site
DROP TABLE IF EXISTS changecapture_site
