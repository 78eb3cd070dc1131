-- Stretches: by which a position is known to be of this log.

-- statement: stretch
-- Parts of the changelog, each written through one connection: after which position it begins, and what
-- names it. By that a position is known to be of this log, and not of one that was put back since.
CREATE TABLE IF NOT EXISTS changecapture_stretch (
    begins_after  bigint      NOT NULL PRIMARY KEY,
    token         varchar(64) NOT NULL
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin

-- statement: stretch_of_before
-- What stands in the log is one stretch.
INSERT INTO changecapture_stretch (begins_after, token)
SELECT 0, sha2(concat(uuid(), rand()), 256) WHERE EXISTS (SELECT 1 FROM changecapture_changelog)
