-- History of one table, for people: every row, live or deleted, with changed_at, deleted and origin.
-- Twin: ../mysql/history.sql. It reads captured too, so it is true at once, without the relay.
-- The view stands on a function, whose body PostgreSQL does not track: a view on the table itself
-- would forbid the application to drop or retype a column.

-- statement: history_function
-- postgresql only: see above.
-- A row that was deleted and inserted again under another local number is shown once, live.
CREATE OR REPLACE FUNCTION {{function}}() RETURNS TABLE ({{declarations}})
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $changecapture$
    WITH pending AS (
        SELECT DISTINCT ON (c.key) c.key, c.operation, c.image, c.captured_at,
               {{pending_identity}} AS identity
        FROM changecapture.captured AS c
        WHERE table_id = {{table_id}}
        ORDER BY c.key, c.id DESC
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
    CROSS JOIN LATERAL json_populate_record(NULL::{{table}}, {{readable_deleted}}) AS t
    WHERE d.table_name = {{wire}}
      AND NOT EXISTS (SELECT 1 FROM pending AS q
                      WHERE q.operation <> 'D' AND q.identity = d.row_key)
    UNION ALL
    SELECT {{image_columns}},
           to_timestamp(p.captured_at / 1e6), true, s.origin::text
    FROM pending AS p
    CROSS JOIN changecapture.site AS s
    CROSS JOIN LATERAL json_populate_record(NULL::{{table}}, {{readable_pending}}) AS t
    WHERE p.operation = 'D'
      AND NOT EXISTS (SELECT 1 FROM pending AS q
                      WHERE q.operation <> 'D' AND q.identity = p.identity)
$changecapture$

-- statement: history_view
CREATE OR REPLACE VIEW {{view}} AS SELECT * FROM {{function}}()
