"""The SQL that is installed in the application's database: the current truth, per dialect."""
