"""The demo in acts. Everything is written the way Eden writes it (tests/support/eden.py)."""

import time

from demo.journey import Journeys
from demo.reunion import Reunion
from demo.screen import Screen
from demo.site import Site
from demo.stage import Stage
from tests.support.compare import compare_sites
from tests.support.eden import Record
from tests.support.patience import Patience

CROWD = 100
ROUNDS = 10
DIFFERENCES = 10


class Story:
    """Plays on a stage; each act begins where the last one ended."""

    def __init__(self, stage: Stage, screen: Screen, patience: Patience) -> None:
        self._stage = stage
        self._camp, self._city = stage.sites
        self._screen = screen
        self._patience = patience
        self._journeys = Journeys(stage, screen, patience)

    def play(self) -> bool:
        """Play all acts; return whether both sites show the same in the end."""
        self._begin()
        self._install()
        self._meet()
        self._work()
        self._delete()
        self._cut()
        self._reconnect()
        self._measure()
        Reunion(self._stage, self._screen, self._patience, self._journeys).play()
        return self._compare()

    def _begin(self) -> None:
        screen, camp = self._screen, self._camp
        screen.title("changecapture: two Sahana sites in step, without a server between them")
        screen.tell(
            "A relief camp and a city hospital each run Sahana Eden, on databases of different makes. All of "
            "it is real: two database servers, the 462 tables of Eden, the commands that an operator runs. "
            f"It lives in {self._stage.directory} and is removed at the end."
        )
        screen.act("1. Two sites at work, as yet without changecapture")
        self._stage.build()
        for site in self._stage.sites:
            screen.site(site.name, f"{site.engine} with the 462 tables of Sahana Eden")
            site.eden.insert("auth_user", first_name="Admin", email=f"admin@{site.name}.example")
        screen.site("camp", "has registered a family of three: Nadia, Yusuf and Leila Karimi")
        with camp.eden.request():
            for first_name in ("Nadia", "Yusuf", "Leila"):
                camp.eden.add_person(first_name, "Karimi")

    def _install(self) -> None:
        screen = self._screen
        screen.act("2. Change capture is installed")
        screen.tell(
            "Triggers note every change in the transaction that makes it: none is missed, none invented. "
            "Eden's own tables and code stay as they are."
        )
        before = time.monotonic()
        said = self._stage.install()
        took = time.monotonic() - before
        for name, lines in said.items():
            screen.site(name, "$ changecapture install")
            for line in lines:
                screen.detail(line)
        screen.tell(
            f"That took {took:.1f} s. What makes a site itself stays at home: users, roles, passwords, "
            "settings, queues (`changecapture plan` gives the reason for each table)."
        )

    def _meet(self) -> None:
        screen = self._screen
        screen.act("3. The relays find each other, and are paired")
        screen.tell(
            "No address is written down anywhere: each relay announces itself on the network (zeroconf) and "
            "looks for others. They speak to nobody until a person at each end has paired them by a one-time "
            "code. The family that was there before the installation travels first."
        )
        for site in self._stage.sites:
            screen.site(site.name, f"$ changecapture-relay run --config {site.name}.toml")
        self._stage.open_relays(*self._stage.sites)
        self._stage.pair(*self._stage.sites)
        self._stage.settle()
        screen.site("city", "now has")
        self._journeys.list(self._city.arrivals.read())

    def _work(self) -> None:
        screen, camp, city = self._screen, self._camp, self._city
        screen.act("4. Both sites work, the link is up")
        screen.tell(
            "The green lines are what arrived in the other database. Each numbers its rows on its own, so "
            "rows and references travel by their uuids (here by the last digits)."
        )
        amina = self._journeys.add(
            camp, "registers Amina Haddad", lambda: camp.eden.add_person("Amina", "Haddad")
        )
        self._journeys.add(camp, "adds her phone", lambda: camp.eden.add_contact(amina, "+963 11 555 0101"))
        self._journeys.add(city, "opens a shelter in a school", self._open_shelter)
        self._journeys.add(
            city, f"registers {CROWD} people with their phones in one transaction", self._register_crowd
        )
        bed = "Ward 3, bed 12"
        edit = self._stage.edit(city, amina, comments=bed)
        self._journeys.change(city, "notes where Amina's bed is", amina, "comments", bed, edit)

    def _open_shelter(self) -> Record:
        eden = self._city.eden
        place = eden.add_location("North School", lat=33.51, lon=36.29)
        return eden.add_shelter("North School", place, phone="+963 11 555 0199")

    def _register_crowd(self) -> Record:
        eden = self._city.eden
        for number in range(CROWD):
            person = eden.add_person(f"Guest {number + 1}", "of the school")
            eden.add_contact(person, f"+963 11 556 {number:04}")
        return person

    def _delete(self) -> None:
        screen, camp, city = self._screen, self._camp.eden, self._city.eden
        screen.act("5. Deleting")
        screen.tell(
            "Eden deletes by flagging the row and clearing its references; in some places by DELETE. Both "
            "arrive as what they mean, and the row stays readable in a history at both sites."
        )
        guest, other = (self._city.eden.find(self._stage.find_person(f"Guest {n}")) for n in (1, 2))
        self._journeys.change(
            self._city,
            "archives Guest 1, registered twice (UPDATE .. SET deleted = 'T')",
            guest,
            "deleted",
            "T",
            lambda: city.soft_delete(guest, ["pe_id", "track_id"]),
        )
        phone = self._find_phone(other)
        self._journeys.change(
            self._camp,
            "deletes the phone of Guest 2 (DELETE FROM pr_contact)",
            phone,
            "deleted",
            "T",
            lambda: camp.hard_delete(phone),
        )
        for site in self._stage.sites:
            screen.site(site.name, self._read_history(site, phone))

    def _find_phone(self, person: Record) -> Record:
        eden = self._camp.eden
        found = eden.fetch("SELECT uuid FROM pr_contact WHERE pe_id = %s", [eden.find(person).pe_id])
        return eden.find(Record("pr_contact", 0, str(found[0][0])))

    def _read_history(self, site: Site, phone: Record) -> str:
        view = f"{site.arrivals.prefix}pr_contact_history"
        ((value, deleted, origin),) = site.eden.fetch(
            f"SELECT value, deleted, origin FROM {view} WHERE uuid = %s", [phone.uuid]
        )
        author = next(author.name for author in self._stage.sites if author.origin == origin)
        return f"has in {view}: {value}, {'deleted' if deleted else 'live'} by the {author}"

    def _cut(self) -> None:
        screen, camp, city = self._screen, self._camp, self._city
        screen.act("6. The link is cut")
        screen.tell(
            "The camp's relay is killed, without a goodbye. Both sites work on, and both edit Nadia. A sync "
            "that ships whole rows, the newest wins, would now lose one of the two edits."
        )
        nadia = self._stage.find_person("Nadia")
        heard = len(city.relay.lines)
        camp.relay.kill()
        city.relay.wait_for("cannot reach camp", self._patience, heard)
        screen.site("camp", "learns Nadia's date of birth: 1990-04-02")
        with camp.eden.request():
            self._stage.edit(camp, nadia, date_of_birth="1990-04-02")()
        screen.site("city", "corrects Nadia's family name: Karimi-Azar")
        with city.eden.request():
            self._stage.edit(city, nadia, last_name="Karimi-Azar")()
        screen.site("camp", "registers Omar Saleh")
        camp.eden.add_person("Omar", "Saleh")
        waiting = camp.count("captured")
        screen.site("camp", f"{waiting} changes wait in its database: the triggers need no relay")

    def _reconnect(self) -> None:
        screen, camp = self._screen, self._camp
        screen.act("7. The link is back")
        screen.site("camp", f"$ changecapture-relay run --config {camp.name}.toml")
        heard = [len(site.relay.lines) for site in self._stage.sites]
        camp.relay.start()
        for site, after in zip(self._stage.sites, heard, strict=True):
            site.relay.wait_for("up to date with", self._patience, after)
        self._stage.settle()
        for site in self._stage.sites:
            screen.site(site.name, "received")
            self._journeys.list(site.arrivals.read())
        nadia = self._stage.find_person("Nadia")
        for site in self._stage.sites:
            name, born = (site.eden.value(nadia, column) for column in ("last_name", "date_of_birth"))
            screen.site(site.name, f"shows Nadia {name}, born {born}: both edits are there")

    def _measure(self) -> None:
        self._screen.act("8. How long does a change take?")
        self._screen.tell(
            f"{ROUNDS} edits in each direction, one at a time: from just before COMMIT until a SELECT at the "
            "other site shows it."
        )
        nadia = self._stage.find_person("Nadia")
        with self._stage.silence():
            for number in range(ROUNDS):
                for site in self._stage.sites:
                    self._journeys.measure(site, nadia, f"note {number} of the {site.name}")
        for line in self._journeys.summary():
            self._screen.detail(line, "bold")

    def _compare(self) -> bool:
        screen = self._screen
        screen.act("10. Both Edens, compared row by row")
        self._stage.settle()
        found = compare_sites(self._camp.url, self._city.url)
        if not found.equal:
            for difference in found.differences[:DIFFERENCES]:
                screen.bad(str(difference))
            screen.bad(f"not equal: {len(found.differences)} differences, {found.parked} rows parked")
            return False
        filled = {table: count for table, count in found.rows.items() if count}
        for table in sorted(filled, key=lambda table: -filled[table]):
            screen.detail(f"{filled[table]:5} {table}")
        conflicts = sum(site.count("conflict") for site in self._stage.sites)
        screen.good(
            f"equal: {found.total} rows in {len(filled)} tables, column by column ({len(found.rows)} tables "
            f"compared); {found.parked} rows parked, {conflicts} conflicts"
        )
        for line in self._journeys.summary():
            screen.good(f"commit to visible, {line}")
        return True
