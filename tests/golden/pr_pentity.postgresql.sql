CREATE OR REPLACE FUNCTION changecapture.capture_3_39e1361c() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $changecapture$
BEGIN
    IF current_setting('changecapture.applying', true) = 'on' THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO changecapture.captured
                (table_id, operation, key, transaction_id, captured_at)
            VALUES (3, 'I', '[' || coalesce(NEW."pe_id"::text, 'null') || ',' || coalesce(to_json(NEW."uuid"::text)::text, 'null') || ']', txid_current(), (date_part('epoch', clock_timestamp()) * 1000000)::bigint);
        ELSIF TG_OP = 'DELETE' THEN
            INSERT INTO changecapture.captured
                (table_id, operation, key, image, transaction_id, captured_at)
            VALUES (3, 'D', '[' || coalesce(OLD."pe_id"::text, 'null') || ',' || coalesce(to_json(OLD."uuid"::text)::text, 'null') || ']', row_to_json(OLD)::text, txid_current(), (date_part('epoch', clock_timestamp()) * 1000000)::bigint);
        ELSE
            DECLARE
                changed jsonb := '{}';
                new_key text := '[' || coalesce(NEW."pe_id"::text, 'null') || ',' || coalesce(to_json(NEW."uuid"::text)::text, 'null') || ']';
                old_key text := '[' || coalesce(OLD."pe_id"::text, 'null') || ',' || coalesce(to_json(OLD."uuid"::text)::text, 'null') || ']';
            BEGIN
                IF NEW."instance_type"::text IS DISTINCT FROM OLD."instance_type"::text THEN
                    changed := changed || jsonb_build_object('instance_type', NEW."instance_type"::text);
                END IF;
                IF NEW."type"::text IS DISTINCT FROM OLD."type"::text THEN
                    changed := changed || jsonb_build_object('type', NEW."type"::text);
                END IF;
                IF NEW."pe_label"::text IS DISTINCT FROM OLD."pe_label"::text THEN
                    changed := changed || jsonb_build_object('pe_label', NEW."pe_label"::text);
                END IF;
                IF NEW."deleted" IS DISTINCT FROM OLD."deleted" THEN
                    changed := changed || jsonb_build_object('deleted', NEW."deleted"::text);
                END IF;
                IF changed <> '{}' OR new_key <> old_key THEN
                    INSERT INTO changecapture.captured
                        (table_id, operation, key, old_key, changed, transaction_id, captured_at)
                    VALUES (3, 'U', new_key, nullif(old_key, new_key), changed::text,
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
                   IS DISTINCT FROM concat(date_trunc('second', statement_timestamp()), 'pr_pentity') THEN
                    PERFORM set_config('changecapture.missed',
                        concat(date_trunc('second', statement_timestamp()), 'pr_pentity'), true);
                    INSERT INTO changecapture.missed (table_name, operation, reason, missed_at)
                    VALUES ('pr_pentity', left(TG_OP, 1), SQLERRM, (date_part('epoch', clock_timestamp()) * 1000000)::bigint);
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

CREATE OR REPLACE FUNCTION changecapture.capture_3_39e1361c_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $changecapture$
BEGIN
    BEGIN
        IF current_setting('changecapture.applying', true) IS DISTINCT FROM 'on' THEN
            INSERT INTO changecapture.captured
                (table_id, operation, key, image, transaction_id, captured_at)
            SELECT 3, 'D', '[' || coalesce(t."pe_id"::text, 'null') || ',' || coalesce(to_json(t."uuid"::text)::text, 'null') || ']', row_to_json(t.*)::text, txid_current(), (date_part('epoch', clock_timestamp()) * 1000000)::bigint
            FROM "public"."pr_pentity" AS t;
        END IF;
    EXCEPTION
        WHEN serialization_failure THEN
            RAISE;
        WHEN OTHERS THEN
            BEGIN
                IF current_setting('changecapture.missed', true)
                   IS DISTINCT FROM concat(date_trunc('second', statement_timestamp()), 'pr_pentity') THEN
                    PERFORM set_config('changecapture.missed',
                        concat(date_trunc('second', statement_timestamp()), 'pr_pentity'), true);
                    INSERT INTO changecapture.missed (table_name, operation, reason, missed_at)
                    VALUES ('pr_pentity', left(TG_OP, 1), SQLERRM, (date_part('epoch', clock_timestamp()) * 1000000)::bigint);
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

CREATE TRIGGER "00_changecapture_3_39e1361c" AFTER INSERT OR UPDATE OR DELETE ON "public"."pr_pentity"
FOR EACH ROW EXECUTE FUNCTION changecapture.capture_3_39e1361c();

CREATE TRIGGER "00_changecapture_3_39e1361c_truncate" BEFORE TRUNCATE ON "public"."pr_pentity"
FOR EACH STATEMENT EXECUTE FUNCTION changecapture.capture_3_39e1361c_truncate();

CREATE OR REPLACE FUNCTION changecapture."pr_pentity_history_rows"() RETURNS TABLE ("pe_id" integer, "uuid" character varying(128), "instance_type" character varying(512), "type" character varying(512), "pe_label" character varying(128), "changed_at" timestamptz, "deleted" boolean, "origin" text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $changecapture$
    WITH pending AS (
        SELECT DISTINCT ON (c.key) c.key, c.operation, c.image, c.captured_at,
               c.key::json ->> 1 AS identity
        FROM changecapture.captured AS c
        WHERE table_id = 3
        ORDER BY c.key, c.id DESC
    )
    SELECT t."pe_id", t."uuid", t."instance_type", t."type", t."pe_label",
           to_timestamp(coalesce(p.captured_at, v.stamp) / 1e6),
           t."deleted" IS NOT DISTINCT FROM 'T',
           CASE WHEN p.key IS NULL THEN v.origin ELSE s.origin END::text
    FROM "public"."pr_pentity" AS t
    CROSS JOIN changecapture.site AS s
    LEFT JOIN pending AS p ON p.key = '[' || coalesce(t."pe_id"::text, 'null') || ',' || coalesce(to_json(t."uuid"::text)::text, 'null') || ']'
    LEFT JOIN changecapture.row_version AS v
           ON v.table_name = 'pr_pentity' AND v.row_key = t."uuid"::text
    UNION ALL
    SELECT t."pe_id", t."uuid", t."instance_type", t."type", t."pe_label",
           to_timestamp(d.deleted_at / 1e6), true, d.origin::text
    FROM changecapture.deleted_row AS d
    CROSS JOIN LATERAL json_populate_record(NULL::"public"."pr_pentity", regexp_replace(d.image, E'(?<!\\\\)((?:\\\\\\\\)*)\\\\u(?:0000|[dD][89aAbB][0-9a-fA-F]{2}(?!\\\\u[dD][c-fC-F])|(?<!\\\\u[dD][89aAbB][0-9a-fA-F]{2}\\\\u)[dD][c-fC-F][0-9a-fA-F]{2})', E'\\1\\\\ufffd', 'g')::json) AS t
    WHERE d.table_name = 'pr_pentity'
      AND NOT EXISTS (SELECT 1 FROM pending AS q
                      WHERE q.operation <> 'D' AND q.identity = d.row_key)
    UNION ALL
    SELECT t."pe_id", t."uuid", t."instance_type", t."type", t."pe_label",
           to_timestamp(p.captured_at / 1e6), true, s.origin::text
    FROM pending AS p
    CROSS JOIN changecapture.site AS s
    CROSS JOIN LATERAL json_populate_record(NULL::"public"."pr_pentity", regexp_replace(p.image, E'(?<!\\\\)((?:\\\\\\\\)*)\\\\u(?:0000|[dD][89aAbB][0-9a-fA-F]{2}(?!\\\\u[dD][c-fC-F])|(?<!\\\\u[dD][89aAbB][0-9a-fA-F]{2}\\\\u)[dD][c-fC-F][0-9a-fA-F]{2})', E'\\1\\\\ufffd', 'g')::json) AS t
    WHERE p.operation = 'D'
      AND NOT EXISTS (SELECT 1 FROM pending AS q
                      WHERE q.operation <> 'D' AND q.identity = p.identity)
$changecapture$;

CREATE OR REPLACE VIEW changecapture."pr_pentity_history" AS SELECT * FROM changecapture."pr_pentity_history_rows"()
