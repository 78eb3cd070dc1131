-- The fixed objects: what the relay keeps in the application's database.
-- Twin: ../mysql/schema.sql (same statements, same order, same columns).
-- Times are microseconds since 1970 UTC. Keys compare as bytes.

-- statement: schema
-- postgresql only: a schema of our own; MySQL has the prefix changecapture_.
CREATE SCHEMA IF NOT EXISTS changecapture

-- statement: site
-- One row: who this site is, and the last name that it gave. definer: whose rights MySQL's
-- triggers have, 'account' (our own) or 'current' (who installed).
CREATE TABLE IF NOT EXISTS changecapture.site (
    one           smallint     NOT NULL DEFAULT 1 PRIMARY KEY CHECK (one = 1),
    origin        varchar(64)  NOT NULL,
    epoch         bigint       NOT NULL,
    last_number   bigint       NOT NULL,
    last_pass     bigint       NOT NULL,
    profile       text         NOT NULL,
    definer       varchar(16)  NOT NULL,
    installed_at  bigint       NOT NULL
)

-- statement: synced_table
-- One row for each table that is or was synced: its installed definition (core/table.py, as JSON).
CREATE TABLE IF NOT EXISTS changecapture.synced_table (
    table_id      int          NOT NULL PRIMARY KEY,
    table_name    varchar(128) COLLATE "C" NOT NULL UNIQUE,
    scope         varchar(64)  NOT NULL,
    definition    text         NOT NULL,
    active        smallint     NOT NULL DEFAULT 1,
    backfilled    smallint     NOT NULL DEFAULT 0,
    backfill_key  text
)

-- statement: captured
-- The queue that the triggers write, in the transaction of the change. Emptied by publish.
CREATE TABLE IF NOT EXISTS changecapture.captured (
    id              bigserial  NOT NULL PRIMARY KEY,
    table_id        int        NOT NULL,
    operation       char(1)    NOT NULL,
    key             text       NOT NULL,
    old_key         text,
    changed         text,
    image           text,
    transaction_id  bigint     NOT NULL,
    captured_at     bigint     NOT NULL
)

-- statement: missed
-- Where capture failed and the application's statement went on: one line a second, table and session.
CREATE TABLE IF NOT EXISTS changecapture.missed (
    id          bigserial    NOT NULL PRIMARY KEY,
    table_name  varchar(128) NOT NULL,
    operation   char(1)      NOT NULL,
    reason      text         NOT NULL,
    missed_at   bigint       NOT NULL
)

-- statement: changelog
-- The canonical log: what is shipped. position: order of arrival here; (origin, epoch, number): its name.
CREATE TABLE IF NOT EXISTS changecapture.changelog (
    position      bigserial    NOT NULL PRIMARY KEY,
    origin        varchar(64)  COLLATE "C" NOT NULL,
    epoch         bigint       NOT NULL,
    number        bigint       NOT NULL,
    pass          bigint       NOT NULL,
    stamp         bigint       NOT NULL,
    base_seen     bigint       NOT NULL,
    scope         varchar(64)  NOT NULL,
    table_name    varchar(128) COLLATE "C" NOT NULL,
    row_key       varchar(512) COLLATE "C" NOT NULL,
    columns       text         NOT NULL,
    applied       smallint     NOT NULL
)

-- statement: changelog_name
-- postgresql only: MySQL has it inside the table.
CREATE UNIQUE INDEX IF NOT EXISTS changelog_name ON changecapture.changelog (origin, epoch, number)

-- statement: changelog_row
-- postgresql only: MySQL has it inside the table.
CREATE INDEX IF NOT EXISTS changelog_row ON changecapture.changelog (table_name, row_key)

-- statement: pass
-- What the author of a pass had seen, as the digest of a vector in context.
CREATE TABLE IF NOT EXISTS changecapture.pass (
    origin   varchar(64) COLLATE "C" NOT NULL,
    epoch    bigint      NOT NULL,
    pass     bigint      NOT NULL,
    context  varchar(64) COLLATE "C" NOT NULL,
    PRIMARY KEY (origin, epoch, pass)
)

