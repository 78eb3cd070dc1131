-- What a MySQL or MariaDB database says about the application's own tables, in few set-based reads.
-- Mirrors postgresql.sql: the same statements in the same order with the same columns. Only
-- information_schema is open to an application's account; its views are joined in Python, not
-- here: MariaDB joins them by nested loops. Only tables of database(); ours begin with
-- changecapture_. The prefix is cut off, not LIKEd: NO_BACKSLASH_ESCAPES changes what \_ means.

-- statement: server
-- Who answers. Columns: database (NULL when none is chosen), schema (the same), version text.
SELECT database(), database(), version()

-- statement: tables
-- The base tables. Columns: table, storage engine, collation, whether others inherit it (never here).
SELECT table_name, engine, table_collation, FALSE
FROM information_schema.tables
WHERE table_schema = database()
  AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
  AND left(table_name, 14) <> 'changecapture_'
ORDER BY table_name

-- statement: columns
-- Their columns in order. Columns: table, column, full type, bare type, nullable, default,
-- extra (auto_increment, on update .., .. generated), length, character set, collation.
SELECT
  table_name,
  column_name,
  column_type,
  data_type,
  is_nullable = 'YES',
  column_default,
  extra,
  character_maximum_length,
  character_set_name,
  collation_name
FROM information_schema.columns
WHERE table_schema = database()
ORDER BY table_name, ordinal_position

-- statement: keys
-- Primary keys and unique indexes. One line a key column, in order; the reader drops an index
-- with a prefix or an expression (column NULL) in it. Columns: table, index, is primary, column
-- (NULL when only a part of it is indexed).
SELECT
  table_name,
  index_name,
  index_name = 'PRIMARY',
  CASE WHEN sub_part IS NULL THEN column_name END
FROM information_schema.statistics
WHERE table_schema = database() AND non_unique = 0
ORDER BY table_name, index_name, seq_in_index

-- statement: foreign_keys
-- One line a column of a foreign key, in order. A target in another database is spelled
-- database.table: it is none of the catalogue's tables. Columns: table, constraint, column,
-- target, target column. The actions are in the next statement.
SELECT
  table_name,
  constraint_name,
  column_name,
  CASE WHEN referenced_table_schema = table_schema THEN referenced_table_name
       ELSE concat(referenced_table_schema, '.', referenced_table_name) END,
  referenced_column_name
FROM information_schema.key_column_usage
WHERE table_schema = database() AND referenced_table_name IS NOT NULL
ORDER BY table_name, constraint_name, ordinal_position

-- statement: actions
-- mysql only: what a foreign key does, which PostgreSQL says in foreign_keys.
-- Columns: table, constraint, on delete, on update.
SELECT table_name, constraint_name, delete_rule, update_rule
FROM information_schema.referential_constraints
WHERE constraint_schema = database()
