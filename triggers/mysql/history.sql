-- History of one table, for people: every row, live or deleted, with changed_at, deleted and origin.
-- Twin: ../postgresql/history.sql. It reads captured too, so it is true at once, without the relay.

-- statement: history_view
-- A row that was deleted and inserted again under another local number is shown once, live.
CREATE OR REPLACE DEFINER = {{definer}} SQL SECURITY DEFINER VIEW {{view}} ({{declarations}}) AS
WITH pending AS (
    SELECT c.`key`, c.operation, c.image, c.captured_at, {{pending_identity}} AS identity
    FROM changecapture_captured AS c
    JOIN (SELECT MAX(id) AS id FROM changecapture_captured
          WHERE table_id = {{table_id}} GROUP BY `key`) AS latest ON latest.id = c.id
)
SELECT {{live_columns}},
       TIMESTAMPADD(MICROSECOND, COALESCE(p.captured_at, v.stamp), TIMESTAMP'1970-01-01 00:00:00'),
       {{flagged}},
       IF(p.`key` IS NULL, v.origin, s.origin)
FROM {{table}} AS t
CROSS JOIN changecapture_site AS s
LEFT JOIN pending AS p ON p.`key` = {{row_key}}
LEFT JOIN changecapture_row_version AS v
       ON v.table_name = {{wire}} AND v.row_key = {{identity}}
UNION ALL
SELECT {{image_columns}},
       TIMESTAMPADD(MICROSECOND, d.deleted_at, TIMESTAMP'1970-01-01 00:00:00'), TRUE, d.origin
FROM changecapture_deleted_row AS d
WHERE d.table_name = {{wire}}
  AND NOT EXISTS (SELECT 1 FROM pending AS q
                  WHERE q.operation NOT IN ('D', 'd') AND q.identity = d.row_key)
UNION ALL
SELECT {{image_columns}},
       TIMESTAMPADD(MICROSECOND, d.captured_at, TIMESTAMP'1970-01-01 00:00:00'), TRUE, s.origin
FROM pending AS d
CROSS JOIN changecapture_site AS s
WHERE d.operation IN ('D', 'd')
  AND NOT EXISTS (SELECT 1 FROM pending AS q
                  WHERE q.operation NOT IN ('D', 'd') AND q.identity = d.identity)
