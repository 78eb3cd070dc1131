-- What a PostgreSQL database says about the application's own tables, in few set-based reads.
-- Mirrors mysql.sql: the same statements in the same order with the same columns. All names come
-- from pg_catalog (information_schema is slow and shows less). Only tables of current_schema();
-- ours stand in a schema of their own. Left out: partitions (their parent stands for them) and
-- tables that belong to an extension.

-- statement: server
-- Who answers. Columns: database, schema (NULL when search_path names none), version text.
SELECT current_database()::text, current_schema()::text, version()

-- statement: tables
-- The base tables. Columns: table, storage engine, collation (both empty here), whether others
-- inherit it (partitions are no heirs).
SELECT c.relname::text, '', '',
  c.relkind = 'r' AND EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema()
  AND c.relkind IN ('r', 'p')
  AND NOT c.relispartition
  AND NOT EXISTS (
    SELECT FROM pg_depend d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  )
ORDER BY c.relname

-- statement: columns
-- Their columns in order. Columns: table, column, full type, bare type, nullable, default,
-- extra ('identity', 'generated' or ''), length in characters, character set and collation (none
-- here).
-- A domain is told by the bare type under it.
SELECT
  c.relname::text,
  a.attname::text,
  format_type(a.atttypid, a.atttypmod),
  coalesce(b.typname, t.typname)::text,
  NOT (a.attnotnull OR t.typnotnull),
  pg_get_expr(d.adbin, d.adrelid),
  CASE
    WHEN a.attidentity <> '' THEN 'identity'
    WHEN a.attgenerated <> '' THEN 'generated'
    ELSE ''
  END,
  CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4 THEN a.atttypmod - 4 END,
  NULL,
  NULL
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd'
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p')
ORDER BY c.relname, a.attnum

-- statement: keys
-- Primary keys and unique indexes that cover the whole table: valid, not partial, no
-- expression; columns of INCLUDE are not part of the key. One line a key column, in order.
-- Columns: table, index, is primary, column.
SELECT c.relname::text, x.relname::text, i.indisprimary, a.attname::text
FROM pg_index i
JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_class x ON x.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (number, place)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
WHERE n.nspname = current_schema()
  AND i.indisunique
  AND i.indisvalid
  AND i.indpred IS NULL
  AND i.indexprs IS NULL
  AND k.place <= i.indnkeyatts
ORDER BY c.relname, x.relname, k.place

-- statement: foreign_keys
-- One line a column of a foreign key, in order. A target in another schema is spelled
-- schema.table: it is none of the catalogue's tables. Columns: table, constraint, column,
-- target, target column, on delete, on update.
SELECT
  c.relname::text,
  k.conname::text,
  a.attname::text,
  CASE WHEN p.relnamespace = c.relnamespace THEN p.relname::text
       ELSE pn.nspname || '.' || p.relname END,
  pa.attname::text,
  k.confdeltype::text,
  k.confupdtype::text
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class p ON p.oid = k.confrelid
JOIN pg_namespace pn ON pn.oid = p.relnamespace
CROSS JOIN LATERAL unnest(k.conkey, k.confkey) WITH ORDINALITY AS u (here, there, place)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.here
JOIN pg_attribute pa ON pa.attrelid = p.oid AND pa.attnum = u.there
WHERE n.nspname = current_schema() AND k.contype = 'f' AND k.conparentid = 0
ORDER BY c.relname, k.conname, u.place
