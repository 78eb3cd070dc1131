"""Records: rows in a file, for the exchange by hand (``changecapture export`` and ``import``).

A record is a row as it is merged: its key, its values as they travel, references as the keys of the rows that
they name, and who wrote it when. The same in three forms: XML (xml.py, valid against export.xsd), JSON lines
(lines.py), CSV, one file a table (sheets.py). A file may be edited by hand, or written by hand: then it has
no head, and its records no stamps. ``decide`` says what a record means here: what the merge would say.
"""
