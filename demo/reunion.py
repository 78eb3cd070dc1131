"""The act in which a SahanaPHP joins: one person, reported missing in PHP and found in Eden."""

from datetime import UTC, datetime

from demo.journey import Journeys
from demo.screen import Screen
from demo.site import Site
from demo.stage import Stage
from tests.support.eden import Record
from tests.support.patience import Patience
from tests.support.vesuvius import Vesuvius

SAMIRA = Record("pr_person", 0, "hotline.example/person.101")
MISSING, FOUND = 1, 2
WORDS = {"mis": "missing", "fnd": "found"}


class Reunion:
    """Plays between the hotline and the camp; the city hears of it through the camp."""

    def __init__(self, stage: Stage, screen: Screen, patience: Patience, journeys: Journeys) -> None:
        self._stage = stage
        self._camp, self._city, self._hotline = stage.everywhere
        self._screen = screen
        self._patience = patience
        self._journeys = journeys

    def play(self) -> None:
        """Play the act."""
        self._join()
        self._report()
        self._find()
        self._correct()
        self._stage.settle()

    def _join(self) -> None:
        screen, hotline = self._screen, self._hotline
        screen.act("9. A SahanaPHP joins")
        screen.tell(
            "The hotline runs Vesuvius, written in PHP: its tables are quite others. A mapping, a file "
            "without code, says which of its columns are which of Eden's. It is paired with the camp alone."
        )
        screen.site("hotline", f"{hotline.engine} with the 67 tables of Vesuvius")
        self._vesuvius.seed()
        screen.site("hotline", "$ changecapture install --mapping vesuvius")
        for line in hotline.install("--mapping", "vesuvius"):
            screen.detail(line)
        screen.site("hotline", f"$ changecapture-relay run --config {hotline.name}.toml")
        self._stage.open_relays(hotline)
        self._stage.pair(self._camp, hotline)
        self._stage.settle()
        for site in self._stage.everywhere:
            site.arrivals.read()
        nadia = self._vesuvius.search(self._stage.find_person("Nadia").uuid)
        assert nadia is not None
        people = hotline.eden.fetch("SELECT count(*) FROM person_uuid")[0][0]
        screen.site("hotline", f"now knows {people} people; its search finds {nadia[2]}, born {nadia[5]}")

    def _report(self) -> None:
        camp, hotline = self._camp, self._hotline
        self._screen.site(
            "hotline", "takes a call: Samira Nasser is missing (three INSERTs, as Vesuvius does)"
        )
        self._journeys.show(
            hotline,
            camp,
            lambda: self._vesuvius.report(
                SAMIRA.uuid, "Samira", "Nasser", opt_gender="fml", years_old=31, last_clothing="red scarf"
            ),
            lambda: self._status(camp) == MISSING,
        )
        self._patience.wait(lambda: self._status(self._city) == MISSING, "the city to know Samira")
        for site in self._stage.sites:
            first, last = (site.eden.value(SAMIRA, column) for column in ("first_name", "last_name"))
            self._screen.site(site.name, f"shows {first} {last}: missing")

    def _find(self) -> None:
        camp = self._camp
        self._screen.site("camp", "finds her among its guests, and notes it")
        here = camp.eden.find(SAMIRA)
        now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
        self._journeys.show(
            camp,
            self._hotline,
            lambda: camp.eden.add("pr_note", pe_id=here.pe_id, status=FOUND, timestmp=now),
            lambda: self._searched(3) == "fnd",
        )
        self._screen.site("hotline", f"its search shows {self._searched(2)}: {WORDS[self._searched(3)]}")

    def _correct(self) -> None:
        self._screen.site(
            "hotline", "corrects her family name (Vesuvius writes all 20 columns anew; what changed travels)"
        )
        self._journeys.show(
            self._hotline,
            self._camp,
            lambda: self._vesuvius.save(SAMIRA.uuid, family_name="Nassar", full_name="Samira Nassar"),
            lambda: self._stage.sees(self._camp, SAMIRA, "last_name", "Nassar"),
        )

    @property
    def _vesuvius(self) -> Vesuvius:
        return Vesuvius(self._hotline.url)

    def _searched(self, column: int) -> str:
        found = self._vesuvius.search(SAMIRA.uuid)
        return "" if found is None else str(found[column])

    def _status(self, site: Site) -> int | None:
        """Return the latest status of Samira at an Eden, None when she is not known there."""
        rows = site.eden.fetch(
            "SELECT n.status FROM pr_note n JOIN pr_pentity e ON e.pe_id = n.pe_id "
            "WHERE e.uuid = %s AND n.deleted = 'F' ORDER BY n.timestmp DESC, n.id DESC",
            [SAMIRA.uuid],
        )
        return int(rows[0][0]) if rows else None
