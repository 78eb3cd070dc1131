CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_2_insert_a7d2b5bd` AFTER INSERT ON `gis_location` FOR EACH ROW
BEGIN
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR 1021, 1114 RESIGNAL;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET /*!80000 STACKED */ DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'gis_location')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'gis_location');
            CALL `changecapture_miss_c29728d3`('gis_location', 'I', reason);
        END IF;
    END;
    IF NOT IFNULL(@changecapture_applying, 0) THEN
        INSERT INTO changecapture_captured
            (table_id, operation, `key`, transaction_id, captured_at)
        VALUES (2, 'I', CONCAT('[', IFNULL(NEW.`id`, 'null'), ',', IFNULL(JSON_QUOTE(NEW.`uuid`), 'null'), ']'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
    END IF;
END;

CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_2_update_a7d2b5bd` AFTER UPDATE ON `gis_location` FOR EACH ROW
BEGIN
    DECLARE changed LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT '';
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR 1021, 1114 RESIGNAL;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET /*!80000 STACKED */ DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'gis_location')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'gis_location');
            CALL `changecapture_miss_c29728d3`('gis_location', 'U', reason);
        END IF;
    END;
    IF NOT IFNULL(@changecapture_applying, 0) THEN
        IF NOT (NEW.`name` <=> BINARY OLD.`name`) THEN
            SET changed = CONCAT(changed, ',"name":', IFNULL(JSON_QUOTE(NEW.`name`), 'null'));
        END IF;
        IF NOT (NEW.`level` <=> BINARY OLD.`level`) THEN
            SET changed = CONCAT(changed, ',"level":', IFNULL(JSON_QUOTE(NEW.`level`), 'null'));
        END IF;
        IF NOT (NEW.`parent` <=> OLD.`parent`) THEN
            SET changed = CONCAT(changed, ',"parent":', IFNULL(NEW.`parent`, 'null'));
        END IF;
        IF NOT (NEW.`gis_feature_type` <=> OLD.`gis_feature_type`) THEN
            SET changed = CONCAT(changed, ',"gis_feature_type":', IFNULL(NEW.`gis_feature_type`, 'null'));
        END IF;
        IF NOT (NEW.`lat` <=> OLD.`lat`) THEN
            SET changed = CONCAT(changed, ',"lat":', IFNULL(CAST(NEW.`lat` AS CHAR), 'null'));
        END IF;
        IF NOT (NEW.`lon` <=> OLD.`lon`) THEN
            SET changed = CONCAT(changed, ',"lon":', IFNULL(CAST(NEW.`lon` AS CHAR), 'null'));
        END IF;
        IF NOT (NEW.`radius` <=> OLD.`radius`) THEN
            SET changed = CONCAT(changed, ',"radius":', IFNULL(CAST(NEW.`radius` AS CHAR), 'null'));
        END IF;
        IF NOT (NEW.`wkt` <=> BINARY OLD.`wkt`) THEN
            SET changed = CONCAT(changed, ',"wkt":', IFNULL(JSON_QUOTE(NEW.`wkt`), 'null'));
        END IF;
        IF NOT (NEW.`inherited` <=> BINARY OLD.`inherited`) THEN
            SET changed = CONCAT(changed, ',"inherited":', IFNULL(JSON_QUOTE(NEW.`inherited`), 'null'));
        END IF;
        IF NOT (NEW.`lat_min` <=> OLD.`lat_min`) THEN
            SET changed = CONCAT(changed, ',"lat_min":', IFNULL(CAST(NEW.`lat_min` AS CHAR), 'null'));
        END IF;
        IF NOT (NEW.`lat_max` <=> OLD.`lat_max`) THEN
            SET changed = CONCAT(changed, ',"lat_max":', IFNULL(CAST(NEW.`lat_max` AS CHAR), 'null'));
        END IF;
        IF NOT (NEW.`lon_min` <=> OLD.`lon_min`) THEN
            SET changed = CONCAT(changed, ',"lon_min":', IFNULL(CAST(NEW.`lon_min` AS CHAR), 'null'));
        END IF;
        IF NOT (NEW.`lon_max` <=> OLD.`lon_max`) THEN
            SET changed = CONCAT(changed, ',"lon_max":', IFNULL(CAST(NEW.`lon_max` AS CHAR), 'null'));
        END IF;
        IF NOT (NEW.`elevation` <=> OLD.`elevation`) THEN
            SET changed = CONCAT(changed, ',"elevation":', IFNULL(CAST(NEW.`elevation` AS CHAR), 'null'));
        END IF;
        IF NOT (NEW.`addr_street` <=> BINARY OLD.`addr_street`) THEN
            SET changed = CONCAT(changed, ',"addr_street":', IFNULL(JSON_QUOTE(NEW.`addr_street`), 'null'));
        END IF;
        IF NOT (NEW.`addr_postcode` <=> BINARY OLD.`addr_postcode`) THEN
            SET changed = CONCAT(changed, ',"addr_postcode":', IFNULL(JSON_QUOTE(NEW.`addr_postcode`), 'null'));
        END IF;
        IF NOT (NEW.`start_date` <=> OLD.`start_date`) THEN
            SET changed = CONCAT(changed, ',"start_date":', IFNULL(CONCAT('"', NEW.`start_date`, '"'), 'null'));
        END IF;
        IF NOT (NEW.`end_date` <=> OLD.`end_date`) THEN
            SET changed = CONCAT(changed, ',"end_date":', IFNULL(CONCAT('"', NEW.`end_date`, '"'), 'null'));
        END IF;
        IF NOT (NEW.`comments` <=> BINARY OLD.`comments`) THEN
            SET changed = CONCAT(changed, ',"comments":', IFNULL(JSON_QUOTE(NEW.`comments`), 'null'));
        END IF;
        IF NOT (NEW.`l5` <=> BINARY OLD.`l5`) THEN
            SET changed = CONCAT(changed, ',"l5":', IFNULL(JSON_QUOTE(NEW.`l5`), 'null'));
        END IF;
        IF NOT (NEW.`l4` <=> BINARY OLD.`l4`) THEN
            SET changed = CONCAT(changed, ',"l4":', IFNULL(JSON_QUOTE(NEW.`l4`), 'null'));
        END IF;
        IF NOT (NEW.`l3` <=> BINARY OLD.`l3`) THEN
            SET changed = CONCAT(changed, ',"l3":', IFNULL(JSON_QUOTE(NEW.`l3`), 'null'));
        END IF;
        IF NOT (NEW.`l2` <=> BINARY OLD.`l2`) THEN
            SET changed = CONCAT(changed, ',"l2":', IFNULL(JSON_QUOTE(NEW.`l2`), 'null'));
        END IF;
        IF NOT (NEW.`l1` <=> BINARY OLD.`l1`) THEN
            SET changed = CONCAT(changed, ',"l1":', IFNULL(JSON_QUOTE(NEW.`l1`), 'null'));
        END IF;
        IF NOT (NEW.`l0` <=> BINARY OLD.`l0`) THEN
            SET changed = CONCAT(changed, ',"l0":', IFNULL(JSON_QUOTE(NEW.`l0`), 'null'));
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
            VALUES (2, 'U', CONCAT('[', IFNULL(NEW.`id`, 'null'), ',', IFNULL(JSON_QUOTE(NEW.`uuid`), 'null'), ']'), CONCAT('[', IFNULL(OLD.`id`, 'null'), ',', IFNULL(JSON_QUOTE(OLD.`uuid`), 'null'), ']'),
                    CONCAT('{', SUBSTRING(changed, 2), '}'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
        ELSEIF changed <> '' THEN
            INSERT INTO changecapture_captured
                (table_id, operation, `key`, changed, transaction_id, captured_at)
            VALUES (2, 'U', CONCAT('[', IFNULL(NEW.`id`, 'null'), ',', IFNULL(JSON_QUOTE(NEW.`uuid`), 'null'), ']'),
                    CONCAT('{', SUBSTRING(changed, 2), '}'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
        END IF;
    END IF;
END;

CREATE DEFINER = `changecapture`@`localhost` TRIGGER `changecapture_2_delete_a7d2b5bd` AFTER DELETE ON `gis_location` FOR EACH ROW
BEGIN
    DECLARE EXIT HANDLER FOR 1205, 1206, 1213, 1317 RESIGNAL;
    DECLARE EXIT HANDLER FOR SQLEXCEPTION
    BEGIN
        DECLARE reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
        DECLARE EXIT HANDLER FOR 1021, 1114 RESIGNAL;
        DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN END;
        GET /*!80000 STACKED */ DIAGNOSTICS CONDITION 1 reason = MESSAGE_TEXT;
        IF NOT (@changecapture_missed <=> CONCAT(UNIX_TIMESTAMP(), 'gis_location')) THEN
            SET @changecapture_missed = CONCAT(UNIX_TIMESTAMP(), 'gis_location');
            CALL `changecapture_miss_c29728d3`('gis_location', 'D', reason);
        END IF;
    END;
    IF NOT IFNULL(@changecapture_applying, 0) THEN
        INSERT INTO changecapture_captured
            (table_id, operation, `key`, image, transaction_id, captured_at)
        VALUES (2, 'D', CONCAT('[', IFNULL(OLD.`id`, 'null'), ',', IFNULL(JSON_QUOTE(OLD.`uuid`), 'null'), ']'), CONCAT('{"id":', IFNULL(OLD.`id`, 'null'), ',"uuid":', IFNULL(JSON_QUOTE(OLD.`uuid`), 'null'), ',"name":', IFNULL(JSON_QUOTE(OLD.`name`), 'null'), ',"level":', IFNULL(JSON_QUOTE(OLD.`level`), 'null'), ',"parent":', IFNULL(OLD.`parent`, 'null'), ',"gis_feature_type":', IFNULL(OLD.`gis_feature_type`, 'null'), ',"lat":', IFNULL(CAST(OLD.`lat` AS CHAR), 'null'), ',"lon":', IFNULL(CAST(OLD.`lon` AS CHAR), 'null'), ',"radius":', IFNULL(CAST(OLD.`radius` AS CHAR), 'null'), ',"wkt":', IFNULL(JSON_QUOTE(OLD.`wkt`), 'null'), ',"inherited":', IFNULL(JSON_QUOTE(OLD.`inherited`), 'null'), ',"lat_min":', IFNULL(CAST(OLD.`lat_min` AS CHAR), 'null'), ',"lat_max":', IFNULL(CAST(OLD.`lat_max` AS CHAR), 'null'), ',"lon_min":', IFNULL(CAST(OLD.`lon_min` AS CHAR), 'null'), ',"lon_max":', IFNULL(CAST(OLD.`lon_max` AS CHAR), 'null'), ',"elevation":', IFNULL(CAST(OLD.`elevation` AS CHAR), 'null'), ',"addr_street":', IFNULL(JSON_QUOTE(OLD.`addr_street`), 'null'), ',"addr_postcode":', IFNULL(JSON_QUOTE(OLD.`addr_postcode`), 'null'), ',"start_date":', IFNULL(CONCAT('"', OLD.`start_date`, '"'), 'null'), ',"end_date":', IFNULL(CONCAT('"', OLD.`end_date`, '"'), 'null'), ',"comments":', IFNULL(JSON_QUOTE(OLD.`comments`), 'null'), ',"l5":', IFNULL(JSON_QUOTE(OLD.`l5`), 'null'), ',"l4":', IFNULL(JSON_QUOTE(OLD.`l4`), 'null'), ',"l3":', IFNULL(JSON_QUOTE(OLD.`l3`), 'null'), ',"l2":', IFNULL(JSON_QUOTE(OLD.`l2`), 'null'), ',"l1":', IFNULL(JSON_QUOTE(OLD.`l1`), 'null'), ',"l0":', IFNULL(JSON_QUOTE(OLD.`l0`), 'null'), ',"created_on":', IFNULL(CONCAT('"', REPLACE(OLD.`created_on`, ' ', 'T'), '"'), 'null'), ',"modified_on":', IFNULL(CONCAT('"', REPLACE(OLD.`modified_on`, ' ', 'T'), '"'), 'null'), '}'), CONNECTION_ID(), TIMESTAMPDIFF(MICROSECOND, TIMESTAMP'1970-01-01 00:00:00', UTC_TIMESTAMP(6)) + TIMESTAMPDIFF(MICROSECOND, NOW(6), SYSDATE(6)));
    END IF;
END;

CREATE OR REPLACE DEFINER = `changecapture`@`localhost` SQL SECURITY DEFINER VIEW `changecapture_gis_location_history` (`id`, `uuid`, `name`, `level`, `parent`, `gis_feature_type`, `lat`, `lon`, `radius`, `wkt`, `inherited`, `lat_min`, `lat_max`, `lon_min`, `lon_max`, `elevation`, `addr_street`, `addr_postcode`, `start_date`, `end_date`, `comments`, `l5`, `l4`, `l3`, `l2`, `l1`, `l0`, `created_on`, `modified_on`, `changed_at`, `deleted`, `origin`) AS
WITH pending AS (
    SELECT c.`key`, c.operation, c.image, c.captured_at, CONVERT(JSON_VALUE(c.`key`, '$[1]') USING utf8mb4) COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */ AS identity
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
LEFT JOIN pending AS p ON p.`key` = CONCAT('[', IFNULL(t.`id`, 'null'), ',', IFNULL(JSON_QUOTE(t.`uuid`), 'null'), ']')
LEFT JOIN changecapture_row_version AS v
       ON v.table_name = 'gis_location' AND v.row_key = CONVERT(t.`uuid` USING utf8mb4) COLLATE /*M!100203 utf8mb4_nopad_bin *//*!80017 utf8mb4_0900_bin */
UNION ALL
SELECT JSON_VALUE(d.image, '$."id"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."uuid"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."name"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."level"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."parent"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."gis_feature_type"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."lat"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."lon"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."radius"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."wkt"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."inherited"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."lat_min"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."lat_max"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."lon_min"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."lon_max"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."elevation"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."addr_street"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."addr_postcode"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."start_date"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."end_date"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."comments"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."l5"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."l4"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."l3"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."l2"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."l1"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."l0"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."created_on"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."modified_on"') COLLATE utf8mb4_bin,
       TIMESTAMPADD(MICROSECOND, d.deleted_at, TIMESTAMP'1970-01-01 00:00:00'), TRUE, d.origin
FROM changecapture_deleted_row AS d
WHERE d.table_name = 'gis_location'
  AND NOT EXISTS (SELECT 1 FROM pending AS q
                  WHERE q.operation NOT IN ('D', 'd') AND q.identity = d.row_key)
UNION ALL
SELECT JSON_VALUE(d.image, '$."id"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."uuid"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."name"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."level"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."parent"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."gis_feature_type"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."lat"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."lon"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."radius"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."wkt"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."inherited"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."lat_min"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."lat_max"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."lon_min"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."lon_max"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."elevation"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."addr_street"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."addr_postcode"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."start_date"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."end_date"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."comments"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."l5"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."l4"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."l3"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."l2"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."l1"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."l0"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."created_on"') COLLATE utf8mb4_bin, JSON_VALUE(d.image, '$."modified_on"') COLLATE utf8mb4_bin,
       TIMESTAMPADD(MICROSECOND, d.captured_at, TIMESTAMP'1970-01-01 00:00:00'), TRUE, s.origin
FROM pending AS d
CROSS JOIN changecapture_site AS s
WHERE d.operation IN ('D', 'd')
  AND NOT EXISTS (SELECT 1 FROM pending AS q
                  WHERE q.operation NOT IN ('D', 'd') AND q.identity = d.identity)
