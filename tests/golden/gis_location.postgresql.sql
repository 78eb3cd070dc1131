CREATE OR REPLACE FUNCTION changecapture.capture_2_47928687() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET extra_float_digits = 1 AS $changecapture$
BEGIN
    IF current_setting('changecapture.applying', true) = 'on' THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO changecapture.captured
                (table_id, operation, key, transaction_id, captured_at)
            VALUES (2, 'I', '[' || coalesce(NEW."id"::text, 'null') || ',' || coalesce(to_json(NEW."uuid"::text)::text, 'null') || ']', txid_current(), (date_part('epoch', clock_timestamp()) * 1000000)::bigint);
        ELSIF TG_OP = 'DELETE' THEN
            INSERT INTO changecapture.captured
                (table_id, operation, key, image, transaction_id, captured_at)
            VALUES (2, 'D', '[' || coalesce(OLD."id"::text, 'null') || ',' || coalesce(to_json(OLD."uuid"::text)::text, 'null') || ']', row_to_json(OLD)::text, txid_current(), (date_part('epoch', clock_timestamp()) * 1000000)::bigint);
        ELSE
            DECLARE
                changed jsonb := '{}';
                new_key text := '[' || coalesce(NEW."id"::text, 'null') || ',' || coalesce(to_json(NEW."uuid"::text)::text, 'null') || ']';
                old_key text := '[' || coalesce(OLD."id"::text, 'null') || ',' || coalesce(to_json(OLD."uuid"::text)::text, 'null') || ']';
            BEGIN
                IF NEW."name"::text IS DISTINCT FROM OLD."name"::text THEN
                    changed := changed || jsonb_build_object('name', NEW."name"::text);
                END IF;
                IF NEW."level"::text IS DISTINCT FROM OLD."level"::text THEN
                    changed := changed || jsonb_build_object('level', NEW."level"::text);
                END IF;
                IF NEW."parent" IS DISTINCT FROM OLD."parent" THEN
                    changed := changed || jsonb_build_object('parent', NEW."parent");
                END IF;
                IF NEW."gis_feature_type" IS DISTINCT FROM OLD."gis_feature_type" THEN
                    changed := changed || jsonb_build_object('gis_feature_type', NEW."gis_feature_type");
                END IF;
                IF NEW."lat" IS DISTINCT FROM OLD."lat" THEN
                    changed := changed || jsonb_build_object('lat', NEW."lat");
                END IF;
                IF NEW."lon" IS DISTINCT FROM OLD."lon" THEN
                    changed := changed || jsonb_build_object('lon', NEW."lon");
                END IF;
                IF NEW."radius" IS DISTINCT FROM OLD."radius" THEN
                    changed := changed || jsonb_build_object('radius', NEW."radius");
                END IF;
                IF NEW."wkt" IS DISTINCT FROM OLD."wkt" THEN
                    changed := changed || jsonb_build_object('wkt', NEW."wkt"::text);
                END IF;
                IF NEW."inherited"::text IS DISTINCT FROM OLD."inherited"::text THEN
                    changed := changed || jsonb_build_object('inherited', NEW."inherited"::text);
                END IF;
                IF NEW."lat_min" IS DISTINCT FROM OLD."lat_min" THEN
                    changed := changed || jsonb_build_object('lat_min', NEW."lat_min");
                END IF;
                IF NEW."lat_max" IS DISTINCT FROM OLD."lat_max" THEN
                    changed := changed || jsonb_build_object('lat_max', NEW."lat_max");
                END IF;
                IF NEW."lon_min" IS DISTINCT FROM OLD."lon_min" THEN
                    changed := changed || jsonb_build_object('lon_min', NEW."lon_min");
                END IF;
                IF NEW."lon_max" IS DISTINCT FROM OLD."lon_max" THEN
                    changed := changed || jsonb_build_object('lon_max', NEW."lon_max");
                END IF;
                IF NEW."elevation" IS DISTINCT FROM OLD."elevation" THEN
                    changed := changed || jsonb_build_object('elevation', NEW."elevation");
                END IF;
                IF NEW."addr_street" IS DISTINCT FROM OLD."addr_street" THEN
                    changed := changed || jsonb_build_object('addr_street', NEW."addr_street"::text);
                END IF;
                IF NEW."addr_postcode"::text IS DISTINCT FROM OLD."addr_postcode"::text THEN
                    changed := changed || jsonb_build_object('addr_postcode', NEW."addr_postcode"::text);
                END IF;
                IF NEW."start_date" IS DISTINCT FROM OLD."start_date" THEN
                    changed := changed || jsonb_build_object('start_date', NEW."start_date");
                END IF;
                IF NEW."end_date" IS DISTINCT FROM OLD."end_date" THEN
                    changed := changed || jsonb_build_object('end_date', NEW."end_date");
                END IF;
                IF NEW."comments" IS DISTINCT FROM OLD."comments" THEN
                    changed := changed || jsonb_build_object('comments', NEW."comments"::text);
                END IF;
                IF NEW."L5"::text IS DISTINCT FROM OLD."L5"::text THEN
                    changed := changed || jsonb_build_object('l5', NEW."L5"::text);
                END IF;
                IF NEW."L4"::text IS DISTINCT FROM OLD."L4"::text THEN
                    changed := changed || jsonb_build_object('l4', NEW."L4"::text);
                END IF;
                IF NEW."L3"::text IS DISTINCT FROM OLD."L3"::text THEN
                    changed := changed || jsonb_build_object('l3', NEW."L3"::text);
                END IF;
                IF NEW."L2"::text IS DISTINCT FROM OLD."L2"::text THEN
                    changed := changed || jsonb_build_object('l2', NEW."L2"::text);
                END IF;
                IF NEW."L1"::text IS DISTINCT FROM OLD."L1"::text THEN
                    changed := changed || jsonb_build_object('l1', NEW."L1"::text);
                END IF;
                IF NEW."L0"::text IS DISTINCT FROM OLD."L0"::text THEN
                    changed := changed || jsonb_build_object('l0', NEW."L0"::text);
                END IF;
                IF NEW."created_on" IS DISTINCT FROM OLD."created_on" THEN
                    changed := changed || jsonb_build_object('created_on', NEW."created_on");
                END IF;
                IF NEW."modified_on" IS DISTINCT FROM OLD."modified_on" THEN
                    changed := changed || jsonb_build_object('modified_on', NEW."modified_on");
                END IF;
                IF NEW."deleted" IS DISTINCT FROM OLD."deleted" THEN
                    changed := changed || jsonb_build_object('deleted', NEW."deleted"::text);
                END IF;
                IF changed <> '{}' OR new_key <> old_key THEN
                    INSERT INTO changecapture.captured
                        (table_id, operation, key, old_key, changed, transaction_id, captured_at)
                    VALUES (2, 'U', new_key, nullif(old_key, new_key), changed::text,
                            txid_current(), (date_part('epoch', clock_timestamp()) * 1000000)::bigint);
                END IF;
            END;
        END IF;
    EXCEPTION
        WHEN serialization_failure THEN
            RAISE;
        WHEN OTHERS THEN
            BEGIN
                IF current_setting('changecapture.missed', true)
                   IS DISTINCT FROM concat(date_trunc('second', statement_timestamp()), 'gis_location') THEN
                    PERFORM set_config('changecapture.missed',
                        concat(date_trunc('second', statement_timestamp()), 'gis_location'), true);
                    INSERT INTO changecapture.missed (table_name, operation, reason, missed_at)
                    VALUES ('gis_location', left(TG_OP, 1), SQLERRM, (date_part('epoch', clock_timestamp()) * 1000000)::bigint);
                END IF;
            EXCEPTION
                WHEN disk_full THEN
                    RAISE;
                WHEN OTHERS THEN
                    NULL;
            END;
    END;
    RETURN NULL;
