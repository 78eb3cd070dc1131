"""What the page shows, as data: read from a store in one go, joined with what the relay knows.

One noun a file. Times are microseconds since 1970 UTC by the database's clock, ``now`` too.
"""
