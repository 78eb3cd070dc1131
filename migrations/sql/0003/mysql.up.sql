-- The journal of exchanges, and what peers say of themselves.
-- Twin: postgresql.up.sql (same statements, same order, same columns).

-- statement: exchange_log
-- One row for each exchange with a peer that carried entries or failed, under the same uuid at both ends.
-- direction: entries came 'in' or went 'out'; bytes: of the payloads; outcome: 'done', or what ended it. The
-- oldest rows go (store/journal.py).
CREATE TABLE IF NOT EXISTS changecapture_exchange_log (
    id          bigint       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    exchange    varchar(64)  NOT NULL,
    peer        varchar(64)  NOT NULL,
    direction   varchar(8)   NOT NULL,
    entries     bigint       NOT NULL,
    bytes       bigint       NOT NULL,
    started_at  bigint       NOT NULL,
    ended_at    bigint       NOT NULL,
    outcome     varchar(255) NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin

-- statement: sync_instance
-- What each peer says of itself: name, owner, contact and url for people; shape: which tables and columns it
-- syncs, as a digest. last_update: the end of the last exchange that carried entries; sync_count: of those.
CREATE TABLE IF NOT EXISTS changecapture_sync_instance (
    base_uuid    varchar(64)  NOT NULL PRIMARY KEY,
    name         varchar(255) NOT NULL,
    owner        varchar(255) NOT NULL,
    contact      varchar(255) NOT NULL,
    url          varchar(255) NOT NULL,
    shape        varchar(64)  NOT NULL,
    last_update  bigint,
    sync_count   bigint       NOT NULL DEFAULT 0
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin
