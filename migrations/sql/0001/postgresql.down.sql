-- Takes everything away; functions, and with them triggers and views, were dropped before, by name.

-- statement: peer
DROP TABLE IF EXISTS changecapture.peer

-- statement: conflict
DROP TABLE IF EXISTS changecapture.conflict

-- statement: waiting
DROP TABLE IF EXISTS changecapture.waiting

-- statement: parked
DROP TABLE IF EXISTS changecapture.parked

-- statement: local_key
DROP TABLE IF EXISTS changecapture.local_key

-- statement: deleted_row
DROP TABLE IF EXISTS changecapture.deleted_row

-- statement: row_version
DROP TABLE IF EXISTS changecapture.row_version

-- statement: vector
DROP TABLE IF EXISTS changecapture.vector

-- statement: context
DROP TABLE IF EXISTS changecapture.context

-- statement: pass
DROP TABLE IF EXISTS changecapture.pass

-- statement: changelog
DROP TABLE IF EXISTS changecapture.changelog

-- statement: missed
DROP TABLE IF EXISTS changecapture.missed

-- statement: captured
DROP TABLE IF EXISTS changecapture.captured

-- statement: synced_table
DROP TABLE IF EXISTS changecapture.synced_table

-- statement: site
DROP TABLE IF EXISTS changecapture.site
