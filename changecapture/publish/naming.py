"""The names that a pass of this site gives, and what its author had seen."""

from collections.abc import Iterable
from dataclasses import dataclass

from changecapture.core.change import Entry
from changecapture.core.vector import Vector, digest_vector, dump_vector
from changecapture.store.interface import Site, Store


@dataclass(frozen=True, slots=True)
class Naming:
    """A pass that is being made: ``number`` is the pass's; its entries follow the site's last number."""

    site: Site
    number: int
    context: Vector


def open_pass(store: Store) -> Naming:
    """Return how the entries of the next pass are named."""
    site = store.read_site()
    vector = store.read_vector()
    own = site.origin, site.epoch
    return Naming(site, site.last_pass + 1, {c: n for c, n in vector.items() if c[:2] != own})


def close_pass(store: Store, naming: Naming, entries: Iterable[Entry]) -> None:
    """Keep the context of a pass whose entries are in the log, in the order of their numbers; claim them."""
    site, digest = naming.site, digest_vector(naming.context)
    store.write_contexts({digest: dump_vector(naming.context)})
    store.write_passes({(site.origin, site.epoch, naming.number): digest})
    raised = {(site.origin, site.epoch, entry.scope): entry.number for entry in entries}
    store.write_vector(raised)
    last = max(raised.values(), default=site.last_number)
    store.write_site(last_number=last, last_pass=naming.number)
