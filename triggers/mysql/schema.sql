-- The fixed objects: what the relay keeps in the application's database.
-- Twin: ../postgresql/schema.sql (same statements, same order, same columns).
-- Indexes stand inside their tables, so that a killed installation can be run again.
-- Times are microseconds since 1970 UTC. Keys compare as bytes, spaces at the end too: each server reads
-- its own comment, which names its NO PAD collation. captured and missed, which the application writes, hold no
-- keys to compare.

-- statement: site
-- One row: who this site is, and the last name that it gave. definer: whose rights MySQL's
-- triggers have, 'account' (our own) or 'current' (who installed).
CREATE TABLE IF NOT EXISTS changecapture_site (
    `one`         smallint     NOT NULL DEFAULT 1 PRIMARY KEY CHECK (`one` = 1),
    origin        varchar(64)  NOT NULL,
    epoch         bigint       NOT NULL,
    last_number   bigint       NOT NULL,
    last_pass     bigint       NOT NULL,
    profile       longtext     NOT NULL,
    definer       varchar(16)  NOT NULL,
    installed_at  bigint       NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: synced_table
-- One row for each table that is or was synced: its installed definition (core/table.py, as JSON).
CREATE TABLE IF NOT EXISTS changecapture_synced_table (
    table_id      int          NOT NULL PRIMARY KEY,
    table_name    varchar(128) NOT NULL UNIQUE,
    scope         varchar(64)  NOT NULL,
    definition    longtext     NOT NULL,
    active        smallint     NOT NULL DEFAULT 1,
    backfilled    smallint     NOT NULL DEFAULT 0,
    backfill_key  longtext
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: captured
-- The queue that the triggers write, in the transaction of the change. Emptied by publish.
CREATE TABLE IF NOT EXISTS changecapture_captured (
    id              bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    table_id        int        NOT NULL,
    operation       char(1)    NOT NULL,
    `key`           longtext   NOT NULL,
    old_key         longtext,
    changed         longtext,
    image           longtext,
    transaction_id  bigint     NOT NULL,
    captured_at     bigint     NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin

-- statement: missed
-- Where capture failed and the application's statement went on: one line a second, table and session.
CREATE TABLE IF NOT EXISTS changecapture_missed (
    id          bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    table_name  varchar(128) NOT NULL,
    operation   char(1)      NOT NULL,
    reason      longtext     NOT NULL,
    missed_at   bigint       NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin

-- statement: changelog
-- The canonical log: what is shipped. position: order of arrival here; (origin, epoch, number): its name.
CREATE TABLE IF NOT EXISTS changecapture_changelog (
    `position`    bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    origin        varchar(64)  NOT NULL,
    epoch         bigint       NOT NULL,
    `number`      bigint       NOT NULL,
    `pass`        bigint       NOT NULL,
    stamp         bigint       NOT NULL,
    base_seen     bigint       NOT NULL,
    scope         varchar(64)  NOT NULL,
    table_name    varchar(128) NOT NULL,
    row_key       varchar(512) NOT NULL,
    `columns`     longtext     NOT NULL,
    applied       smallint     NOT NULL,
    UNIQUE KEY changelog_name (origin, epoch, `number`),
    KEY changelog_row (table_name, row_key)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: pass
-- What the author of a pass had seen, as the digest of a vector in context.
CREATE TABLE IF NOT EXISTS changecapture_pass (
    origin   varchar(64) NOT NULL,
    epoch    bigint      NOT NULL,
    `pass`   bigint      NOT NULL,
    `context` varchar(64) NOT NULL,
    PRIMARY KEY (origin, epoch, `pass`),
    KEY pass_context (`context`)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: context
CREATE TABLE IF NOT EXISTS changecapture_context (
    `context` varchar(64) NOT NULL PRIMARY KEY,
    `vector` longtext    NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: vector
-- Of each origin, epoch and scope this site holds every entry up to number.
CREATE TABLE IF NOT EXISTS changecapture_vector (
    origin  varchar(64) NOT NULL,
    epoch   bigint      NOT NULL,
    scope   varchar(64) NOT NULL,
    `number` bigint      NOT NULL,
    PRIMARY KEY (origin, epoch, scope)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: row_version
-- What this site knows of each row; never dropped, not for deleted rows either.
CREATE TABLE IF NOT EXISTS changecapture_row_version (
    table_name  varchar(128) NOT NULL,
    row_key     varchar(512) NOT NULL,
    stamp       bigint       NOT NULL,
    origin      varchar(64)  NOT NULL,
    alive       smallint     NOT NULL,
    seen        bigint       NOT NULL,
    PRIMARY KEY (table_name, row_key)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: deleted_row
-- The last image of each deleted row, for people: audit and the history views. Never merged.
CREATE TABLE IF NOT EXISTS changecapture_deleted_row (
    table_name  varchar(128) NOT NULL,
    row_key     varchar(512) NOT NULL,
    image       longtext     NOT NULL,
    origin      varchar(64)  NOT NULL,
    deleted_at  bigint       NOT NULL,
    PRIMARY KEY (table_name, row_key)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: local_key
-- The keys that we gave to rows whose table has no identity of its own.
CREATE TABLE IF NOT EXISTS changecapture_local_key (
    table_name  varchar(128) NOT NULL,
    locator     varchar(512) NOT NULL,
    row_key     varchar(512) NOT NULL,
    PRIMARY KEY (table_name, locator),
    UNIQUE KEY local_key_row (table_name, row_key)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: parked
-- Rows that are alive in the log but cannot be shown here, and why.
CREATE TABLE IF NOT EXISTS changecapture_parked (
    table_name  varchar(128) NOT NULL,
    row_key     varchar(512) NOT NULL,
    reason      varchar(32)  NOT NULL,
    detail      longtext     NOT NULL,
    parked_at   bigint       NOT NULL,
    PRIMARY KEY (table_name, row_key)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: waiting
-- References that wait for the row that they name: column_name is NULL here, or its row is parked.
CREATE TABLE IF NOT EXISTS changecapture_waiting (
    table_name    varchar(128) NOT NULL,
    row_key       varchar(512) NOT NULL,
    column_name   varchar(64)  NOT NULL,
    target_table  varchar(128) NOT NULL,
    target_key    varchar(512) NOT NULL,
    PRIMARY KEY (table_name, row_key, column_name),
    KEY waiting_target (target_table, target_key)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: conflict
-- Concurrent values that lost, kept for a person to see. Values are canonical JSON.
CREATE TABLE IF NOT EXISTS changecapture_conflict (
    id           bigint NOT NULL AUTO_INCREMENT PRIMARY KEY,
    table_name   varchar(128) NOT NULL,
    row_key      varchar(512) NOT NULL,
    column_name  varchar(64)  NOT NULL,
    kept_value   longtext     NOT NULL,
    kept_name    varchar(128) NOT NULL,
    kept_stamp   bigint       NOT NULL,
    lost_value   longtext     NOT NULL,
    lost_name    varchar(128) NOT NULL,
    lost_stamp   bigint       NOT NULL,
    found_at     bigint       NOT NULL,
    resolved_at  bigint,
    KEY conflict_row (table_name, row_key)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: peer
-- How far the pull from each peer has come: position and end in its changelog, target the vector that
-- is ours when position reaches end.
CREATE TABLE IF NOT EXISTS changecapture_peer (
    site          varchar(64) NOT NULL PRIMARY KEY,
    epoch         bigint      NOT NULL,
    `position`    bigint      NOT NULL,
    end_position  bigint      NOT NULL,
    target        longtext    NOT NULL,
    contact_at    bigint      NOT NULL,
    received      bigint      NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: meeting
-- What is known of a peer from meeting it. mark: the stretch of its log in which the last pull ended
-- (one row may stand for a peer that has only been greeted: ''); lives: {epoch: when it was last met};
-- clock_offset: how much its clock is ahead of ours, give or take clock_error, measured at clock_at.
CREATE TABLE IF NOT EXISTS changecapture_meeting (
    site          varchar(64) NOT NULL PRIMARY KEY,
    mark          varchar(64) NOT NULL,
    lives         longtext    NOT NULL,
    clock_offset  bigint,
    clock_error   bigint,
    clock_at      bigint
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: in_step
-- When a peer and this site last held the same, each way: received_at: when this site had all that the peer may
-- send; sent_at: when the peer had all that this site sends, and sent_position: how far this changelog reached then.
CREATE TABLE IF NOT EXISTS changecapture_in_step (
    site           varchar(64) NOT NULL PRIMARY KEY,
    received_at    bigint      NOT NULL DEFAULT 0,
    sent_at        bigint      NOT NULL DEFAULT 0,
    sent_position  bigint      NOT NULL DEFAULT 0
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: life
-- One row: of the site's present epoch, up to which number entries may have left the site, and up to
-- which their stamps were corrected; when a copy of this database was last met alive.
CREATE TABLE IF NOT EXISTS changecapture_life (
    one        smallint NOT NULL DEFAULT 1 PRIMARY KEY CHECK (one = 1),
    epoch      bigint   NOT NULL,
    shipped    bigint   NOT NULL,
    corrected  bigint   NOT NULL,
    copied_at  bigint
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: contested
-- Names of this site that were given twice, in two of its lives: what each meant is published anew.
CREATE TABLE IF NOT EXISTS changecapture_contested (
    origin  varchar(64) NOT NULL,
    epoch   bigint      NOT NULL,
    `number` bigint     NOT NULL,
    digest  varchar(64) NOT NULL,
    PRIMARY KEY (origin, epoch, `number`, digest)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: stretch
-- Parts of the changelog, each written through one connection: after which position it begins, and what
-- names it. By that a position is known to be of this log, and not of one that was put back since.
CREATE TABLE IF NOT EXISTS changecapture_stretch (
    begins_after  bigint      NOT NULL PRIMARY KEY,
    token         varchar(64) NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: compaction
-- One row: up to which position rows were compacted, the latest position that an entry was given up for,
-- and when the present sweep began.
CREATE TABLE IF NOT EXISTS changecapture_compaction (
    one       smallint NOT NULL DEFAULT 1 PRIMARY KEY CHECK (one = 1),
    scanned   bigint   NOT NULL,
    reached   bigint   NOT NULL,
    swept_at  bigint   NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: tide
-- How far the changelog reached when: how old an entry is here, whatever its stamp says.
CREATE TABLE IF NOT EXISTS changecapture_tide (
    `position` bigint NOT NULL PRIMARY KEY,
    noted_at   bigint NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

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
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

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
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: key_alias
-- Keys that are one row, seeded at several sites: each with the name of the row, the smallest of them.
CREATE TABLE IF NOT EXISTS changecapture_key_alias (
    table_name  varchar(128) NOT NULL,
    row_key     varchar(512) NOT NULL,
    name        varchar(512) NOT NULL,
    PRIMARY KEY (table_name, row_key),
    KEY key_alias_name (table_name, name)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: mapping
-- The mapping between the application's tables and the common ones, as it was installed; no row where there is none.
CREATE TABLE IF NOT EXISTS changecapture_mapping (
    id    int        NOT NULL PRIMARY KEY,
    name  varchar(255) NOT NULL,
    text  longtext   NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: mapped_row
-- Which record (by its key) a common row hangs on that refers to it.
CREATE TABLE IF NOT EXISTS changecapture_mapped_row (
    table_name  varchar(128) NOT NULL,
    row_key     varchar(512) NOT NULL,
    record      varchar(512) NOT NULL,
    PRIMARY KEY (table_name, row_key),
    KEY mapped_row_record (record)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: shortened
-- Values that a column of the application shows cut to its length; whole, they are in the changelog.
CREATE TABLE IF NOT EXISTS changecapture_shortened (
    table_name   varchar(128) NOT NULL,
    row_key      varchar(512) NOT NULL,
    column_name  varchar(128) NOT NULL,
    whole        longtext     NOT NULL,
    noted_at     bigint       NOT NULL,
    PRIMARY KEY (table_name, row_key, column_name)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=/*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */

-- statement: whole
-- mysql only: PostgreSQL's dumps make our keys last, and until then nothing can be written.
-- A dump that is put back drops and fills table after table; of a view it makes an empty form at its place in
-- the alphabet, before our tables, and the view itself at the very end. In between, nothing may be read or written.
CREATE OR REPLACE SQL SECURITY INVOKER VIEW changecapture AS SELECT 'whole' AS `state`
