-- What foreign keys do to other rows, captured before they do it: their actions fire no trigger here.
-- Twin: ../postgresql/cascade.sql, which is empty.
-- One procedure for each table and event (walk) from which a synced table is reached: it finds the rows
-- that a foreign key is about to delete or change, records them, and calls the procedures of their
-- tables in turn. Names end in a fingerprint of all that is called.
-- What is recorded is an announcement: publish looks at the row before it believes it, because
-- DELETE IGNORE may leave the parent, and with it the children, where they are.

-- statement: before_delete
-- mysql only: see above.
-- Reads: the rows that go with this one. Writes: rows of captured.
-- Silent when: this site's applier is writing; the session has switched foreign keys off.
CREATE DEFINER = {{definer}} TRIGGER {{trigger}} BEFORE DELETE ON {{table}} FOR EACH ROW
BEGIN
{{unfailing}}
    IF NOT IFNULL(@changecapture_applying, 0) AND @@foreign_key_checks THEN
{{call}}
    END IF;
END

-- statement: before_update
-- mysql only: see above.
-- Reads: the rows that name this one. Writes: rows of captured.
-- Silent when: this site's applier is writing; the session has switched foreign keys off; no column
-- that others name changes.
CREATE DEFINER = {{definer}} TRIGGER {{trigger}} BEFORE UPDATE ON {{table}} FOR EACH ROW
BEGIN
{{unfailing}}
    IF NOT IFNULL(@changecapture_applying, 0) AND @@foreign_key_checks AND NOT ({{unchanged}}) THEN
{{call}}
    END IF;
END

-- statement: call
-- mysql only: see above. What {{call}} is where no walk comes back to itself.
        CALL {{procedure}}({{arguments}});

-- statement: recursive_call
-- mysql only: see above. What {{call}} is where a walk comes back to itself. InnoDB refuses to go
-- deeper than 15 tables. The setting is the application's: it is put back, come what may.
        BEGIN
            DECLARE depth INT DEFAULT @@SESSION.max_sp_recursion_depth;
            DECLARE EXIT HANDLER FOR SQLEXCEPTION
            BEGIN
                SET SESSION max_sp_recursion_depth = depth;
                RESIGNAL;
            END;
            SET SESSION max_sp_recursion_depth = 15;
            CALL {{procedure}}({{arguments}});
            SET SESSION max_sp_recursion_depth = depth;
        END;

-- statement: procedure
-- mysql only: see above.
-- Reads: the rows that name a row by its values. Writes: rows of captured.
CREATE DEFINER = {{definer}} PROCEDURE {{procedure}}({{parameters}})
MODIFIES SQL DATA
BEGIN
{{edges}}
END

-- statement: edge
-- mysql only: see above. One foreign key of a child.
-- The rows are read as the action will find them, with a lock: the application's snapshot may be
-- older. FOR UPDATE takes the locks that the action takes a moment later; where the application's
-- statement uses the table itself that is refused (1442), and a shared lock has to do. A walk that is
-- too deep (1456) goes round in a circle of rows.
    BEGIN
        DECLARE done, used BOOLEAN DEFAULT FALSE;
        DECLARE named, renamed, changed, image LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
{{variables}}
        DECLARE found CURSOR FOR
            SELECT {{columns}} FROM {{child}} AS t
            WHERE {{matching}} FOR UPDATE;
        DECLARE found_in_use CURSOR FOR
            SELECT {{columns}} FROM {{child}} AS t
            WHERE {{matching}} LOCK IN SHARE MODE;
        DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = TRUE;
        DECLARE CONTINUE HANDLER FOR 1442 SET used = TRUE;
        DECLARE EXIT HANDLER FOR 1456 BEGIN END;
{{unfailing}}
        OPEN found;
        IF used THEN
            OPEN found_in_use;
        END IF;
        walk: LOOP
            SET done = FALSE;
            IF used THEN
                FETCH found_in_use INTO {{fetched}};
            ELSE
                FETCH found INTO {{fetched}};
            END IF;
            IF done THEN
                LEAVE walk;
            END IF;
{{effects}}
        END LOOP;
    END;

-- statement: announce_delete
-- mysql only: see above. The row is locked already. A narrow cursor and this read take a seventh of
-- the time of a cursor over images, which makes a table on disk each time.
            SELECT {{key}}, {{image}} INTO named, image
            FROM {{child}} AS t WHERE {{located}} LIMIT 1 LOCK IN SHARE MODE;
            CALL {{announce}}({{table_id}}, 'd', named, NULL, NULL, image);

-- statement: announce_update
-- mysql only: see above. publish believes the new values where the row shows them.
            SELECT {{key}}, {{new_key}}, {{changed}} INTO named, renamed, changed
            FROM {{child}} AS t WHERE {{located}} LIMIT 1 LOCK IN SHARE MODE;
            CALL {{announce}}({{table_id}}, 'u', renamed,
                IF(BINARY named = BINARY renamed, NULL, named), changed, NULL);

-- statement: go_on
-- mysql only: see above. To the rows that name this child.
            CALL {{procedure}}({{arguments}});

-- statement: announce
-- mysql only: see above. Writes: one row of captured, which is opened once for all walks.
CREATE DEFINER = {{definer}} PROCEDURE {{procedure}}(
    of_table INT,
    of_operation CHAR(1) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    new_name LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    old_name LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    new_values LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    old_row LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)
MODIFIES SQL DATA
INSERT INTO changecapture_captured
    (table_id, operation, `key`, old_key, changed, image, transaction_id, captured_at)
VALUES (of_table, of_operation, new_name, old_name, new_values, old_row, CONNECTION_ID(), {{now}})
