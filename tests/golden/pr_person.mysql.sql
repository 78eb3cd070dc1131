CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_1_insert_cd46eb20` AFTER INSERT ON `pr_person` FOR EACH ROW
BEGIN
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR 1021, 1114 RESIGNAL;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET /*!80000 STACKED */ DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'pr_person')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'pr_person');
            CALL `changecapture_miss_c29728d3`('pr_person', 'I', reason);
        END IF;
    END;
    IF NOT IFNULL(@changecapture_applying, 0) THEN
        INSERT INTO changecapture_captured
            (table_id, operation, `key`, transaction_id, captured_at)
        VALUES (1, 'I', CONCAT('[', IFNULL(NEW.`id`, 'null'), ',', IFNULL(JSON_QUOTE(NEW.`uuid`), 'null'), ']'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
    END IF;
END;

CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_1_update_cd46eb20` AFTER UPDATE ON `pr_person` FOR EACH ROW
BEGIN
    DECLARE changed LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT '';
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR 1021, 1114 RESIGNAL;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET /*!80000 STACKED */ DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'pr_person')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'pr_person');
            CALL `changecapture_miss_c29728d3`('pr_person', 'U', reason);
        END IF;
    END;
    IF NOT IFNULL(@changecapture_applying, 0) THEN
        IF NOT (NEW.`pe_id` <=> OLD.`pe_id`) THEN
            SET changed = CONCAT(changed, ',"pe_id":', IFNULL(NEW.`pe_id`, 'null'));
        END IF;
        IF NOT (NEW.`track_id` <=> OLD.`track_id`) THEN
            SET changed = CONCAT(changed, ',"track_id":', IFNULL(NEW.`track_id`, 'null'));
        END IF;
        IF NOT (NEW.`location_id` <=> OLD.`location_id`) THEN
            SET changed = CONCAT(changed, ',"location_id":', IFNULL(NEW.`location_id`, 'null'));
        END IF;
        IF NOT (NEW.`pe_label` <=> BINARY OLD.`pe_label`) THEN
            SET changed = CONCAT(changed, ',"pe_label":', IFNULL(JSON_QUOTE(NEW.`pe_label`), 'null'));
        END IF;
        IF NOT (NEW.`first_name` <=> BINARY OLD.`first_name`) THEN
            SET changed = CONCAT(changed, ',"first_name":', IFNULL(JSON_QUOTE(NEW.`first_name`), 'null'));
        END IF;
        IF NOT (NEW.`middle_name` <=> BINARY OLD.`middle_name`) THEN
            SET changed = CONCAT(changed, ',"middle_name":', IFNULL(JSON_QUOTE(NEW.`middle_name`), 'null'));
        END IF;
        IF NOT (NEW.`last_name` <=> BINARY OLD.`last_name`) THEN
            SET changed = CONCAT(changed, ',"last_name":', IFNULL(JSON_QUOTE(NEW.`last_name`), 'null'));
        END IF;
        IF NOT (NEW.`gender` <=> OLD.`gender`) THEN
            SET changed = CONCAT(changed, ',"gender":', IFNULL(NEW.`gender`, 'null'));
        END IF;
        IF NOT (NEW.`date_of_birth` <=> OLD.`date_of_birth`) THEN
            SET changed = CONCAT(changed, ',"date_of_birth":', IFNULL(CONCAT('"', NEW.`date_of_birth`, '"'), 'null'));
        END IF;
        IF NOT (NEW.`comments` <=> BINARY OLD.`comments`) THEN
            SET changed = CONCAT(changed, ',"comments":', IFNULL(JSON_QUOTE(NEW.`comments`), 'null'));
        END IF;
        IF NOT (NEW.`created_on` <=> OLD.`created_on`) THEN
            SET changed = CONCAT(changed, ',"created_on":', IFNULL(CONCAT('"', REPLACE(NEW.`created_on`, ' ', 'T'), '"'), 'null'));
        END IF;
        IF NOT (NEW.`modified_on` <=> OLD.`modified_on`) THEN
            SET changed = CONCAT(changed, ',"modified_on":', IFNULL(CONCAT('"', REPLACE(NEW.`modified_on`, ' ', 'T'), '"'), 'null'));
        END IF;
        IF NOT (NEW.`deleted` <=> BINARY OLD.`deleted`) THEN
            SET changed = CONCAT(changed, ',"deleted":', IFNULL(JSON_QUOTE(NEW.`deleted`), 'null'));
        END IF;
        IF NOT (NEW.`id` <=> OLD.`id` AND NEW.`uuid` <=> BINARY OLD.`uuid`) THEN
            INSERT INTO changecapture_captured
                (table_id, operation, `key`, old_key, changed, transaction_id, captured_at)
            VALUES (1, 'U', CONCAT('[', IFNULL(NEW.`id`, 'null'), ',', IFNULL(JSON_QUOTE(NEW.`uuid`), 'null'), ']'), CONCAT('[', IFNULL(OLD.`id`, 'null'), ',', IFNULL(JSON_QUOTE(OLD.`uuid`), 'null'), ']'),
                    CONCAT('{', SUBSTRING(changed, 2), '}'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
        ELSEIF changed <> '' THEN
            INSERT INTO changecapture_captured
                (table_id, operation, `key`, changed, transaction_id, captured_at)
            VALUES (1, 'U', CONCAT('[', IFNULL(NEW.`id`, 'null'), ',', IFNULL(JSON_QUOTE(NEW.`uuid`), 'null'), ']'),
                    CONCAT('{', SUBSTRING(changed, 2), '}'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
        END IF;
    END IF;
END;

CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_1_delete_cd46eb20` AFTER DELETE ON `pr_person` FOR EACH ROW
BEGIN
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR 1021, 1114 RESIGNAL;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET /*!80000 STACKED */ DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'pr_person')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'pr_person');
            CALL `changecapture_miss_c29728d3`('pr_person', 'D', reason);
        END IF;
    END;
    IF NOT IFNULL(@changecapture_applying, 0) THEN
        INSERT INTO changecapture_captured
            (table_id, operation, `key`, image, transaction_id, captured_at)
        VALUES (1, 'D', CONCAT('[', IFNULL(OLD.`id`, 'null'), ',', IFNULL(JSON_QUOTE(OLD.`uuid`), 'null'), ']'), CONCAT('{"id":', IFNULL(OLD.`id`, 'null'), ',"uuid":', IFNULL(JSON_QUOTE(OLD.`uuid`), 'null'), ',"pe_id":', IFNULL(OLD.`pe_id`, 'null'), ',"track_id":', IFNULL(OLD.`track_id`, 'null'), ',"location_id":', IFNULL(OLD.`location_id`, 'null'), ',"pe_label":', IFNULL(JSON_QUOTE(OLD.`pe_label`), 'null'), ',"first_name":', IFNULL(JSON_QUOTE(OLD.`first_name`), 'null'), ',"middle_name":', IFNULL(JSON_QUOTE(OLD.`middle_name`), 'null'), ',"last_name":', IFNULL(JSON_QUOTE(OLD.`last_name`), 'null'), ',"gender":', IFNULL(OLD.`gender`, 'null'), ',"date_of_birth":', IFNULL(CONCAT('"', OLD.`date_of_birth`, '"'), 'null'), ',"comments":', IFNULL(JSON_QUOTE(OLD.`comments`), 'null'), ',"created_on":', IFNULL(CONCAT('"', REPLACE(OLD.`created_on`, ' ', 'T'), '"'), 'null'), ',"modified_on":', IFNULL(CONCAT('"', REPLACE(OLD.`modified_on`, ' ', 'T'), '"'), 'null'), '}'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
    END IF;
END;

CREATE OR REPLACE DEFINER = `changecapture`@`localhost` SQL SECURITY DEFINER VIEW `changecapture_pr_person_history` (`id`, `uuid`, `pe_id`, `track_id`, `location_id`, `pe_label`, `first_name`, `middle_name`, `last_name`, `gender`, `date_of_birth`, `comments`, `created_on`, `modified_on`, `changed_at`, `deleted`, `origin`) AS
WITH pending AS (
    SELECT c.`key`, c.operation, c.image, c.captured_at, CONVERT(JSON_VALUE(c.`key`, '$[1]') USING utf8mb4) COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */ AS identity
    FROM changecapture_captured AS c
    JOIN (SELECT MAX(id) AS id FROM changecapture_captured
          WHERE table_id = 1 GROUP BY `key`) AS latest ON latest.id = c.id
)
SELECT t.`id`, CONVERT(t.`uuid` USING utf8mb4), t.`pe_id`, t.`track_id`, t.`location_id`, CONVERT(t.`pe_label` USING utf8mb4), CONVERT(t.`first_name` USING utf8mb4), CONVERT(t.`middle_name` USING utf8mb4), CONVERT(t.`last_name` USING utf8mb4), t.`gender`, t.`date_of_birth`, CONVERT(t.`comments` USING utf8mb4), t.`created_on`, t.`modified_on`,
       TIMESTAMPADD(MICROSECOND, COALESCE(p.captured_at, v.stamp), TIMESTAMP'1970-01-01 00:00:00'),
       t.`deleted` <=> 'T',
       IF(p.`key` IS NULL, v.origin, s.origin)
FROM `pr_person` AS t
CROSS JOIN changecapture_site AS s
LEFT JOIN pending AS p ON p.`key` = CONCAT('[', IFNULL(t.`id`, 'null'), ',', IFNULL(JSON_QUOTE(t.`uuid`), 'null'), ']')
LEFT JOIN changecapture_row_version AS v
       ON v.table_name = 'pr_person' AND v.row_key = CONVERT(t.`uuid` USING utf8mb4) COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */
UNION ALL
SELECT JSON_VALUE(d.image, '$."id"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."uuid"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."pe_id"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."track_id"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."location_id"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."pe_label"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."first_name"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."middle_name"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."last_name"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."gender"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."date_of_birth"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."comments"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."created_on"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."modified_on"') COLLATE utf8mb4_bin,
       TIMESTAMPADD(MICROSECOND, d.deleted_at, TIMESTAMP'1970-01-01 00:00:00'), TRUE, d.origin
FROM changecapture_deleted_row AS d
WHERE d.table_name = 'pr_person'
  AND NOT EXISTS (SELECT 1 FROM pending AS q
                  WHERE q.operation NOT IN ('D', 'd') AND q.identity = d.row_key)
UNION ALL
SELECT JSON_VALUE(d.image, '$."id"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."uuid"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."pe_id"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."track_id"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."location_id"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."pe_label"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."first_name"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."middle_name"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."last_name"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."gender"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."date_of_birth"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."comments"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."created_on"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."modified_on"') COLLATE utf8mb4_bin,
       TIMESTAMPADD(MICROSECOND, d.captured_at, TIMESTAMP'1970-01-01 00:00:00'), TRUE, s.origin
FROM pending AS d
CROSS JOIN changecapture_site AS s
WHERE d.operation IN ('D', 'd')
  AND NOT EXISTS (SELECT 1 FROM pending AS q
                  WHERE q.operation NOT IN ('D', 'd') AND q.identity = d.identity)
