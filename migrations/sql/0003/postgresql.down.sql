-- Takes away what the upgrade made.

-- statement: sync_instance
DROP TABLE IF EXISTS changecapture.sync_instance

-- statement: exchange_log
DROP TABLE IF EXISTS changecapture.exchange_log
