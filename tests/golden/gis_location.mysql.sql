CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_2_insert_87bbcc33` AFTER INSERT ON `gis_location` FOR EACH ROW
BEGIN
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'gis_location')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'gis_location');
            CALL `changecapture_miss_6d4b3e2a`('gis_location', 'I', reason);
        END IF;
    END;
    IF @changecapture_applying IS NULL THEN
        INSERT INTO changecapture_captured
            (table_id, operation, `key`, transaction_id, captured_at)
        VALUES (2, 'I', CONCAT('[', IFNULL(CAST(NEW.`id` AS CHAR), 'null'), ',', IFNULL(JSON_QUOTE(CONVERT(NEW.`uuid` USING utf8mb4)), 'null'), ']'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
    END IF;
END;

CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_2_update_87bbcc33` AFTER UPDATE ON `gis_location` FOR EACH ROW
BEGIN
    DECLARE changed LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'gis_location')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'gis_location');
            CALL `changecapture_miss_6d4b3e2a`('gis_location', 'U', reason);
        END IF;
    END;
    IF @changecapture_applying IS NULL THEN
        SET changed = CONCAT_WS(',',
            IF(BINARY NEW.`name` <=> BINARY OLD.`name`, NULL, CONCAT('"name"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`name` USING utf8mb4)), 'null'))),
            IF(BINARY NEW.`level` <=> BINARY OLD.`level`, NULL, CONCAT('"level"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`level` USING utf8mb4)), 'null'))),
            IF(NEW.`parent` <=> OLD.`parent`, NULL, CONCAT('"parent"', ':', IFNULL(CAST(NEW.`parent` AS CHAR), 'null'))),
            IF(NEW.`gis_feature_type` <=> OLD.`gis_feature_type`, NULL, CONCAT('"gis_feature_type"', ':', IFNULL(CAST(NEW.`gis_feature_type` AS CHAR), 'null'))),
            IF(NEW.`lat` <=> OLD.`lat`, NULL, CONCAT('"lat"', ':', IFNULL(CAST(NEW.`lat` AS CHAR), 'null'))),
            IF(NEW.`lon` <=> OLD.`lon`, NULL, CONCAT('"lon"', ':', IFNULL(CAST(NEW.`lon` AS CHAR), 'null'))),
            IF(NEW.`radius` <=> OLD.`radius`, NULL, CONCAT('"radius"', ':', IFNULL(CAST(NEW.`radius` AS CHAR), 'null'))),
            IF(BINARY NEW.`wkt` <=> BINARY OLD.`wkt`, NULL, CONCAT('"wkt"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`wkt` USING utf8mb4)), 'null'))),
            IF(BINARY NEW.`inherited` <=> BINARY OLD.`inherited`, NULL, CONCAT('"inherited"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`inherited` USING utf8mb4)), 'null'))),
            IF(NEW.`lat_min` <=> OLD.`lat_min`, NULL, CONCAT('"lat_min"', ':', IFNULL(CAST(NEW.`lat_min` AS CHAR), 'null'))),
            IF(NEW.`lat_max` <=> OLD.`lat_max`, NULL, CONCAT('"lat_max"', ':', IFNULL(CAST(NEW.`lat_max` AS CHAR), 'null'))),
            IF(NEW.`lon_min` <=> OLD.`lon_min`, NULL, CONCAT('"lon_min"', ':', IFNULL(CAST(NEW.`lon_min` AS CHAR), 'null'))),
            IF(NEW.`lon_max` <=> OLD.`lon_max`, NULL, CONCAT('"lon_max"', ':', IFNULL(CAST(NEW.`lon_max` AS CHAR), 'null'))),
            IF(NEW.`elevation` <=> OLD.`elevation`, NULL, CONCAT('"elevation"', ':', IFNULL(CAST(NEW.`elevation` AS CHAR), 'null'))),
            IF(BINARY NEW.`addr_street` <=> BINARY OLD.`addr_street`, NULL, CONCAT('"addr_street"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`addr_street` USING utf8mb4)), 'null'))),
            IF(BINARY NEW.`addr_postcode` <=> BINARY OLD.`addr_postcode`, NULL, CONCAT('"addr_postcode"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`addr_postcode` USING utf8mb4)), 'null'))),
            IF(NEW.`start_date` <=> OLD.`start_date`, NULL, CONCAT('"start_date"', ':', IFNULL(CONCAT('"', NEW.`start_date`, '"'), 'null'))),
            IF(NEW.`end_date` <=> OLD.`end_date`, NULL, CONCAT('"end_date"', ':', IFNULL(CONCAT('"', NEW.`end_date`, '"'), 'null'))),
            IF(BINARY NEW.`comments` <=> BINARY OLD.`comments`, NULL, CONCAT('"comments"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`comments` USING utf8mb4)), 'null'))),
            IF(BINARY NEW.`l5` <=> BINARY OLD.`l5`, NULL, CONCAT('"l5"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`l5` USING utf8mb4)), 'null'))),
            IF(BINARY NEW.`l4` <=> BINARY OLD.`l4`, NULL, CONCAT('"l4"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`l4` USING utf8mb4)), 'null'))),
            IF(BINARY NEW.`l3` <=> BINARY OLD.`l3`, NULL, CONCAT('"l3"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`l3` USING utf8mb4)), 'null'))),
            IF(BINARY NEW.`l2` <=> BINARY OLD.`l2`, NULL, CONCAT('"l2"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`l2` USING utf8mb4)), 'null'))),
            IF(BINARY NEW.`l1` <=> BINARY OLD.`l1`, NULL, CONCAT('"l1"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`l1` USING utf8mb4)), 'null'))),
            IF(BINARY NEW.`l0` <=> BINARY OLD.`l0`, NULL, CONCAT('"l0"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`l0` USING utf8mb4)), 'null'))),
            IF(NEW.`created_on` <=> OLD.`created_on`, NULL, CONCAT('"created_on"', ':', IFNULL(CONCAT('"', REPLACE(NEW.`created_on`, ' ', 'T'), '"'), 'null'))),
            IF(NEW.`modified_on` <=> OLD.`modified_on`, NULL, CONCAT('"modified_on"', ':', IFNULL(CONCAT('"', REPLACE(NEW.`modified_on`, ' ', 'T'), '"'), 'null'))),
            IF(BINARY NEW.`deleted` <=> BINARY OLD.`deleted`, NULL, CONCAT('"deleted"', ':', IFNULL(JSON_QUOTE(CONVERT(NEW.`deleted` USING utf8mb4)), 'null'))));
        IF changed <> '' OR NOT (NEW.`id` <=> OLD.`id` AND BINARY NEW.`uuid` <=> BINARY OLD.`uuid`) THEN
            INSERT INTO changecapture_captured
                (table_id, operation, `key`, old_key, changed, transaction_id, captured_at)
            VALUES (2, 'U', CONCAT('[', IFNULL(CAST(NEW.`id` AS CHAR), 'null'), ',', IFNULL(JSON_QUOTE(CONVERT(NEW.`uuid` USING utf8mb4)), 'null'), ']'), IF(NEW.`id` <=> OLD.`id` AND BINARY NEW.`uuid` <=> BINARY OLD.`uuid`, NULL, CONCAT('[', IFNULL(CAST(OLD.`id` AS CHAR), 'null'), ',', IFNULL(JSON_QUOTE(CONVERT(OLD.`uuid` USING utf8mb4)), 'null'), ']')),
                    CONCAT('{', changed, '}'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
        END IF;
    END IF;
END;

CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_2_delete_87bbcc33` AFTER DELETE ON `gis_location` FOR EACH ROW
BEGIN
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'gis_location')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'gis_location');
            CALL `changecapture_miss_6d4b3e2a`('gis_location', 'D', reason);
        END IF;
    END;
    IF @changecapture_applying IS NULL THEN
        INSERT INTO changecapture_captured
            (table_id, operation, `key`, image, transaction_id, captured_at)
        VALUES (2, 'D', CONCAT('[', IFNULL(CAST(OLD.`id` AS CHAR), 'null'), ',', IFNULL(JSON_QUOTE(CONVERT(OLD.`uuid` USING utf8mb4)), 'null'), ']'), CONCAT('{', '"id"', ':', IFNULL(CAST(OLD.`id` AS CHAR), 'null'), ',', '"uuid"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`uuid` USING utf8mb4)), 'null'), ',', '"name"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`name` USING utf8mb4)), 'null'), ',', '"level"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`level` USING utf8mb4)), 'null'), ',', '"parent"', ':', IFNULL(CAST(OLD.`parent` AS CHAR), 'null'), ',', '"gis_feature_type"', ':', IFNULL(CAST(OLD.`gis_feature_type` AS CHAR), 'null'), ',', '"lat"', ':', IFNULL(CAST(OLD.`lat` AS CHAR), 'null'), ',', '"lon"', ':', IFNULL(CAST(OLD.`lon` AS CHAR), 'null'), ',', '"radius"', ':', IFNULL(CAST(OLD.`radius` AS CHAR), 'null'), ',', '"wkt"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`wkt` USING utf8mb4)), 'null'), ',', '"inherited"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`inherited` USING utf8mb4)), 'null'), ',', '"lat_min"', ':', IFNULL(CAST(OLD.`lat_min` AS CHAR), 'null'), ',', '"lat_max"', ':', IFNULL(CAST(OLD.`lat_max` AS CHAR), 'null'), ',', '"lon_min"', ':', IFNULL(CAST(OLD.`lon_min` AS CHAR), 'null'), ',', '"lon_max"', ':', IFNULL(CAST(OLD.`lon_max` AS CHAR), 'null'), ',', '"elevation"', ':', IFNULL(CAST(OLD.`elevation` AS CHAR), 'null'), ',', '"addr_street"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`addr_street` USING utf8mb4)), 'null'), ',', '"addr_postcode"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`addr_postcode` USING utf8mb4)), 'null'), ',', '"start_date"', ':', IFNULL(CONCAT('"', OLD.`start_date`, '"'), 'null'), ',', '"end_date"', ':', IFNULL(CONCAT('"', OLD.`end_date`, '"'), 'null'), ',', '"comments"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`comments` USING utf8mb4)), 'null'), ',', '"l5"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`l5` USING utf8mb4)), 'null'), ',', '"l4"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`l4` USING utf8mb4)), 'null'), ',', '"l3"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`l3` USING utf8mb4)), 'null'), ',', '"l2"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`l2` USING utf8mb4)), 'null'), ',', '"l1"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`l1` USING utf8mb4)), 'null'), ',', '"l0"', ':', IFNULL(JSON_QUOTE(CONVERT(OLD.`l0` USING utf8mb4)), 'null'), ',', '"created_on"', ':', IFNULL(CONCAT('"', REPLACE(OLD.`created_on`, ' ', 'T'), '"'), 'null'), ',', '"modified_on"', ':', IFNULL(CONCAT('"', REPLACE(OLD.`modified_on`, ' ', 'T'), '"'), 'null'), '}'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
    END IF;
END;

CREATE OR REPLACE DEFINER = `changecapture`@`localhost` SQL SECURITY DEFINER VIEW `changecapture_gis_location_history` (`id`, `uuid`, `name`, `level`, `parent`, `gis_feature_type`, `lat`, `lon`, `radius`, `wkt`, `inherited`, `lat_min`, `lat_max`, `lon_min`, `lon_max`, `elevation`, `addr_street`, `addr_postcode`, `start_date`, `end_date`, `comments`, `l5`, `l4`, `l3`, `l2`, `l1`, `l0`, `created_on`, `modified_on`, `changed_at`, `deleted`, `origin`) AS
WITH pending AS (
    SELECT c.`key`, c.operation, c.image, c.captured_at, JSON_VALUE(c.`key`, '$[1]') AS identity
    FROM changecapture_captured AS c
    JOIN (SELECT MAX(id) AS id FROM changecapture_captured
          WHERE table_id = 2 GROUP BY `key`) AS latest ON latest.id = c.id
)
SELECT t.`id`, CONVERT(t.`uuid` USING utf8mb4), CONVERT(t.`name` USING utf8mb4), CONVERT(t.`level` USING utf8mb4), t.`parent`, t.`gis_feature_type`, t.`lat`, t.`lon`, t.`radius`, CONVERT(t.`wkt` USING utf8mb4), CONVERT(t.`inherited` USING utf8mb4), t.`lat_min`, t.`lat_max`, t.`lon_min`, t.`lon_max`, t.`elevation`, CONVERT(t.`addr_street` USING utf8mb4), CONVERT(t.`addr_postcode` USING utf8mb4), t.`start_date`, t.`end_date`, CONVERT(t.`comments` USING utf8mb4), CONVERT(t.`l5` USING utf8mb4), CONVERT(t.`l4` USING utf8mb4), CONVERT(t.`l3` USING utf8mb4), CONVERT(t.`l2` USING utf8mb4), CONVERT(t.`l1` USING utf8mb4), CONVERT(t.`l0` USING utf8mb4), t.`created_on`, t.`modified_on`,
       TIMESTAMPADD(MICROSECOND, COALESCE(p.captured_at, v.stamp), TIMESTAMP'1970-01-01 00:00:00'),
       t.`deleted` <=> 'T',
       IF(p.`key` IS NULL, v.origin, s.origin)
FROM `gis_location` AS t
CROSS JOIN changecapture_site AS s
LEFT JOIN pending AS p ON p.`key` = CONCAT('[', IFNULL(CAST(t.`id` AS CHAR), 'null'), ',', IFNULL(JSON_QUOTE(CONVERT(t.`uuid` USING utf8mb4)), 'null'), ']')
LEFT JOIN changecapture_row_version AS v
       ON v.table_name = 'gis_location' AND v.row_key = CONVERT(t.`uuid` USING utf8mb4) COLLATE utf8mb4_bin
UNION ALL
SELECT JSON_VALUE(d.image, '$."id"'), JSON_VALUE(d.image, '$."uuid"'), JSON_VALUE(d.image, '$."name"'), JSON_VALUE(d.image, '$."level"'), JSON_VALUE(d.image, '$."parent"'), JSON_VALUE(d.image, '$."gis_feature_type"'), JSON_VALUE(d.image, '$."lat"'), JSON_VALUE(d.image, '$."lon"'), JSON_VALUE(d.image, '$."radius"'), JSON_VALUE(d.image, '$."wkt"'), JSON_VALUE(d.image, '$."inherited"'), JSON_VALUE(d.image, '$."lat_min"'), JSON_VALUE(d.image, '$."lat_max"'), JSON_VALUE(d.image, '$."lon_min"'), JSON_VALUE(d.image, '$."lon_max"'), JSON_VALUE(d.image, '$."elevation"'), JSON_VALUE(d.image, '$."addr_street"'), JSON_VALUE(d.image, '$."addr_postcode"'), JSON_VALUE(d.image, '$."start_date"'), JSON_VALUE(d.image, '$."end_date"'), JSON_VALUE(d.image, '$."comments"'), JSON_VALUE(d.image, '$."l5"'), JSON_VALUE(d.image, '$."l4"'), JSON_VALUE(d.image, '$."l3"'), JSON_VALUE(d.image, '$."l2"'), JSON_VALUE(d.image, '$."l1"'), JSON_VALUE(d.image, '$."l0"'), JSON_VALUE(d.image, '$."created_on"'), JSON_VALUE(d.image, '$."modified_on"'),
       TIMESTAMPADD(MICROSECOND, d.deleted_at, TIMESTAMP'1970-01-01 00:00:00'), TRUE, d.origin
FROM changecapture_deleted_row AS d
WHERE d.table_name = 'gis_location'
  AND NOT EXISTS (SELECT 1 FROM pending AS q
                  WHERE q.operation NOT IN ('D', 'd') AND q.identity = d.row_key)
UNION ALL
SELECT JSON_VALUE(d.image, '$."id"'), JSON_VALUE(d.image, '$."uuid"'), JSON_VALUE(d.image, '$."name"'), JSON_VALUE(d.image, '$."level"'), JSON_VALUE(d.image, '$."parent"'), JSON_VALUE(d.image, '$."gis_feature_type"'), JSON_VALUE(d.image, '$."lat"'), JSON_VALUE(d.image, '$."lon"'), JSON_VALUE(d.image, '$."radius"'), JSON_VALUE(d.image, '$."wkt"'), JSON_VALUE(d.image, '$."inherited"'), JSON_VALUE(d.image, '$."lat_min"'), JSON_VALUE(d.image, '$."lat_max"'), JSON_VALUE(d.image, '$."lon_min"'), JSON_VALUE(d.image, '$."lon_max"'), JSON_VALUE(d.image, '$."elevation"'), JSON_VALUE(d.image, '$."addr_street"'), JSON_VALUE(d.image, '$."addr_postcode"'), JSON_VALUE(d.image, '$."start_date"'), JSON_VALUE(d.image, '$."end_date"'), JSON_VALUE(d.image, '$."comments"'), JSON_VALUE(d.image, '$."l5"'), JSON_VALUE(d.image, '$."l4"'), JSON_VALUE(d.image, '$."l3"'), JSON_VALUE(d.image, '$."l2"'), JSON_VALUE(d.image, '$."l1"'), JSON_VALUE(d.image, '$."l0"'), JSON_VALUE(d.image, '$."created_on"'), JSON_VALUE(d.image, '$."modified_on"'),
       TIMESTAMPADD(MICROSECOND, d.captured_at, TIMESTAMP'1970-01-01 00:00:00'), TRUE, s.origin
FROM pending AS d
CROSS JOIN changecapture_site AS s
WHERE d.operation IN ('D', 'd')
  AND NOT EXISTS (SELECT 1 FROM pending AS q
                  WHERE q.operation NOT IN ('D', 'd') AND q.identity = d.identity)
