-- Capture of one table: a thin trigger that writes changecapture.captured and nothing else.
-- Twin: ../mysql/capture.sql. Holes: see ../README.md.
-- The trigger's name sorts before the application's, so that what the application's own triggers
-- change afterwards is captured after it. Its name ends in a fingerprint of all that is here.

-- statement: capture
-- postgresql only: one function for all three; MySQL's triggers hold their own body.
-- Reads: the old and the new row. Writes: one row of captured.
-- Silent when: this site's applier is writing; an update changes no column that travels.
-- An image is json, which holds a json column as it stands: jsonb would refuse \u0000 and halves of pairs.
CREATE OR REPLACE FUNCTION {{function}}() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp{{settings}} AS $changecapture$
BEGIN
    IF current_setting('changecapture.applying', true) = 'on' THEN
        RETURN NULL;
    END IF;
    BEGIN
        IF TG_OP = 'INSERT' THEN
            INSERT INTO changecapture.captured
                (table_id, operation, key, transaction_id, captured_at)
            VALUES ({{table_id}}, 'I', {{new_key}}, txid_current(), {{now}});
        ELSIF TG_OP = 'DELETE' THEN
            INSERT INTO changecapture.captured
                (table_id, operation, key, image, transaction_id, captured_at)
            VALUES ({{table_id}}, 'D', {{old_key}}, {{image}}, txid_current(), {{now}});
        ELSE
            DECLARE
                changed jsonb := '{}';
                new_key text := {{new_key}};
                old_key text := {{old_key}};
            BEGIN
{{changes}}
                IF changed <> '{}' OR new_key <> old_key THEN
                    INSERT INTO changecapture.captured
                        (table_id, operation, key, old_key, changed, transaction_id, captured_at)
                    VALUES ({{table_id}}, 'U', new_key, nullif(old_key, new_key), changed::text,
                            txid_current(), {{now}});
                END IF;
            END;
        END IF;
    EXCEPTION
{{unfailing}}
    END;
    RETURN NULL;
END
$changecapture$

-- statement: change
-- One line of {{changes}} for each column that travels.
                IF {{new}} IS DISTINCT FROM {{old}} THEN
                    changed := changed || jsonb_build_object({{name}}, {{value}});
                END IF;

-- statement: row_trigger
-- postgresql only: see capture.
CREATE TRIGGER {{trigger}} AFTER INSERT OR UPDATE OR DELETE ON {{table}}
FOR EACH ROW EXECUTE FUNCTION {{function}}()

-- statement: capture_truncate
-- postgresql only: MySQL has no trigger on TRUNCATE.
-- Reads: the whole table. Writes: one row of captured for each row that goes.
CREATE OR REPLACE FUNCTION {{function}}_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $changecapture$
BEGIN
    BEGIN
        IF current_setting('changecapture.applying', true) IS DISTINCT FROM 'on' THEN
            INSERT INTO changecapture.captured
                (table_id, operation, key, image, transaction_id, captured_at)
            SELECT {{table_id}}, 'D', {{row_key}}, row_to_json(t.*)::text, txid_current(), {{now}}
            FROM {{table}} AS t;
        END IF;
    EXCEPTION
{{unfailing}}
    END;
    RETURN NULL;
END
$changecapture$

-- statement: truncate_trigger
-- postgresql only: MySQL has no trigger on TRUNCATE.
CREATE TRIGGER {{trigger}}_truncate BEFORE TRUNCATE ON {{table}}
FOR EACH STATEMENT EXECUTE FUNCTION {{function}}_truncate()

-- statement: unfailing
-- What {{unfailing}} is: a failure of ours does not become one of the application's statement, it leaves
-- a line in missed, one a second. Passed on: what ends the application's transaction anyway; OTHERS
-- leaves out a cancelled query; and a disk that has no room for that line either: the change would be
-- missing unsaid. The subtransaction of each row was measured, see ARCHITECTURE.md.
WHEN serialization_failure THEN
    RAISE;
WHEN OTHERS THEN
    BEGIN
        IF current_setting('changecapture.missed', true)
           IS DISTINCT FROM concat(date_trunc('second', statement_timestamp()), {{name}}) THEN
            PERFORM set_config('changecapture.missed',
                concat(date_trunc('second', statement_timestamp()), {{name}}), true);
            INSERT INTO changecapture.missed (table_name, operation, reason, missed_at)
            VALUES ({{name}}, {{operation}}, SQLERRM, {{now}});
        END IF;
    EXCEPTION
        WHEN disk_full THEN
            RAISE;
        WHEN OTHERS THEN
            NULL;
    END;
