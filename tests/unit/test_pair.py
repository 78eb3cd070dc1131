"""The source of a pull: how far ahead of the other site it works, and what it passes over."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

from changecapture.core.change import Entry
from changecapture.core.vector import dump_vector
from changecapture.pair import READY_ENTRIES, NearSource, pull_from
from changecapture.publish import PASS_LIMIT
from changecapture.sync import LOOK_ENTRIES, PullRequest, answer
from tests.support import family
from tests.support.memory import MemorySite

BEGIN = PullRequest("there", 1, "{}", 0, 0)
COLUMNS = '{"@alive":true}'


def make_site(origin="here"):
    return MemorySite(family.script("memory"), origin=origin)


def append_foreign(site, last):
    numbers = range(1, last + 1)
    entries = [Entry("far", 1, n, 1, n, 0, "all", "carried", f"k{n}", COLUMNS) for n in numbers]
    site.store.append_entries(entries, applied=False)


def test_source_publishes_nothing_while_a_batch_waits_in_its_log():
    with closing(make_site()) as site, ThreadPoolExecutor(1) as threads:
        source = NearSource(site.store, threads)
        for number in range(3 * PASS_LIMIT):
            site.family.add_parent(f"p{number}")
        source.ask(replace(BEGIN, limit=100))
        made, ready = source.take(), site.store.last_position()
        assert ready - made.answer.position >= READY_ENTRIES
        assert 0 < made.first <= made.last
        source.ask(replace(BEGIN, epoch=1, after=made.answer.position, limit=100))
        source.take()
        assert site.store.last_position() == ready


def test_pull_ends_beside_an_application_that_never_rests():
    with closing(make_site()) as here, closing(make_site("there")) as there, ThreadPoolExecutor(1) as threads:
        here.family.add_parent("a")

        class Busy(NearSource):
            def take(self):
                made = super().take()
                here.family.add_parent(f"b{made.answer.position}")
                return made

        pull_from(Busy(here.store, threads), "here", there.store, lambda received: None)
        assert list(there.family.shown("parent")) == ["a"]
        assert here.store.count_captured() == 1


def test_what_the_other_site_has_is_passed_over_and_the_first_that_it_lacks_is_found():
    with closing(make_site()) as site:
        last = LOOK_ENTRIES + 5000
        append_foreign(site, last)
        all_known = dump_vector({("far", 1, "all"): last})
        known = dump_vector({("far", 1, "all"): last - 1})
        made = answer(site.store, replace(BEGIN, vector=all_known))
        assert (made.entries, made.last) == (0, True)
        assert answer(site.store, replace(BEGIN, vector=known)).entries == 1
