-- Conflicts are found by their row: an entry that decides one settles it.

-- statement: conflict_row
CREATE INDEX IF NOT EXISTS conflict_row ON changecapture.conflict (table_name, row_key)
