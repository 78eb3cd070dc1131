CREATE OR REPLACE FUNCTION changecapture.capture_1_699e8715() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $changecapture$
BEGIN
    IF current_setting('changecapture.applying', true) = 'on' THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO changecapture.captured
                (table_id, operation, key, transaction_id, captured_at)
            VALUES (1, 'I', '[' || coalesce(NEW."id"::text, 'null') || ',' || coalesce(to_json(NEW."uuid"::text)::text, 'null') || ']', txid_current(), (date_part('epoch', clock_timestamp()) * 1000000)::bigint);
        ELSIF TG_OP = 'DELETE' THEN
            INSERT INTO changecapture.captured
                (table_id, operation, key, image, transaction_id, captured_at)
            VALUES (1, 'D', '[' || coalesce(OLD."id"::text, 'null') || ',' || coalesce(to_json(OLD."uuid"::text)::text, 'null') || ']', row_to_json(OLD)::text, txid_current(), (date_part('epoch', clock_timestamp()) * 1000000)::bigint);
        ELSE
            DECLARE
                changed jsonb := '{}';
                new_key text := '[' || coalesce(NEW."id"::text, 'null') || ',' || coalesce(to_json(NEW."uuid"::text)::text, 'null') || ']';
                old_key text := '[' || coalesce(OLD."id"::text, 'null') || ',' || coalesce(to_json(OLD."uuid"::text)::text, 'null') || ']';
            BEGIN
                IF NEW."pe_id" IS DISTINCT FROM OLD."pe_id" THEN
                    changed := changed || jsonb_build_object('pe_id', NEW."pe_id");
                END IF;
                IF NEW."track_id" IS DISTINCT FROM OLD."track_id" THEN
                    changed := changed || jsonb_build_object('track_id', NEW."track_id");
                END IF;
                IF NEW."location_id" IS DISTINCT FROM OLD."location_id" THEN
                    changed := changed || jsonb_build_object('location_id', NEW."location_id");
                END IF;
                IF NEW."pe_label"::text IS DISTINCT FROM OLD."pe_label"::text THEN
                    changed := changed || jsonb_build_object('pe_label', NEW."pe_label"::text);
                END IF;
                IF NEW."first_name"::text IS DISTINCT FROM OLD."first_name"::text THEN
                    changed := changed || jsonb_build_object('first_name', NEW."first_name"::text);
                END IF;
                IF NEW."middle_name"::text IS DISTINCT FROM OLD."middle_name"::text THEN
                    changed := changed || jsonb_build_object('middle_name', NEW."middle_name"::text);
                END IF;
                IF NEW."last_name"::text IS DISTINCT FROM OLD."last_name"::text THEN
                    changed := changed || jsonb_build_object('last_name', NEW."last_name"::text);
                END IF;
                IF NEW."gender" IS DISTINCT FROM OLD."gender" THEN
                    changed := changed || jsonb_build_object('gender', NEW."gender");
                END IF;
                IF NEW."date_of_birth" IS DISTINCT FROM OLD."date_of_birth" THEN
                    changed := changed || jsonb_build_object('date_of_birth', NEW."date_of_birth");
                END IF;
                IF NEW."comments" IS DISTINCT FROM OLD."comments" THEN
                    changed := changed || jsonb_build_object('comments', NEW."comments"::text);
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
                    VALUES (1, 'U', new_key, nullif(old_key, new_key), changed::text,
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
                   IS DISTINCT FROM concat(date_trunc('second', statement_timestamp()), 'pr_person') THEN
                    PERFORM set_config('changecapture.missed',
                        concat(date_trunc('second', statement_timestamp()), 'pr_person'), true);
                    INSERT INTO changecapture.missed (table_name, operation, reason, missed_at)
                    VALUES ('pr_person', left(TG_OP, 1), SQLERRM, (date_part('epoch', clock_timestamp()) * 1000000)::bigint);
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

CREATE OR REPLACE FUNCTION changecapture.capture_1_699e8715_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $changecapture$
BEGIN
    BEGIN
        IF current_setting('changecapture.applying', true) IS DISTINCT FROM 'on' THEN
            INSERT INTO changecapture.captured
                (table_id, operation, key, image, transaction_id, captured_at)
            SELECT 1, 'D', '[' || coalesce(t."id"::text, 'null') || ',' || coalesce(to_json(t."uuid"::text)::text, 'null') || ']', row_to_json(t.*)::text, txid_current(), (date_part('epoch', clock_timestamp()) * 1000000)::bigint
            FROM "public"."pr_person" AS t;
        END IF;
    EXCEPTION
        WHEN serialization_failure THEN
            RAISE;
        WHEN OTHERS THEN
            BEGIN
                IF current_setting('changecapture.missed', true)
                   IS DISTINCT FROM concat(date_trunc('second', statement_timestamp()), 'pr_person') THEN
                    PERFORM set_config('changecapture.missed',
                        concat(date_trunc('second', statement_timestamp()), 'pr_person'), true);
                    INSERT INTO changecapture.missed (table_name, operation, reason, missed_at)
                    VALUES ('pr_person', left(TG_OP, 1), SQLERRM, (date_part('epoch', clock_timestamp()) * 1000000)::bigint);
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

CREATE TRIGGER "00_changecapture_1_699e8715" AFTER INSERT OR UPDATE OR DELETE ON "public"."pr_person"
FOR EACH ROW EXECUTE FUNCTION changecapture.capture_1_699e8715();

CREATE TRIGGER "00_changecapture_1_699e8715_truncate" BEFORE TRUNCATE ON "public"."pr_person"
FOR EACH STATEMENT EXECUTE FUNCTION changecapture.capture_1_699e8715_truncate();

CREATE OR REPLACE FUNCTION changecapture."pr_person_history_rows"() RETURNS TABLE ("id" integer, "uuid" character varying(128), "pe_id" integer, "track_id" integer, "location_id" integer, "pe_label" character varying(128), "first_name" character varying(64), "middle_name" character varying(64), "last_name" character varying(64), "gender" integer, "date_of_birth" date, "comments" text, "created_on" timestamp without time zone, "modified_on" timestamp without time zone, "changed_at" timestamptz, "deleted" boolean, "origin" text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $changecapture$
    WITH pending AS (
        SELECT DISTINCT ON (c.key) c.key, c.operation, c.image, c.captured_at,
               c.key::json ->> 1 AS identity
        FROM changecapture.captured AS c
        WHERE table_id = 1
        ORDER BY c.key, c.id DESC
    )
    SELECT t."id", t."uuid", t."pe_id", t."track_id", t."location_id", t."pe_label", t."first_name", t."middle_name", t."last_name", t."gender", t."date_of_birth", t."comments", t."created_on", t."modified_on",
           to_timestamp(coalesce(p.captured_at, v.stamp) / 1e6),
           t."deleted" IS NOT DISTINCT FROM 'T',
           CASE WHEN p.key IS NULL THEN v.origin ELSE s.origin END::text
    FROM "public"."pr_person" AS t
    CROSS JOIN changecapture.site AS s
    LEFT JOIN pending AS p ON p.key = '[' || coalesce(t."id"::text, 'null') || ',' || coalesce(to_json(t."uuid"::text)::text, 'null') || ']'
    LEFT JOIN changecapture.row_version AS v
           ON v.table_name = 'pr_person' AND v.row_key = t."uuid"::text
    UNION ALL
    SELECT t."id", t."uuid", t."pe_id", t."track_id", t."location_id", t."pe_label", t."first_name", t."middle_name", t."last_name", t."gender", t."date_of_birth", t."comments", t."created_on", t."modified_on",
           to_timestamp(d.deleted_at / 1e6), true, d.origin::text
    FROM changecapture.deleted_row AS d
    CROSS JOIN LATERAL json_populate_record(NULL::"public"."pr_person", regexp_replace(d.image, E'(?<!\\\\)((?:\\\\\\\\)*)\\\\u(?:0000|[dD][89aAbB][0-9a-fA-F]{2}(?!\\\\u[dD][c-fC-F])|(?<!\\\\u[dD][89aAbB][0-9a-fA-F]{2}\\\\u)[dD][c-fC-F][0-9a-fA-F]{2})', E'\\1\\\\ufffd', 'g')::json) AS t
    WHERE d.table_name = 'pr_person'
      AND NOT EXISTS (SELECT 1 FROM pending AS q
                      WHERE q.operation <> 'D' AND q.identity = d.row_key)
    UNION ALL
    SELECT t."id", t."uuid", t."pe_id", t."track_id", t."location_id", t."pe_label", t."first_name", t."middle_name", t."last_name", t."gender", t."date_of_birth", t."comments", t."created_on", t."modified_on",
           to_timestamp(p.captured_at / 1e6), true, s.origin::text
    FROM pending AS p
    CROSS JOIN changecapture.site AS s
    CROSS JOIN LATERAL json_populate_record(NULL::"public"."pr_person", regexp_replace(p.image, E'(?<!\\\\)((?:\\\\\\\\)*)\\\\u(?:0000|[dD][89aAbB][0-9a-fA-F]{2}(?!\\\\u[dD][c-fC-F])|(?<!\\\\u[dD][89aAbB][0-9a-fA-F]{2}\\\\u)[dD][c-fC-F][0-9a-fA-F]{2})', E'\\1\\\\ufffd', 'g')::json) AS t
    WHERE p.operation = 'D'
      AND NOT EXISTS (SELECT 1 FROM pending AS q
                      WHERE q.operation <> 'D' AND q.identity = p.identity)
$changecapture$;

CREATE OR REPLACE VIEW changecapture."pr_person_history" AS SELECT * FROM changecapture."pr_person_history_rows"()
