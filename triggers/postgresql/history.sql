-- History of one table, for people: every row, live or deleted, with changed_at, deleted and origin.
-- Twin: ../mysql/history.sql. It reads captured too, so it is true at once, without the relay.
-- The view stands on a function, whose body PostgreSQL does not track: a view on the table itself
-- would forbid the application to drop or retype a column.

-- statement: history_function
-- postgresql only: see above.
CREATE OR REPLACE FUNCTION {{function}}() RETURNS TABLE ({{declarations}})
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $history$
    WITH pending AS (
        SELECT DISTINCT ON (key) key, operation, image, captured_at
        FROM changecapture.captured
        WHERE table_id = {{table_id}}
        ORDER BY key, id DESC
    )
    SELECT {{live_columns}},
           to_timestamp(coalesce(p.captured_at, v.stamp) / 1e6),
           {{flagged}},
           CASE WHEN p.key IS NULL THEN v.origin ELSE s.origin END::text
    FROM {{table}} AS t
    CROSS JOIN changecapture.site AS s
    LEFT JOIN pending AS p ON p.key = {{row_key}}
    LEFT JOIN changecapture.row_version AS v
           ON v.table_name = {{wire}} AND v.row_key = {{identity}}
    UNION ALL
    SELECT {{image_columns}},
           to_timestamp(d.deleted_at / 1e6), true, d.origin::text
    FROM changecapture.deleted_row AS d
    CROSS JOIN LATERAL jsonb_populate_record(NULL::{{table}}, d.image::jsonb) AS t
    WHERE d.table_name = {{wire}}
    UNION ALL
    SELECT {{image_columns}},
           to_timestamp(p.captured_at / 1e6), true, s.origin::text
    FROM pending AS p
    CROSS JOIN changecapture.site AS s
    CROSS JOIN LATERAL jsonb_populate_record(NULL::{{table}}, p.image::jsonb) AS t
    WHERE p.operation = 'D'
$history$

-- statement: history_view
CREATE OR REPLACE VIEW {{view}} AS SELECT * FROM {{function}}()
