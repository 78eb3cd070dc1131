CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_before_delete_hospital_1ec43849` BEFORE DELETE ON `hospital` FOR EACH ROW
BEGIN
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR 1021, 1114 RESIGNAL;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET /*!80000 STACKED */ DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'hospital')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'hospital');
            CALL `changecapture_miss_c29728d3`('hospital', 'd', reason);
        END IF;
    END;
    IF NOT IFNULL(@changecapture_applying, 0) AND @@foreign_key_checks THEN
        CALL `changecapture_delete_hospital_ec3e0c88`(OLD.`hospital_uuid`);
    END IF;
END;

CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_before_update_hospital_2808e19e` BEFORE UPDATE ON `hospital` FOR EACH ROW
BEGIN
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR 1021, 1114 RESIGNAL;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET /*!80000 STACKED */ DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'hospital')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'hospital');
            CALL `changecapture_miss_c29728d3`('hospital', 'u', reason);
        END IF;
    END;
    IF NOT IFNULL(@changecapture_applying, 0) AND @@foreign_key_checks AND NOT (BINARY OLD.`hospital_uuid` <=> BINARY NEW.`hospital_uuid`) THEN
        CALL `changecapture_update_hospital_2d92ae80`(OLD.`hospital_uuid`, NEW.`hospital_uuid`);
    END IF;
END;

CREATE DEFINER = `changecapture`@`localhost` PROCEDURE `changecapture_delete_hospital_ec3e0c88`(old_1 int(32))
MODIFIES SQL DATA
BEGIN
    BEGIN
        DECLARE done, used BOOLEAN DEFAULT FALSE;
        DECLARE named, renamed, changed, image LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE row_1 varchar(128);
        DECLARE found CURSOR FOR
            SELECT t.`p_uuid` FROM `person_uuid` AS t
            WHERE t.`hospital_uuid` = old_1 FOR UPDATE;
        DECLARE found_in_use CURSOR FOR
            SELECT t.`p_uuid` FROM `person_uuid` AS t
            WHERE t.`hospital_uuid` = old_1 LOCK IN SHARE MODE;
        DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = TRUE;
        DECLARE CONTINUE HANDLER FOR 1442 SET used = TRUE;
        DECLARE EXIT HANDLER FOR 1456 BEGIN END;
        DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION
        BEGIN
            DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
            DECLARE EXIT HANDLER FOR 1021, 1114 RESIGNAL;
            DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
            GET /*!80000 STACKED */ DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
            IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'person_uuid')) THEN
                SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'person_uuid');
                CALL `changecapture_miss_c29728d3`('person_uuid', 'u', reason);
            END IF;
        END;
        OPEN found;
        IF used THEN
            OPEN found_in_use;
        END IF;
        walk: LOOP
            SET done = FALSE;
            IF used THEN
                FETCH found_in_use INTO row_1;
            ELSE
                FETCH found INTO row_1;
            END IF;
            IF done THEN
                LEAVE walk;
            END IF;
            SELECT CONCAT('[', IFNULL(JSON_QUOTE(t.`p_uuid`), 'null'), ']'), CONCAT('[', IFNULL(JSON_QUOTE(t.`p_uuid`), 'null'), ']'), CONCAT('{"hospital_uuid":', IFNULL(NULL, 'null'), '}') INTO named, renamed, changed
            FROM `person_uuid` AS t WHERE t.`p_uuid` = row_1 LIMIT 1 LOCK IN SHARE MODE;
            CALL `changecapture_announce_6f4193df`(10, 'u', renamed,
                IF(BINARY named = BINARY renamed, NULL, named), changed, NULL);
        END LOOP;
    END;
END;

CREATE DEFINER = `changecapture`@`localhost` PROCEDURE `changecapture_update_hospital_2d92ae80`(old_1 int(32), new_1 int(32))
MODIFIES SQL DATA
BEGIN
    BEGIN
        DECLARE done, used BOOLEAN DEFAULT FALSE;
        DECLARE named, renamed, changed, image LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE row_1 varchar(128);
        DECLARE found CURSOR FOR
            SELECT t.`p_uuid` FROM `person_uuid` AS t
            WHERE t.`hospital_uuid` = old_1
              AND NOT (BINARY old_1 <=> BINARY new_1) FOR UPDATE;
        DECLARE found_in_use CURSOR FOR
            SELECT t.`p_uuid` FROM `person_uuid` AS t
            WHERE t.`hospital_uuid` = old_1
              AND NOT (BINARY old_1 <=> BINARY new_1) LOCK IN SHARE MODE;
        DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = TRUE;
        DECLARE CONTINUE HANDLER FOR 1442 SET used = TRUE;
        DECLARE EXIT HANDLER FOR 1456 BEGIN END;
        DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION
        BEGIN
            DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
            DECLARE EXIT HANDLER FOR 1021, 1114 RESIGNAL;
            DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
            GET /*!80000 STACKED */ DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
            IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'person_uuid')) THEN
                SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'person_uuid');
                CALL `changecapture_miss_c29728d3`('person_uuid', 'u', reason);
            END IF;
        END;
        OPEN found;
        IF used THEN
            OPEN found_in_use;
        END IF;
        walk: LOOP
            SET done = FALSE;
            IF used THEN
                FETCH found_in_use INTO row_1;
            ELSE
                FETCH found INTO row_1;
            END IF;
            IF done THEN
                LEAVE walk;
            END IF;
            SELECT CONCAT('[', IFNULL(JSON_QUOTE(t.`p_uuid`), 'null'), ']'), CONCAT('[', IFNULL(JSON_QUOTE(t.`p_uuid`), 'null'), ']'), CONCAT('{"hospital_uuid":', IFNULL(new_1, 'null'), '}') INTO named, renamed, changed
            FROM `person_uuid` AS t WHERE t.`p_uuid` = row_1 LIMIT 1 LOCK IN SHARE MODE;
            CALL `changecapture_announce_6f4193df`(10, 'u', renamed,
                IF(BINARY named = BINARY renamed, NULL, named), changed, NULL);
        END LOOP;
    END;
END;

CREATE DEFINER = `changecapture`@`localhost` PROCEDURE `changecapture_announce_6f4193df`(
    of_table INT,
    of_operation CHAR(1) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    new_name LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    old_name LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    new_values LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    old_row LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin)
MODIFIES SQL DATA
INSERT INTO changecapture_captured
    (table_id, operation, `key`, old_key, changed, image, transaction_id, captured_at)
VALUES (of_table, of_operation, new_name, old_name, new_values, old_row, CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)))