-- statement: pass_context
-- For compaction: is a context still needed?
-- postgresql only: MySQL has it inside the table.
CREATE INDEX IF NOT EXISTS pass_context ON changecapture.pass (context)

-- statement: context
CREATE TABLE IF NOT EXISTS changecapture.context (
    context  varchar(64) COLLATE "C" NOT NULL PRIMARY KEY,
    vector   text        NOT NULL
)

-- statement: vector
-- Of each origin, epoch and scope this site holds every entry up to number.
CREATE TABLE IF NOT EXISTS changecapture.vector (
    origin  varchar(64) COLLATE "C" NOT NULL,
    epoch   bigint      NOT NULL,
    scope   varchar(64) COLLATE "C" NOT NULL,
    number  bigint      NOT NULL,
    PRIMARY KEY (origin, epoch, scope)
)

-- statement: row_version
-- What this site knows of each row; never dropped, not for deleted rows either.
-- Its pages have room: the next version of a row stands beside the last, and no index has to be told.
CREATE TABLE IF NOT EXISTS changecapture.row_version (
    table_name  varchar(128) COLLATE "C" NOT NULL,
    row_key     varchar(512) COLLATE "C" NOT NULL,
    stamp       bigint       NOT NULL,
    origin      varchar(64)  NOT NULL,
    alive       smallint     NOT NULL,
    seen        bigint       NOT NULL,
    PRIMARY KEY (table_name, row_key)
) WITH (fillfactor = 70)

-- statement: deleted_row
-- The last image of each deleted row, for people: audit and the history views. Never merged.
CREATE TABLE IF NOT EXISTS changecapture.deleted_row (
    table_name  varchar(128) COLLATE "C" NOT NULL,
    row_key     varchar(512) COLLATE "C" NOT NULL,
    image       text         NOT NULL,
    origin      varchar(64)  NOT NULL,
    deleted_at  bigint       NOT NULL,
    PRIMARY KEY (table_name, row_key)
)

-- statement: local_key
-- The keys that we gave to rows whose table has no identity of its own.
CREATE TABLE IF NOT EXISTS changecapture.local_key (
    table_name  varchar(128) COLLATE "C" NOT NULL,
    locator     varchar(512) COLLATE "C" NOT NULL,
    row_key     varchar(512) COLLATE "C" NOT NULL,
    PRIMARY KEY (table_name, locator)
)

-- statement: local_key_row
-- postgresql only: MySQL has it inside the table.
CREATE UNIQUE INDEX IF NOT EXISTS local_key_row ON changecapture.local_key (table_name, row_key)

-- statement: parked
-- Rows that are alive in the log but cannot be shown here, and why.
CREATE TABLE IF NOT EXISTS changecapture.parked (
    table_name  varchar(128) COLLATE "C" NOT NULL,
    row_key     varchar(512) COLLATE "C" NOT NULL,
    reason      varchar(32)  NOT NULL,
    detail      text         NOT NULL,
    parked_at   bigint       NOT NULL,
    PRIMARY KEY (table_name, row_key)
)

-- statement: waiting
-- References that wait for the row that they name: column_name is NULL here, or its row is parked.
CREATE TABLE IF NOT EXISTS changecapture.waiting (
    table_name    varchar(128) COLLATE "C" NOT NULL,
    row_key       varchar(512) COLLATE "C" NOT NULL,
    column_name   varchar(64)  COLLATE "C" NOT NULL,
    target_table  varchar(128) COLLATE "C" NOT NULL,
    target_key    varchar(512) COLLATE "C" NOT NULL,
    PRIMARY KEY (table_name, row_key, column_name)
)

-- statement: waiting_target
-- postgresql only: MySQL has it inside the table.
CREATE INDEX IF NOT EXISTS waiting_target ON changecapture.waiting (target_table, target_key)

