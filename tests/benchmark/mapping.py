"""Suite ``mapping``: what it costs that a Vesuvius' rows travel as rows of Eden's.

The same statements are made at Vesuvius sites on MariaDB, two with the mapping and two without. Each pair
shares them: publish at the one, apply at the other, the network left out. Both pairs take their turns, and
the figures are medians of the rounds' ratios: seconds with the mapping, by seconds without. A round is new
persons, three rows each as Vesuvius writes them, and persons whose form is saved with two columns changed.

What is three rows in Vesuvius is five of Eden's, and the log of a site has as many entries: so each figure
stands by entry, too (``.._by_entry``): seconds for an entry with the mapping, by seconds for one without.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from statistics import median

from changecapture.config import parse_url
from changecapture.install import install
from changecapture.memory import spare_collector
from changecapture.publish import publish
from changecapture.store import open_store
from changecapture.store.sqlstore import SqlStore
from tests.benchmark.apply import collect, take
from tests.benchmark.figure import Figure
from tests.benchmark.machine import Machine, say
from tests.support.databases import fetch, run_script
from tests.support.schemas import build_database
from tests.support.vesuvius import TABLES

ROUNDS = 5
PERSONS = 2_000
GOAL = 1.5

NEW = """
INSERT INTO person_uuid (p_uuid, full_name, family_name, given_name) VALUES
       ('pl.example/person.{n}', 'Given{n} Family{n}', 'Family{n}', 'Given{n}');
INSERT INTO person_status (p_uuid, opt_status, last_updated, creation_time, last_updated_db) VALUES
       ('pl.example/person.{n}', 'mis', now(), now(), now());
INSERT INTO person_details
       (p_uuid, birth_date, opt_gender, years_old, last_seen, last_clothing, other_comments) VALUES
       ('pl.example/person.{n}', '1980-01-01', 'fml', 46, 'near the old bridge', 'a red scarf',
       'lorem ipsum dolor sit amet consetetur sadipscing elitr');
"""
"""As an application writes a person: one after the other, so that the rows of each come together."""
SAVED = """
UPDATE person_uuid SET family_name = concat(family_name, 'x'), full_name = concat(full_name, 'x')
       WHERE p_uuid = 'pl.example/person.{n}';
UPDATE person_status SET opt_status = IF(opt_status = 'mis', 'fnd', 'mis'), last_updated = now(),
       last_updated_db = now() WHERE p_uuid = 'pl.example/person.{n}';
"""


class Pair:
    """Two sites that share their rows."""

    def __init__(self, machine: Machine, mapping: str | None) -> None:
        self.urls = [
            build_database(machine.servers["mariadb"], f"mapping_{mapping}_{n}", "vesuvius", TABLES)
            for n in range(2)
        ]
        for url in self.urls:
            install(parse_url(url), "vesuvius", mapping=mapping)
        self.seconds: dict[str, list[float]] = {"publish": [], "apply": []}
        self.entries: list[int] = []

    def play(self, statements: str) -> None:
        """Write at the first site, bring it to the second, and note how long each half took."""
        run_script(self.urls[0], f"SET sql_mode = ''; {statements}")
        with closing(open_store(self.urls[0])) as left, closing(open_store(self.urls[1])) as right:
            position, began = left.last_position(), time.monotonic()
            _publish(left)
            self.seconds["publish"].append(time.monotonic() - began)
            self.entries.append(left.last_position() - position)
            self.seconds["apply"].append(take(left, right, collect(left, right)))

    def check(self) -> None:
        """Fail unless what was measured arrived."""
        query = (
            "SELECT count(*), min(full_name), max(full_name), sum(years_old), min(opt_status) "
            "FROM person_uuid JOIN person_status USING (p_uuid) JOIN person_details USING (p_uuid)"
        )
        one, two = (fetch(url, query) for url in self.urls)
        if one != two or not one[0][0]:
            raise SystemExit(f"what was measured did not arrive: {one} and {two}")


def measure(machine: Machine) -> Iterator[Figure]:
    """Yield the ratio of publishing, of applying, and of both together."""
    spare_collector()  # as the programs do
    persons = max(50, round(PERSONS * machine.scale))
    mapped, plain = Pair(machine, "vesuvius"), Pair(machine, None)
    for number in range(ROUNDS):
        say(f"mapping, round {number + 1}")
        for form, start in ((NEW, number * persons), (SAVED, 0)):
            written = "".join(form.format(n=n) for n in range(start, start + persons))
            statements = f"START TRANSACTION; {written} COMMIT"
            for pair in (mapped, plain) if number % 2 else (plain, mapped):
                pair.play(statements)
    for pair in (mapped, plain):
        pair.check()
    for offset, what in enumerate(("new", "saved")):
        for part in ("publish", "apply"):
            name = f"mapping.{what}_{part}_ratio"
            yield Figure(name, _ratio(mapped, plain, (part,), offset))
            yield Figure(f"{name}_by_entry", _ratio(mapped, plain, (part,), offset, by_entry=True))
    yield Figure("mapping.persons_per_s", persons / median(mapped.seconds["publish"][::2]))
    both = ("publish", "apply")
    yield Figure("mapping.ratio_by_entry", _ratio(mapped, plain, both, by_entry=True), "<=", GOAL)
    yield Figure("mapping.ratio", _ratio(mapped, plain, both), "<=", GOAL)


def _ratio(
    mapped: Pair, plain: Pair, parts: tuple[str, ...], offset: int | None = None, *, by_entry: bool = False
) -> float:
    """Return the median over the rounds; ``offset``: of new persons (0), of saved ones (1), of both.
    ``by_entry``: each time divided by the entries that were made."""
    places = slice(offset, None, 2) if offset is not None else slice(None)
    each = [
        [
            (sum(times), entries if by_entry else 1)
            for *times, entries in zip(
                *(pair.seconds[p][places] for p in parts), pair.entries[places], strict=True
            )
        ]
        for pair in (mapped, plain)
    ]
    if offset is None:
        each = [
            [(a + c, b + d if by_entry else 1) for (a, b), (c, d) in zip(e[::2], e[1::2], strict=True)]
            for e in each
        ]
    return median((a / b) / (c / d) for (a, b), (c, d) in zip(*each, strict=True))


def _publish(store: SqlStore) -> None:
    while publish(store):
        pass