END
$changecapture$;

CREATE OR REPLACE FUNCTION changecapture.capture_2_47928687_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $changecapture$
BEGIN
    BEGIN
        IF current_setting('changecapture.applying', true) IS DISTINCT FROM 'on' THEN
            INSERT INTO changecapture.captured
                (table_id, operation, key, image, transaction_id, captured_at)
            SELECT 2, 'D', '[' || coalesce(t."id"::text, 'null') || ',' || coalesce(to_json(t."uuid"::text)::text, 'null') || ']', row_to_json(t.*)::text, txid_current(), (date_part('epoch', clock_timestamp()) * 1000000)::bigint
            FROM "public"."gis_location" AS t;
        END IF;
    EXCEPTION
        WHEN serialization_failure THEN
            RAISE;
        WHEN OTHERS THEN
            BEGIN
                IF current_setting('changecapture.missed', true)
                   IS DISTINCT FROM concat(date_trunc('second', statement_timestamp()), 'gis_location') THEN
                    PERFORM set_config('changecapture.missed',
                        concat(date_trunc('second', statement_timestamp()), 'gis_location'), true);
                    INSERT INTO changecapture.missed (table_name, operation, reason, missed_at)
                    VALUES ('gis_location', left(TG_OP, 1), SQLERRM, (date_part('epoch', clock_timestamp()) * 1000000)::bigint);
                END IF;
            EXCEPTION
                WHEN disk_full THEN
                    RAISE;
                WHEN OTHERS THEN
                    NULL;
            END;
    END;
    RETURN NULL;
END
$changecapture$;

CREATE TRIGGER "00_changecapture_2_47928687" AFTER INSERT OR UPDATE OR DELETE ON "public"."gis_location"
FOR EACH ROW EXECUTE FUNCTION changecapture.capture_2_47928687();

CREATE TRIGGER "00_changecapture_2_47928687_truncate" BEFORE TRUNCATE ON "public"."gis_location"
FOR EACH STATEMENT EXECUTE FUNCTION changecapture.capture_2_47928687_truncate();