-- statement: conflict
-- Concurrent values that lost, kept for a person to see. Values are canonical JSON.
CREATE TABLE IF NOT EXISTS changecapture.conflict (
    id           bigserial    NOT NULL PRIMARY KEY,
    table_name   varchar(128) COLLATE "C" NOT NULL,
    row_key      varchar(512) COLLATE "C" NOT NULL,
    column_name  varchar(64)  NOT NULL,
    kept_value   text         NOT NULL,
    kept_name    varchar(128) NOT NULL,
    kept_stamp   bigint       NOT NULL,
    lost_value   text         NOT NULL,
    lost_name    varchar(128) NOT NULL,
    lost_stamp   bigint       NOT NULL,
    found_at     bigint       NOT NULL,
    resolved_at  bigint
)

-- statement: conflict_row
-- postgresql only: MySQL has it inside the table.
CREATE INDEX IF NOT EXISTS conflict_row ON changecapture.conflict (table_name, row_key)

-- statement: peer
-- How far the pull from each peer has come: position and end in its changelog, target the vector that
-- is ours when position reaches end.
CREATE TABLE IF NOT EXISTS changecapture.peer (
    site          varchar(64) COLLATE "C" NOT NULL PRIMARY KEY,
    epoch         bigint      NOT NULL,
    position      bigint      NOT NULL,
    end_position  bigint      NOT NULL,
    target        text        NOT NULL,
    contact_at    bigint      NOT NULL,
    received      bigint      NOT NULL
)

-- statement: meeting
-- What is known of a peer from meeting it. mark: the stretch of its log in which the last pull ended
-- (one row may stand for a peer that has only been greeted: ''); lives: {epoch: when it was last met};
-- clock_offset: how much its clock is ahead of ours, give or take clock_error, measured at clock_at.
CREATE TABLE IF NOT EXISTS changecapture.meeting (
    site          varchar(64)  COLLATE "C" NOT NULL PRIMARY KEY,
    mark          varchar(64)  NOT NULL,
    lives         text         NOT NULL,
    clock_offset  bigint,
    clock_error   bigint,
    clock_at      bigint
)

-- statement: in_step
-- When a peer and this site last held the same, each way: received_at: when this site had all that the peer may
-- send; sent_at: when the peer had all that this site sends, and sent_position: how far this changelog reached then.
CREATE TABLE IF NOT EXISTS changecapture.in_step (
    site           varchar(64) COLLATE "C" NOT NULL PRIMARY KEY,
    received_at    bigint      NOT NULL DEFAULT 0,
    sent_at        bigint      NOT NULL DEFAULT 0,
    sent_position  bigint      NOT NULL DEFAULT 0
)

-- statement: life
-- One row: of the site's present epoch, up to which number entries may have left the site, and up to
-- which their stamps were corrected; when a copy of this database was last met alive.
CREATE TABLE IF NOT EXISTS changecapture.life (
    one        smallint NOT NULL DEFAULT 1 PRIMARY KEY CHECK (one = 1),
    epoch      bigint   NOT NULL,
    shipped    bigint   NOT NULL,
    corrected  bigint   NOT NULL,
    copied_at  bigint
)

-- statement: contested
-- Names of this site that were given twice, in two of its lives: what each meant is published anew.
CREATE TABLE IF NOT EXISTS changecapture.contested (
    origin  varchar(64) COLLATE "C" NOT NULL,
    epoch   bigint      NOT NULL,
    number  bigint      NOT NULL,
    digest  varchar(64) COLLATE "C" NOT NULL,
    PRIMARY KEY (origin, epoch, number, digest)
)

-- statement: stretch
-- Parts of the changelog, each written through one connection: after which position it begins, and what
-- names it. By that a position is known to be of this log, and not of one that was put back since.
CREATE TABLE IF NOT EXISTS changecapture.stretch (
    begins_after  bigint      NOT NULL PRIMARY KEY,
    token         varchar(64) COLLATE "C" NOT NULL
)

-- statement: compaction
-- One row: up to which position rows were compacted, the latest position that an entry was given up for,
-- and when the present sweep began.
CREATE TABLE IF NOT EXISTS changecapture.compaction (
    one       smallint NOT NULL DEFAULT 1 PRIMARY KEY CHECK (one = 1),
    scanned   bigint   NOT NULL,
    reached   bigint   NOT NULL,
    swept_at  bigint   NOT NULL
)

