-- The lives of a site, what its peers' clocks say, and compaction.
-- Twin: mysql.up.sql (same statements, same order, same columns).

-- statement: meeting
-- What is known of a peer from meeting it. mark: digest of the entry at the end of the last pull from it
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

-- statement: pass_context
CREATE INDEX IF NOT EXISTS pass_context ON changecapture.pass (context)