CREATE OR REPLACE FUNCTION changecapture."gis_location_history_rows"() RETURNS TABLE ("id" integer, "uuid" character varying(128), "name" character varying(128), "level" character varying(2), "parent" integer, "gis_feature_type" integer, "lat" double precision, "lon" double precision, "radius" double precision, "wkt" text, "inherited" character(1), "lat_min" double precision, "lat_max" double precision, "lon_min" double precision, "lon_max" double precision, "elevation" double precision, "addr_street" text, "addr_postcode" character varying(128), "start_date" date, "end_date" date, "comments" text, "L5" character varying(512), "L4" character varying(512), "L3" character varying(512), "L2" character varying(512), "L1" character varying(512), "L0" character varying(512), "created_on" timestamp without time zone, "modified_on" timestamp without time zone, "changed_at" timestamptz, "deleted" boolean, "origin" text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $changecapture$
    WITH pending AS (
        SELECT DISTINCT ON (c.key) c.key, c.operation, c.image, c.captured_at,
               c.key::json ->> 1 AS identity
        FROM changecapture.captured AS c
        WHERE table_id = 2
        ORDER BY c.key, c.id DESC
    )
    SELECT t."id", t."uuid", t."name", t."level", t."parent", t."gis_feature_type", t."lat", t."lon", t."radius", t."wkt", t."inherited", t."lat_min", t."lat_max", t."lon_min", t."lon_max", t."elevation", t."addr_street", t."addr_postcode", t."start_date", t."end_date", t."comments", t."L5", t."L4", t."L3", t."L2", t."L1", t."L0", t."created_on", t."modified_on",
           to_timestamp(coalesce(p.captured_at, v.stamp) / 1e6),
           t."deleted" IS NOT DISTINCT FROM 'T',
           CASE WHEN p.key IS NULL THEN v.origin ELSE s.origin END::text
    FROM "public"."gis_location" AS t
    CROSS JOIN changecapture.site AS s
    LEFT JOIN pending AS p ON p.key = '[' || coalesce(t."id"::text, 'null') || ',' || coalesce(to_json(t."uuid"::text)::text, 'null') || ']'
    LEFT JOIN changecapture.row_version AS v
           ON v.table_name = 'gis_location' AND v.row_key = t."uuid"::text
    UNION ALL
    SELECT t."id", t."uuid", t."name", t."level", t."parent", t."gis_feature_type", t."lat", t."lon", t."radius", t."wkt", t."inherited", t."lat_min", t."lat_max", t."lon_min", t."lon_max", t."elevation", t."addr_street", t."addr_postcode", t."start_date", t."end_date", t."comments", t."L5", t."L4", t."L3", t."L2", t."L1", t."L0", t."created_on", t."modified_on",
           to_timestamp(d.deleted_at / 1e6), true, d.origin::text
    FROM changecapture.deleted_row AS d
    CROSS JOIN LATERAL json_populate_record(NULL::"public"."gis_location", regexp_replace(d.image, E'(?<!\\\\)((?:\\\\\\\\)*)\\\\u(?:0000|[dD][89aAbB][0-9a-fA-F]{2}(?!\\\\u[dD][c-fC-F])|(?<!\\\\u[dD][89aAbB][0-9a-fA-F]{2}\\\\u)[dD][c-fC-F][0-9a-fA-F]{2})', E'\\1\\\\ufffd', 'g')::json) AS t
    WHERE d.table_name = 'gis_location'
      AND NOT EXISTS (SELECT 1 FROM pending AS q
                      WHERE q.operation <> 'D' AND q.identity = d.row_key)
    UNION ALL
    SELECT t."id", t."uuid", t."name", t."level", t."parent", t."gis_feature_type", t."lat", t."lon", t."radius", t."wkt", t."inherited", t."lat_min", t."lat_max", t."lon_min", t."lon_max", t."elevation", t."addr_street", t."addr_postcode", t."start_date", t."end_date", t."comments", t."L5", t."L4", t."L3", t."L2", t."L1", t."L0", t."created_on", t."modified_on",
           to_timestamp(p.captured_at / 1e6), true, s.origin::text
    FROM pending AS p
    CROSS JOIN changecapture.site AS s
    CROSS JOIN LATERAL json_populate_record(NULL::"public"."gis_location", regexp_replace(p.image, E'(?<!\\\\)((?:\\\\\\\\)*)\\\\u(?:0000|[dD][89aAbB][0-9a-fA-F]{2}(?!\\\\u[dD][c-fC-F])|(?<!\\\\u[dD][89aAbB][0-9a-fA-F]{2}\\\\u)[dD][c-fC-F][0-9a-fA-F]{2})', E'\\1\\\\ufffd', 'g')::json) AS t
    WHERE p.operation = 'D'
      AND NOT EXISTS (SELECT 1 FROM pending AS q
                      WHERE q.operation <> 'D' AND q.identity = p.identity)
$changecapture$;

CREATE OR REPLACE VIEW changecapture."gis_location_history" AS SELECT * FROM changecapture."gis_location_history_rows"()
