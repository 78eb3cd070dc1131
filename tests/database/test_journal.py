"""What is kept of exchanges, and of what peers say of themselves, on real servers."""

from changecapture.status import read_status
from changecapture.store.journal import DAY, KEPT, KEPT_DAYS
from changecapture.store.records import Exchanged, Instance

PEER = "b" * 32


def exchanged(number: int, at: int, entries: int = 1, outcome: str = "done") -> Exchanged:
    return Exchanged(f"{number:032x}", PEER, "in", entries, 10 * entries, at - 5, at, outcome)


def test_an_exchange_is_kept_as_it_was(home):
    now = home.store.read_clock()
    given = exchanged(1, now, entries=3)
    home.store.write_exchanges([given])
    assert home.store.read_exchanges(10) == [given]


def test_what_is_too_old_is_forgotten_and_the_rest_stays(home):
    now = home.store.read_clock()
    old, young = now - (KEPT_DAYS + 1) * DAY, now - (KEPT_DAYS - 1) * DAY
    home.store.write_exchanges([exchanged(1, old), exchanged(2, young), exchanged(3, now)])
    home.store.prune_exchanges()
    assert [e.exchange[-1] for e in home.store.read_exchanges(10)] == ["3", "2"]


def test_of_too_many_the_last_are_kept(home):
    now = home.store.read_clock()
    home.store.write_exchanges([exchanged(n, now) for n in range(KEPT + 20)])
    home.store.prune_exchanges()
    assert home.fetch("SELECT count(*) FROM {p}exchange_log") == [(KEPT,)]
    assert home.store.read_exchanges(1)[0].exchange == f"{KEPT + 19:032x}"


def test_what_a_peer_says_of_itself_is_kept_with_its_exchanges_counted(home):
    store = home.store
    store.write_instance(Instance(PEER, "south", "Red Cross", "ann", "http://south", "shape"))
    now = store.read_clock()
    store.write_exchanges([exchanged(1, now - 9), exchanged(2, now), exchanged(3, now, 0, "cut")])
    store.write_instance(Instance(PEER, "south 2", "Red Cross", "ann", "http://south", "shape"))
    (kept,) = read_status(store).instances
    assert (kept.base_uuid, kept.name, kept.owner, kept.contact, kept.url) == (
        PEER,
        "south 2",
        "Red Cross",
        "ann",
        "http://south",
    )
    assert (kept.sync_count, kept.last_update, kept.alike) == (2, now, False)
