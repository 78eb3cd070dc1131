-- Capture of one table: thin triggers that write changecapture_captured and nothing else.
-- Twin: ../postgresql/capture.sql. Holes: see ../README.md.
-- MySQL prepares a trigger's expressions once for many sessions, and took `@variable IS NULL` for what it
-- was in the first: a session's variable stands in a function.
-- INSERT .. VALUES inside IF, never INSERT .. SELECT: that would hold the AUTO-INC lock to the end of
-- the application's statement. Names end in a fingerprint of all that is here.

-- statement: insert_trigger
-- mysql only: one trigger for each operation; PostgreSQL has one function.
-- Reads: the new row. Writes: one row of captured. Silent when: this site's applier is writing.
CREATE DEFINER = {{definer}} TRIGGER {{trigger}} AFTER INSERT ON {{table}} FOR EACH ROW
BEGIN
{{unfailing}}
    IF NOT IFNULL(@changecapture_applying, 0) THEN
        INSERT INTO changecapture_captured
            (table_id, operation, `key`, transaction_id, captured_at)
        VALUES ({{table_id}}, 'I', {{new_key}}, CONNECTION_ID(), {{now}});
    END IF;
END

-- statement: update_trigger
-- mysql only: one trigger for each operation; PostgreSQL has one function.
-- Reads: the old and the new row. Writes: one row of captured.
-- Silent when: this site's applier is writing; no column that travels has changed.
-- The server prepares each expression anew for each row, what it never comes to compute too: so every
-- column has a statement of its own, which is left out unless it has changed, and so has a changed key.
CREATE DEFINER = {{definer}} TRIGGER {{trigger}} AFTER UPDATE ON {{table}} FOR EACH ROW
BEGIN
    DECLARE changed LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT '';
{{unfailing}}
    IF NOT IFNULL(@changecapture_applying, 0) THEN
{{changes}}
        IF NOT ({{same_key}}) THEN
            INSERT INTO changecapture_captured
                (table_id, operation, `key`, old_key, changed, transaction_id, captured_at)
            VALUES ({{table_id}}, 'U', {{new_key}}, {{old_key}},
                    CONCAT('{', SUBSTRING(changed, 2), '}'), CONNECTION_ID(), {{now}});
        ELSEIF changed <> '' THEN
            INSERT INTO changecapture_captured
                (table_id, operation, `key`, changed, transaction_id, captured_at)
            VALUES ({{table_id}}, 'U', {{new_key}},
                    CONCAT('{', SUBSTRING(changed, 2), '}'), CONNECTION_ID(), {{now}});
        END IF;
    END IF;
END

-- statement: change
-- What {{changes}} has for each column that travels.
IF NOT ({{new}} <=> {{old}}) THEN
    SET changed = CONCAT(changed, {{name}}, {{value}});
END IF;

-- statement: delete_trigger
-- mysql only: one trigger for each operation; PostgreSQL has one function.
-- Reads: the old row. Writes: one row of captured. Silent when: this site's applier is writing.
CREATE DEFINER = {{definer}} TRIGGER {{trigger}} AFTER DELETE ON {{table}} FOR EACH ROW
BEGIN
{{unfailing}}
    IF NOT IFNULL(@changecapture_applying, 0) THEN
        INSERT INTO changecapture_captured
            (table_id, operation, `key`, image, transaction_id, captured_at)
        VALUES ({{table_id}}, 'D', {{old_key}}, {{image}}, CONNECTION_ID(), {{now}});
    END IF;
END

-- statement: unfailing
-- What {{unfailing}} is: a failure of ours does not become one of the application's statement, it leaves
-- a line in missed, one a second. Passed on: lock timeout, deadlock, full lock table, interruption: they
-- concern the application's transaction; and a disk that has no room for that line either: the change would be
-- missing unsaid.
DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
DECLARE EXIT HANDLER FOR SQLEXCEPTION
BEGIN
    DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
    DECLARE EXIT HANDLER FOR 1021, 1114 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
    GET /*!80000 STACKED */ DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
    IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), {{name}})) THEN
        SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), {{name}});
        CALL {{procedure}}({{name}}, {{operation}}, reason);
    END IF;
END;

-- statement: miss
-- mysql only: PostgreSQL's function writes missed itself.
-- Writes: one row of missed. A table that several triggers of a table name is opened several times, and
-- under LOCK TABLES MariaDB then refuses to write it (1442); what they call is opened once.
CREATE DEFINER = {{definer}} PROCEDURE {{procedure}}(
    of_table VARCHAR(128) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    of_operation CHAR(1) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    for_reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)
MODIFIES SQL DATA
INSERT INTO changecapture_missed (table_name, operation, reason, missed_at)
VALUES (of_table, of_operation, for_reason, {{now}})
