CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_3_insert_13f1ef5b` AFTER INSERT ON `pr_pentity` FOR EACH ROW
BEGIN
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR 1021, 1114 RESIGNAL;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET /*!80000 STACKED */ DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'pr_pentity')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'pr_pentity');
            CALL `changecapture_miss_c29728d3`('pr_pentity', 'I', reason);
        END IF;
    END;
    IF NOT IFNULL(@changecapture_applying, 0) THEN
        INSERT INTO changecapture_captured
            (table_id, operation, `key`, transaction_id, captured_at)
        VALUES (3, 'I', CONCAT('[', IFNULL(NEW.`pe_id`, 'null'), ',', IFNULL(JSON_QUOTE(NEW.`uuid`), 'null'), ']'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
    END IF;
END;

CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_3_update_13f1ef5b` AFTER UPDATE ON `pr_pentity` FOR EACH ROW
BEGIN
    DECLARE changed LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT '';
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR 1021, 1114 RESIGNAL;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET /*!80000 STACKED */ DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'pr_pentity')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'pr_pentity');
            CALL `changecapture_miss_c29728d3`('pr_pentity', 'U', reason);
        END IF;
    END;
    IF NOT IFNULL(@changecapture_applying, 0) THEN
        IF NOT (NEW.`instance_type` <=> BINARY OLD.`instance_type`) THEN
            SET changed = CONCAT(changed, ',"instance_type":', IFNULL(JSON_QUOTE(NEW.`instance_type`), 'null'));
        END IF;
        IF NOT (NEW.`type` <=> BINARY OLD.`type`) THEN
            SET changed = CONCAT(changed, ',"type":', IFNULL(JSON_QUOTE(NEW.`type`), 'null'));
        END IF;
        IF NOT (NEW.`pe_label` <=> BINARY OLD.`pe_label`) THEN
            SET changed = CONCAT(changed, ',"pe_label":', IFNULL(JSON_QUOTE(NEW.`pe_label`), 'null'));
        END IF;
        IF NOT (NEW.`deleted` <=> BINARY OLD.`deleted`) THEN
            SET changed = CONCAT(changed, ',"deleted":', IFNULL(JSON_QUOTE(NEW.`deleted`), 'null'));
        END IF;
        IF NOT (NEW.`pe_id` <=> OLD.`pe_id` AND NEW.`uuid` <=> BINARY OLD.`uuid`) THEN
            INSERT INTO changecapture_captured
                (table_id, operation, `key`, old_key, changed, transaction_id, captured_at)
            VALUES (3, 'U', CONCAT('[', IFNULL(NEW.`pe_id`, 'null'), ',', IFNULL(JSON_QUOTE(NEW.`uuid`), 'null'), ']'), CONCAT('[', IFNULL(OLD.`pe_id`, 'null'), ',', IFNULL(JSON_QUOTE(OLD.`uuid`), 'null'), ']'),
                    CONCAT('{', SUBSTRING(changed, 2), '}'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
        ELSEIF changed <> '' THEN
            INSERT INTO changecapture_captured
                (table_id, operation, `key`, changed, transaction_id, captured_at)
            VALUES (3, 'U', CONCAT('[', IFNULL(NEW.`pe_id`, 'null'), ',', IFNULL(JSON_QUOTE(NEW.`uuid`), 'null'), ']'),
                    CONCAT('{', SUBSTRING(changed, 2), '}'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
        END IF;
    END IF;
END;

CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_3_delete_13f1ef5b` AFTER DELETE ON `pr_pentity` FOR EACH ROW
BEGIN
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR 1021, 1114 RESIGNAL;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET /*!80000 STACKED */ DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'pr_pentity')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'pr_pentity');
            CALL `changecapture_miss_c29728d3`('pr_pentity', 'D', reason);
        END IF;
    END;
    IF NOT IFNULL(@changecapture_applying, 0) THEN
        INSERT INTO changecapture_captured
            (table_id, operation, `key`, image, transaction_id, captured_at)
        VALUES (3, 'D', CONCAT('[', IFNULL(OLD.`pe_id`, 'null'), ',', IFNULL(JSON_QUOTE(OLD.`uuid`), 'null'), ']'), CONCAT('{"pe_id":', IFNULL(OLD.`pe_id`, 'null'), ',"uuid":', IFNULL(JSON_QUOTE(OLD.`uuid`), 'null'), ',"instance_type":', IFNULL(JSON_QUOTE(OLD.`instance_type`), 'null'), ',"type":', IFNULL(JSON_QUOTE(OLD.`type`), 'null'), ',"pe_label":', IFNULL(JSON_QUOTE(OLD.`pe_label`), 'null'), '}'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
    END IF;
END;

CREATE OR REPLACE DEFINER = `changecapture`@`localhost` SQL SECURITY DEFINER VIEW `changecapture_pr_pentity_history` (`pe_id`, `uuid`, `instance_type`, `type`, `pe_label`, `changed_at`, `deleted`, `origin`) AS
WITH pending AS (
    SELECT c.`key`, c.operation, c.image, c.captured_at, CONVERT(JSON_VALUE(c.`key`, '$[1]') USING utf8mb4) COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */ AS identity
    FROM changecapture_captured AS c
    JOIN (SELECT MAX(id) AS id FROM changecapture_captured
          WHERE table_id = 3 GROUP BY `key`) AS latest ON latest.id = c.id
)
SELECT t.`pe_id`, CONVERT(t.`uuid` USING utf8mb4), CONVERT(t.`instance_type` USING utf8mb4), CONVERT(t.`type` USING utf8mb4), CONVERT(t.`pe_label` USING utf8mb4),
       TIMESTAMPADD(MICROSECOND, COALESCE(p.captured_at, v.stamp), TIMESTAMP'1970-01-01 00:00:00'),
       t.`deleted` <=> 'T',
       IF(p.`key` IS NULL, v.origin, s.origin)
FROM `pr_pentity` AS t
CROSS JOIN changecapture_site AS s
LEFT JOIN pending AS p ON p.`key` = CONCAT('[', IFNULL(t.`pe_id`, 'null'), ',', IFNULL(JSON_QUOTE(t.`uuid`), 'null'), ']')
LEFT JOIN changecapture_row_version AS v
       ON v.table_name = 'pr_pentity' AND v.row_key = CONVERT(t.`uuid` USING utf8mb4) COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */
UNION ALL
SELECT JSON_VALUE(d.image, '$."pe_id"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."uuid"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."instance_type"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."type"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."pe_label"') COLLATE utf8mb4_bin,
       TIMESTAMPADD(MICROSECOND, d.deleted_at, TIMESTAMP'1970-01-01 00:00:00'), TRUE, d.origin
FROM changecapture_deleted_row AS d
WHERE d.table_name = 'pr_pentity'
  AND NOT EXISTS (SELECT 1 FROM pending AS q
                  WHERE q.operation NOT IN ('D', 'd') AND q.identity = d.row_key)
UNION ALL
SELECT JSON_VALUE(d.image, '$."pe_id"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."uuid"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."instance_type"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."type"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."pe_label"') COLLATE utf8mb4_bin,
       TIMESTAMPADD(MICROSECOND, d.captured_at, TIMESTAMP'1970-01-01 00:00:00'), TRUE, s.origin
FROM pending AS d
CROSS JOIN changecapture_site AS s
WHERE d.operation IN ('D', 'd')
  AND NOT EXISTS (SELECT 1 FROM pending AS q
                  WHERE q.operation NOT IN ('D', 'd') AND q.identity = d.identity)
