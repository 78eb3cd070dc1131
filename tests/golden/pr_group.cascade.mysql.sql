CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_before_delete_pr_group_ae151d70` BEFORE DELETE ON `pr_group` FOR EACH ROW
BEGIN
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR 1021, 1114 RESIGNAL;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET /*!80000 STACKED */ DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'pr_group')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'pr_group');
            CALL `changecapture_miss_c29728d3`('pr_group', 'd', reason);
        END IF;
    END;
    IF NOT IFNULL(@changecapture_applying, 0) AND @@foreign_key_checks THEN
        CALL `changecapture_delete_pr_group_e82a23e2`(OLD.`id`);
    END IF;
END;

CREATE DEFINER = `changecapture`@`localhost` PROCEDURE `changecapture_delete_pr_group_status_ff89fa0d`(old_1 int(11))
MODIFIES SQL DATA
BEGIN
    BEGIN
        DECLARE done, used BOOLEAN DEFAULT FALSE;
        DECLARE named, renamed, changed, image LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE row_1 int(11);
        DECLARE found CURSOR FOR
            SELECT t.`id` FROM `pr_group` AS t
            WHERE t.`status_id` = old_1 FOR UPDATE;
        DECLARE found_in_use CURSOR FOR
            SELECT t.`id` FROM `pr_group` AS t
            WHERE t.`status_id` = old_1 LOCK IN SHARE MODE;
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
            IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'pr_group')) THEN
                SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'pr_group');
                CALL `changecapture_miss_c29728d3`('pr_group', 'u', reason);
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
            SELECT CONCAT('[', IFNULL(t.`id`, 'null'), ',', IFNULL(JSON_QUOTE(t.`uuid`), 'null'), ']'), CONCAT('[', IFNULL(t.`id`, 'null'), ',', IFNULL(JSON_QUOTE(t.`uuid`), 'null'), ']'), CONCAT('{"status_id":', IFNULL(NULL, 'null'), '}') INTO named, renamed, changed
            FROM `pr_group` AS t WHERE t.`id` = row_1 LIMIT 1 LOCK IN SHARE MODE;
            CALL `changecapture_announce_6f4193df`(167, 'u', renamed,
                IF(BINARY named = BINARY renamed, NULL, named), changed, NULL);
        END LOOP;
    END;
END
