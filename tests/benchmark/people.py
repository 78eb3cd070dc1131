"""Persons with contacts, as many as one likes: the same rows for every database, as tab-separated text.

Three rows a person, as Eden leaves them: pr_pentity, pr_person, pr_contact. The text is what both COPY
and LOAD DATA read.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.databases import connect_mysql, connect_postgresql, dialect_of

COLUMNS = {
    "pr_pentity": "pe_id, uuid, instance_type, deleted, pe_label",
    "pr_person": "id, uuid, pe_id, pe_label, first_name, middle_name, last_name, gender, deleted, "
    "date_of_birth, comments, mci, created_on, modified_on",
    "pr_contact": "uuid, pe_id, contact_method, value, contact_description, priority, comments, deleted, "
    "mci, created_on, modified_on",
}
ROWS_EACH = len(COLUMNS)
TIMES = "2026-01-01 10:00:00\t2026-01-01 10:00:00"
NOTE = "lorem ipsum dolor sit amet consetetur sadipscing elitr sed diam nonumy eirmod tempor invidunt"


def write_people(first: int, last: int) -> dict[str, str]:
    """Return the rows of the persons with these numbers, by table, parents first."""
    numbers = range(first, last + 1)
    return {
        "pr_pentity": "".join(f"{n}\turn:uuid:p{n:032}\tpr_person\tF\tPE{n:08}\n" for n in numbers),
        "pr_person": "".join(
            f"{n}\turn:uuid:p{n:032}\t{n}\tPE{n:08}\tFirst{n}\tMiddle\tLast{n}son\t2\tF\t1980-01-01\t"
            f"{NOTE} {n}\t0\t{TIMES}\n"
            for n in numbers
        ),
        "pr_contact": "".join(
            f"urn:uuid:c{n:032}\t{n}\tSMS\t+49170{n:08}\tprivate phone of the family\t1\t"
            f"only in the evening\tF\t0\t{TIMES}\n"
            for n in numbers
        ),
    }


def load_people(url: str, persons: int, directory: Path, per_transaction: int) -> float:
    """Load persons by COPY or LOAD DATA LOCAL, in as many transactions as it takes; triggers fire.

    Return the seconds that the database took, commits included; making the text does not count.
    """
    load = _load_postgresql if dialect_of(url) == "postgresql" else _load_mysql
    return sum(load(url, _batches(persons, per_transaction), directory))


def _batches(persons: int, size: int) -> Iterator[dict[str, str]]:
    for first in range(1, persons + 1, size):
        yield write_people(first, min(first + size - 1, persons))


def _load_postgresql(url: str, batches: Iterator[dict[str, str]], _: Path) -> Iterator[float]:
    with connect_postgresql(url) as connection, connection.cursor() as cursor:
        for batch in batches:
            before = time.monotonic()
            with connection.transaction():
                for table, text in batch.items():
                    with cursor.copy(f"COPY {table} ({COLUMNS[table]}) FROM STDIN") as copy:
                        copy.write(text)
            yield time.monotonic() - before


def _load_mysql(url: str, batches: Iterator[dict[str, str]], directory: Path) -> Iterator[float]:
    connection: Any = connect_mysql(url, local_infile=True)
    with connection, connection.cursor() as cursor:
        for batch in batches:
            files = {table: directory / f"{table}.tsv" for table in batch}
            for table, file in files.items():
                file.write_text(batch[table])
            before = time.monotonic()
            cursor.execute("BEGIN")
            for table, file in files.items():
                cursor.execute(f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE {table} ({COLUMNS[table]})")
            cursor.execute("COMMIT")
            yield time.monotonic() - before
            for file in files.values():
                file.unlink()