-- statement: tide
-- How far the changelog reached when: how old an entry is here, whatever its stamp says.
CREATE TABLE IF NOT EXISTS changecapture.tide (
    position  bigint NOT NULL PRIMARY KEY,
    noted_at  bigint NOT NULL
)

-- statement: exchange_log
-- One row for each exchange with a peer that carried entries or failed, under the same uuid at both ends.
-- direction: entries came 'in' or went 'out'; bytes: of the payloads; outcome: 'done', or what ended it. The
-- oldest rows go (store/journal.py).
CREATE TABLE IF NOT EXISTS changecapture.exchange_log (
    id          bigserial    NOT NULL PRIMARY KEY,
    exchange    varchar(64)  NOT NULL,
    peer        varchar(64)  NOT NULL,
    direction   varchar(8)   NOT NULL,
    entries     bigint       NOT NULL,
    bytes       bigint       NOT NULL,
    started_at  bigint       NOT NULL,
    ended_at    bigint       NOT NULL,
    outcome     varchar(255) NOT NULL
)

-- statement: sync_instance
-- What each peer says of itself: name, owner, contact and url for people; shape: which tables and columns it
-- syncs, as a digest. last_update: the end of the last exchange that carried entries; sync_count: of those.
CREATE TABLE IF NOT EXISTS changecapture.sync_instance (
    base_uuid    varchar(64)  COLLATE "C" NOT NULL PRIMARY KEY,
    name         varchar(255) NOT NULL,
    owner        varchar(255) NOT NULL,
    contact      varchar(255) NOT NULL,
    url          varchar(255) NOT NULL,
    shape        varchar(64)  NOT NULL,
    last_update  bigint,
    sync_count   bigint       NOT NULL DEFAULT 0
)


-- statement: key_alias
-- Keys that are one row, seeded at several sites: each with the name of the row, the smallest of them.
CREATE TABLE IF NOT EXISTS changecapture.key_alias (
    table_name  varchar(128) COLLATE "C" NOT NULL,
    row_key     varchar(512) COLLATE "C" NOT NULL,
    name        varchar(512) COLLATE "C" NOT NULL,
    PRIMARY KEY (table_name, row_key)
)

-- statement: key_alias_name
-- postgresql only: MySQL has it inside the table.
CREATE INDEX IF NOT EXISTS key_alias_name ON changecapture.key_alias (table_name, name)

-- statement: mapping
-- The mapping between the application's tables and the common ones, as it was installed; no row where there is none.
CREATE TABLE IF NOT EXISTS changecapture.mapping (
    id    integer    NOT NULL PRIMARY KEY,
    name  varchar(255) COLLATE "C" NOT NULL,
    text  text       COLLATE "C" NOT NULL
)

-- statement: mapped_row
-- Which record (by its key) a common row hangs on that refers to it.
CREATE TABLE IF NOT EXISTS changecapture.mapped_row (
    table_name  varchar(128) COLLATE "C" NOT NULL,
    row_key     varchar(512) COLLATE "C" NOT NULL,
    record      varchar(512) COLLATE "C" NOT NULL,
    PRIMARY KEY (table_name, row_key)
)

-- statement: mapped_row_record
-- postgresql only: MySQL has it inside the table.
CREATE INDEX IF NOT EXISTS mapped_row_record ON changecapture.mapped_row (record)

-- statement: shortened
-- Values that a column of the application shows cut to its length; whole, they are in the changelog.
CREATE TABLE IF NOT EXISTS changecapture.shortened (
    table_name   varchar(128) COLLATE "C" NOT NULL,
    row_key      varchar(512) COLLATE "C" NOT NULL,
    column_name  varchar(128) COLLATE "C" NOT NULL,
    whole        text         COLLATE "C" NOT NULL,
    noted_at     bigint       NOT NULL,
    PRIMARY KEY (table_name, row_key, column_name)
)
