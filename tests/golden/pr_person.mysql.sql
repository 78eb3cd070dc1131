CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_1_insert_34a5b9c3` AFTER INSERT ON `pr_person` FOR EACH ROW
BEGIN
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'pr_person')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'pr_person');
            CALL `changecapture_miss_6d4b3e2a`('pr_person', 'I', reason);
        END IF;
    END;
    IF @changecapture_applying IS NULL THEN
        INSERT INTO changecapture_captured
            (table_id, operation, `key`, transaction_id, captured_at)
        VALUES (1, 'I', CONCAT('[', IFNULL(CAST(NEW.`id` AS CHAR), 'null'), ',', IFNULL(JSON_QUOTE(CONVERT(NEW.`uuid` USING utf8mb4)), 'null'), ']'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
    END IF;
END;

CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_1_update_34a5b9c3` AFTER UPDATE ON `pr_person` FOR EACH ROW
BEGIN
    DECLARE changed LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'pr_person')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'pr_person');
            CALL `changecapture_miss_6d4b3e2a`('pr_person', 'U', reason);
        END IF;
    END;
    IF @changecapture_applying IS NULL THEN
        SET changed = CONCAT_WS(',',
            IF(NEW.`pe_id` <=> OLD.`pe_id`, NULL, CONCAT('"pe_id"', ':', IFNULL(CAST(NEW.`pe_id` AS CHAR), 'null'))),
            IF(NEW.`track_id` <=> OLD.`track_id`, NULL, CONCAT('"track_id"', ':', IFNULL(CAST(NEW.`track_id` AS CHAR), 'null'))),
            IF(NEW.`location_id` <=> OLD.`location_id`, NULL, CONCAT('"location_id"', ':', IFNULL(CAST(NEW.`location_id` AS CHAR), 'null'))),
            IF(BINARY NEW.`pe_label` <=> BINARY OLD.`pe_label`, NULL, CONCAT('"pe_label"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`pe_label` USING utf8mb4)), 'null'))),
            IF(BINARY NEW.`first_name` <=> BINARY OLD.`first_name`, NULL, CONCAT('"first_name"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`first_name` USING utf8mb4)), 'null'))),
            IF(BINARY NEW.`middle_name` <=> BINARY OLD.`middle_name`, NULL, CONCAT('"middle_name"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`middle_name` USING utf8mb4)), 'null'))),
            IF(BINARY NEW.`last_name` <=> BINARY OLD.`last_name`, NULL, CONCAT('"last_name"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`last_name` USING utf8mb4)), 'null'))),
            IF(NEW.`gender` <=> OLD.`gender`, NULL, CONCAT('"gender"', ':', IFNULL(CAST(NEW.`gender` AS CHAR), 'null'))),
            IF(NEW.`date_of_birth` <=> OLD.`date_of_birth`, NULL, CONCAT('"date_of_birth"', ':', IFNULL(CONCAT('"', NEW.`date_of_birth`, '"'), 'null'))),
            IF(BINARY NEW.`comments` <=> BINARY OLD.`comments`, NULL, CONCAT('"comments"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`comments` USING utf8mb4)), 'null'))),
            IF(NEW.`created_on` <=> OLD.`created_on`, NULL, CONCAT('"created_on"', ':', IFNULL(CONCAT('"', REPLACE(NEW.`created_on`, ' ', 'T'), '"'), 'null'))),
            IF(NEW.`modified_on` <=> OLD.`modified_on`, NULL, CONCAT('"modified_on"', ':', IFNULL(CONCAT('"', REPLACE(NEW.`modified_on`, ' ', 'T'), '"'), 'null'))),
            IF(BINARY NEW.`deleted` <=> BINARY OLD.`deleted`, NULL, CONCAT('"deleted"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`deleted` USING utf8mb4)), 'null'))));
        IF changed <> '' OR NOT (NEW.`id` <=> OLD.`id` AND BINARY NEW.`uuid` <=> BINARY OLD.`uuid`) THEN
            INSERT INTO changecapture_captured
                (table_id, operation, `key`, old_key, changed, transaction_id, captured_at)
            VALUES (1, 'U', CONCAT('[', IFNULL(CAST(NEW.`id` AS CHAR), 'null'), ',', IFNULL(JSON_QUOTE(CONVERT(NEW.`uuid` USING utf8mb4)), 'null'), ']'), IF(NEW.`id` <=> OLD.`id` AND BINARY NEW.`uuid` <=> BINARY OLD.`uuid`, NULL, CONCAT('[', IFNULL(CAST(OLD.`id` AS CHAR), 'null'), ',', IFNULL(JSON_QUOTE(CONVERT(OLD.`uuid` USING utf8mb4)), 'null'), ']')),
                    CONCAT('{', changed, '}'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
        END IF;
    END IF;
END;

CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_1_delete_34a5b9c3` AFTER DELETE ON `pr_person` FOR EACH ROW
BEGIN
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'pr_person')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'pr_person');
            CALL `changecapture_miss_6d4b3e2a`('pr_person', 'D', reason);
        END IF;
    END;
    IF @changecapture_applying IS NULL THEN
        INSERT INTO changecapture_captured
            (table_id, operation, `key`, image, transaction_id, captured_at)
        VALUES (1, 'D', CONCAT('[', IFNULL(CAST(OLD.`id` AS CHAR), 'null'), ',', IFNULL(JSON_QUOTE(CONVERT(OLD.`uuid` USING utf8mb4)), 'null'), ']'), CONCAT('{', '"id"', ':', IFNULL(CAST(OLD.`id` AS CHAR), 'null'), ',', '"uuid"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`uuid` USING utf8mb4)), 'null'), ',', '"pe_id"', ':', IFNULL(CAST(OLD.`pe_id` AS CHAR), 'null'), ',', '"track_id"', ':', IFNULL(CAST(OLD.`track_id` AS CHAR), 'null'), ',', '"location_id"', ':', IFNULL(CAST(OLD.`location_id` AS CHAR), 'null'), ',', '"pe_label"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`pe_label` USING utf8mb4)), 'null'), ',', '"first_name"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`first_name` USING utf8mb4)), 'null'), ',', '"middle_name"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`middle_name` USING utf8mb4)), 'null'), ',', '"last_name"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`last_name` USING utf8mb4)), 'null'), ',', '"gender"', ':', IFNULL(CAST(OLD.`gender` AS CHAR), 'null'), ',', '"date_of_birth"', ':', IFNULL(CONCAT('"', OLD.`date_of_birth`, '"'), 'null'), ',', '"comments"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`comments` USING utf8mb4)), 'null'), ',', '"created_on"', ':', IFNULL(CONCAT('"', REPLACE(OLD.`created_on`, ' ', 'T'), '"'), 'null'), ',', '"modified_on"', ':', IFNULL(CONCAT('"', REPLACE(OLD.`modified_on`, ' ', 'T'), '"'), 'null'), '}'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
    END IF;
END;

CREATE OR REPLACE DEFINER = `changecapture`@`localhost` SQL SECURITY DEFINER VIEW `changecapture_pr_person_history` (`id`, `uuid`, `pe_id`, `track_id`, `location_id`, `pe_label`, `first_name`, `middle_name`, `last_name`, `gender`, `date_of_birth`, `comments`, `created_on`, `modified_on`, `changed_at`, `deleted`, `origin`) AS
WITH pending AS (
    SELECT c.`key`, c.operation, c.image, c.captured_at, JSON_VALUE(c.`key`, '$[1]') AS identity
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
LEFT JOIN pending AS p ON p.`key` = CONCAT('[', IFNULL(CAST(t.`id` AS CHAR), 'null'), ',', IFNULL(JSON_QUOTE(CONVERT(t.`uuid` USING utf8mb4)), 'null'), ']')
LEFT JOIN changecapture_row_version AS v
       ON v.table_name = 'pr_person' AND v.row_key = CONVERT(t.`uuid` USING utf8mb4) COLLATE utf8mb4_bin
UNION ALL
SELECT JSON_VALUE(d.image, '$."id"'), JSON_VALUE(d.image, '$."uuid"'), JSON_VALUE(d.image, '$."pe_id"'), JSON_VALUE(d.image, '$."track_id"'), JSON_VALUE(d.image, '$."location_id"'), JSON_VALUE(d.image, '$."pe_label"'), JSON_VALUE(d.image, '$."first_name"'), JSON_VALUE(d.image, '$."middle_name"'), JSON_VALUE(d.image, '$."last_name"'), JSON_VALUE(d.image, '$."gender"'), JSON_VALUE(d.image, '$."date_of_birth"'), JSON_VALUE(d.image, '$."comments"'), JSON_VALUE(d.image, '$."created_on"'), JSON_VALUE(d.image, '$."modified_on"'),
       TIMESTAMPADD(MICROSECOND, d.deleted_at, TIMESTAMP'1970-01-01 00:00:00'), TRUE, d.origin
FROM changecapture_deleted_row AS d
WHERE d.table_name = 'pr_person'
  AND NOT EXISTS (SELECT 1 FROM pending AS q
                  WHERE q.operation NOT IN ('D', 'd') AND q.identity = d.row_key)
UNION ALL
SELECT JSON_VALUE(d.image, '$."id"'), JSON_VALUE(d.image, '$."uuid"'), JSON_VALUE(d.image, '$."pe_id"'), JSON_VALUE(d.image, '$."track_id"'), JSON_VALUE(d.image, '$."location_id"'), JSON_VALUE(d.image, '$."pe_label"'), JSON_VALUE(d.image, '$."first_name"'), JSON_VALUE(d.image, '$."middle_name"'), JSON_VALUE(d.image, '$."last_name"'), JSON_VALUE(d.image, '$."gender"'), JSON_VALUE(d.image, '$."date_of_birth"'), JSON_VALUE(d.image, '$."comments"'), JSON_VALUE(d.image, '$."created_on"'), JSON_VALUE(d.image, '$."modified_on"'),
       TIMESTAMPADD(MICROSECOND, d.captured_at, TIMESTAMP'1970-01-01 00:00:00'), TRUE, s.origin
FROM pending AS d
CROSS JOIN changecapture_site AS s
WHERE d.operation IN ('D', 'd')
  AND NOT EXISTS (SELECT 1 FROM pending AS q
                  WHERE q.operation NOT IN ('D', 'd') AND q.identity = d.identity)
