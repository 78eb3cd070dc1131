"""The store: the only way to a database. One store is one connection, used by one thread at a time.

A method outside a transaction is a transaction of its own. Driver errors come out as ours, mapped once:
``RetryLater`` (busy, away), ``DataError`` (this row), ``DriftError`` (run install), ``ConfigError``.

*Local key*: JSON array of a row's key columns. *Place*: the local values of a row's identity columns (of
its locator when the key is assigned). Columns in rows are local names, values canonical (core.values),
references local.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from changecapture.core.catalogue import Catalogue, Engine
from changecapture.core.change import Captured, Entry, Row, Version
from changecapture.core.codec import PassName
from changecapture.core.merge import Conflict
from changecapture.core.spare import Spare
from changecapture.core.table import SyncedColumn, SyncedTable
from changecapture.core.vector import Component, Vector
from changecapture.mapping.model import Lens
from changecapture.memo import Memo
from changecapture.store.records import (
    Compaction,
    Exchanged,
    Instance,
    LateRow,
    Met,
    Place,
    Progress,
    Site,
    Stamped,
)


class Store(Protocol):
    """See the module."""

    engine: Engine
    memo: Memo | None
    """What this site remembers outside the database, where that is kept."""
    tables: dict[int, SyncedTable]
    tables_by_name: dict[str, SyncedTable]
    tables_by_wire: dict[str, SyncedTable]
    mapping: Lens | None
    """What stands between the application's tables and the log, None where they travel themselves."""
    ranks: dict[str, int]
    """Table name to its place, parents first."""
    spare: Spare
    """What is done while the database works."""

    # Transactions
    def close(self) -> None:
        """Close the connection."""

    def lock(self) -> AbstractContextManager[None]:
        """Hold the writers' lock: publish and apply exclude each other. Taken before a transaction."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Open a REPEATABLE READ transaction."""

    def applying(self) -> AbstractContextManager[None]:
        """Open a READ COMMITTED transaction in which capture is off and no row lock is waited for."""

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo what was written inside when it raises."""

    def in_transaction(self) -> bool:
        """Return whether the open transaction still stands (MySQL ends it on a deadlock)."""

    # The site
    def read_catalogue(self) -> Catalogue:
        """Return what the database says about the application's tables."""

    def load_tables(self) -> None:
        """Read the installed definitions again."""

    def refresh_tables(self) -> None:
        """Read the installed definitions again if an installation has changed them meanwhile."""

    def read_site(self) -> Site:
        """Return who this site is; raise ConfigError when nothing is installed."""

    def write_site(self, *, last_number: int, last_pass: int) -> None:
        """Keep the last names given."""

    def read_clock(self) -> int:
        """Return the server's clock, microseconds since 1970 UTC."""

    def read_vector(self) -> dict[Component, int]:
        """Return what this site holds."""

    def write_vector(self, raised: Vector) -> None:
        """Raise components of the vector; none is lowered."""

    # Captured
    def read_captured(self, limit: int | None) -> list[Captured]:
        """Return captured changes: whole transactions, in the order of their last id, up to a limit."""

    def read_departed(self, table: SyncedTable) -> list[str]:
        """Return the local keys that captured rows of a table have had: they may be gone by now."""

    def write_missed(self, table: str, operation: str, reason: str) -> None:
        """Note that a change of a table (by name) was captured and could not be published."""

    def delete_captured(self, ids: Sequence[int]) -> None:
        """Delete what was published; raise RetryLater when some of it is gone already."""

    def capture_rows(self, table: SyncedTable, local_keys: Sequence[str]) -> None:
        """Capture rows as they are, as backfill."""

    def has_captured(self) -> bool:
        """Return whether captured changes wait."""

    def read_news(self) -> tuple[bool, tuple[int, int]]:
        """Return whether captured changes wait, and the last name given: one look, as it is taken often."""

    def captured_range(self) -> tuple[int, int]:
        """Return the least and the greatest id of what waits, zeros when nothing does."""

    def count_captured(self) -> int:
        """Return how many captured changes wait."""

    # The application's rows
    def read_rows(self, table: SyncedTable, local_keys: Sequence[str]) -> dict[str, LateRow]:
        """Return the rows as they are now, by local key, gone ones left out."""

    def read_rows_at(self, table: SyncedTable, places: Mapping[str, Sequence[Any]]) -> dict[str, LateRow]:
        """Return the rows at these places as they are now: {key: row}."""

    def read_local_keys(self, table: SyncedTable, column: str, wanted: Collection[Any]) -> dict[Any, str]:
        """Return {value of the column: local key} of the rows that have one of the values."""

    def read_referring(
        self, table: SyncedTable, column: SyncedColumn, target: SyncedTable, local_key: str
    ) -> list[str]:
        """Return the local keys of the rows whose column refers to the target's row."""

    def hold_rows(
        self, table: SyncedTable, places: Mapping[str, Sequence[Any]], *, leaving: bool = False
    ) -> dict[str, str]:
        """Lock rows for writing, busy ones left out; return {key: local key}.

        ``leaving``: they will be deleted, so that nobody may refer to them any more.
        """

    def find_local_keys(self, table: SyncedTable, places: Mapping[str, Sequence[Any]]) -> dict[str, str]:
        """Return {key: local key} of the rows that are there, locked or not."""

    def find_rows(self, table: SyncedTable, places: Mapping[str, Sequence[Any]]) -> set[str]:
        """Return the keys of the rows that are there, locked or not."""

    def refer_rows(
        self, table: SyncedTable, column: str, places: Mapping[str, Sequence[Any]], *, lock: bool = True
    ) -> dict[str, Any]:
        """Lock rows against deletion; return {key: value of the column}, busy ones left out."""

    def insert_rows(self, table: SyncedTable, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; columns that a row leaves out get their default, the flag says live."""

    def spell_rows(self, table: SyncedTable, columns: Sequence[Sequence[Any]]) -> Sequence[Any] | None:
        """Return how rows will be inserted, where a store can make that ready; without the database."""

    def insert_columns(
        self,
        table: SyncedTable,
        names: Sequence[str],
        columns: Sequence[Sequence[Any]],
        lines: Sequence[Any] | None = None,
    ) -> None:
        """Insert rows that are given column by column, at least one of each; ``lines``: what ``spell_rows``
        has made of them."""

    def insert_given(self, table: SyncedTable, rows: Mapping[str, Mapping[str, Any]]) -> None:
        """Insert rows of a table whose keys are ours, {key: row}, and keep which row has which key."""

    def update_rows(self, table: SyncedTable, rows: Sequence[tuple[str | None, Mapping[str, Any]]]) -> None:
        """Update rows by local key; all rows of one call have the same columns, in any order."""

    def update_columns(
        self,
        table: SyncedTable,
        local_keys: Sequence[str],
        names: Sequence[str],
        columns: Sequence[Sequence[Any]],
    ) -> None:
        """Update rows, given by local key and column by column, at least one of each."""

    def delete_rows(self, table: SyncedTable, local_keys: Sequence[str | None]) -> None:
        """Delete rows by local key."""

    def read_values(self, table: SyncedTable, column: str, local_keys: Sequence[str]) -> dict[str, Any]:
        """Return {local key: value of the column}."""

    def read_alike(
        self,
        table: SyncedTable,
        columns: Sequence[SyncedColumn],
        wanted: Mapping[str, Sequence[Any]],
        *,
        live: bool = True,
    ) -> dict[str, list[str]]:
        """Return the local keys of the rows whose columns have the values: {key: values} to {key: local
        keys}. NULL is like NULL. ``live``: without those that the application's flag says are deleted."""

    def rename_row(self, table: SyncedTable, local_key: str, key: str, place: Sequence[Any]) -> None:
        """Give a row another name: the key, and where that is made of others', their values."""

    def move_references(self, table: str, column: str, old: Any, new: Any) -> None:
        """Make the rows of any table of the database that refer to one row refer to another."""

    def forget_assigned(self, table: SyncedTable, keys: Collection[str]) -> None:
        """The rows that were given these keys are gone."""

    def read_assigned(self, table: SyncedTable, locators: Collection[str]) -> dict[str, str]:
        """Return {locator: key} of rows that were given a key."""

    def write_assigned(self, table: SyncedTable, keys: Mapping[str, str]) -> None:
        """Keep {locator: key}."""

    def read_locators(self, table: SyncedTable, keys: Collection[str]) -> dict[str, list[Any]]:
        """Return {key: locator values} of rows that were given a key."""

    # Keys that are one row
    def has_aliases(self) -> bool:
        """Return whether any keys are joined."""

    def read_names(self, rows: Collection[Row]) -> dict[Row, Row]:
        """Return {row by any of its keys: row by its name} of those of the rows that are joined."""

    def read_members(self, rows: Collection[Row]) -> dict[Row, list[str]]:
        """Return {row by its name: all its keys} of those of the rows that are joined."""

    def write_names(self, table: str, names: Mapping[str, str]) -> None:
        """Keep {key: name of its row} of keys of a table (wire name) that are joined."""

    def unite_rows(self, joined: Mapping[Row, Row]) -> None:
        """Make one row, by its name, of what is known of rows by several keys: {row by a key: by its name},
        the names among the keys.

        Its entries keep their keys. It is no longer parked: it is to be shown anew.
        """

    def find_made_of(self, table: str, keys: Collection[str]) -> list[Row]:
        """Return the rows of a table (wire name) whose keys, arrays of keys, hold one of these."""

    # The mapping between the application's tables and the common ones
    def read_mapped(self, records: Collection[str]) -> dict[str, list[Row]]:
        """Return the common rows that hang on each record, by the record's key."""

    def read_said(self, rows: Collection[Row]) -> dict[Row, list[Entry]]:
        """Return the applied entries of common rows, as far as merging them needs: no pass, base or scope."""

    def read_records(self, rows: Collection[Row]) -> dict[Row, str]:
        """Return the key of the record that each common row hangs on."""

    def write_mapped(self, records: Mapping[Row, str]) -> None:
        """Keep which record common rows hang on."""

    def read_shortened(self, rows: Collection[Row]) -> set[Row]:
        """Return those of the application's rows in which something is shown cut."""

    def write_shortened(self, rows: Collection[Row], whole: Mapping[tuple[Row, str], str]) -> None:
        """Replace what is known to be cut short of some rows of the application: {(row, column): value}."""

    # Images of deleted rows, for people
    def write_images(self, images: Mapping[Row, str | None], revived: Collection[Row], origin: str) -> None:
        """Keep the images of deleted rows; forget those of revived ones."""

    def keep_image(self, table: SyncedTable, row: Row, local_key: str | None, version: Version) -> None:
        """Keep the image of a row that is about to be deleted."""

    def forget_images(self, rows: Collection[Row]) -> None:
        """Forget the images of rows that are alive."""

    # Versions, entries, contexts
    def read_versions(self, rows: Collection[Row]) -> dict[Row, Version]:
        """Return what is known of the rows."""

    def find_dead(self, rows: Collection[Row]) -> set[Row]:
        """Return those of the rows that are known to be deleted."""

    def write_versions(self, versions: Mapping[Row, Version], known: Mapping[Row, Version | None]) -> None:
        """Keep what is known of the rows; ``known`` is what is kept now, None for nothing."""

    def append_entries(self, entries: Sequence[Entry], *, applied: bool) -> None:
        """Append to the changelog; raise DataError for what every peer would refuse."""

    def spell_entries(self, entries: Sequence[Entry]) -> None:
        """Make ready how these entries will be appended, if they are applied; without the database."""

    def append_first(self, entries: Sequence[Entry], seen: Sequence[int] | None = None) -> None:
        """Append the first entries of living rows, and keep what is known of the rows by them alone;
        ``seen``: the hashes of their names, where they are known."""

    def append_next(self, entries: Sequence[Entry], seen: Sequence[int]) -> None:
        """Append entries of known, living rows, one of each, and keep what is known of the rows by them;
        ``seen``: what that of each row comes to."""

    def find_names(self, names: Collection[PassName]) -> set[PassName]:
        """Return those of the names (origin, epoch, number) that are in the changelog."""

    def read_entries(self, after: int, end: int, limit: int) -> list[tuple[int, Entry]]:
        """Return (position, entry) with after < position <= end, in order."""

    def read_reach(self, after: int, end: int) -> dict[Component, int]:
        """Return the greatest number of each origin, epoch and scope with after < position <= end."""

    def last_position(self) -> int:
        """Return the greatest position, 0 when the changelog is empty."""

    def read_row_entries(self, rows: Collection[Row]) -> dict[Row, list[tuple[Entry, bool]]]:
        """Return all entries of the rows, under whichever of its keys, each with whether it is applied."""

    def read_row_entries_until(self, rows: Collection[Row], position: int) -> list[Entry]:
        """Return the entries of the rows that stand no further than a position of the log."""

    def read_unapplied(self, rows: Collection[Row]) -> dict[Row, list[str]]:
        """Return the names, as text, of the entries of parked rows that are not applied."""

    def read_carried(self, table: str) -> dict[Row, list[Entry]]:
        """Return the entries of a table (wire name) that are not applied."""

    def mark_applied(self, rows: Collection[Row]) -> None:
        """Say that all entries of the rows are applied."""

    def write_contexts(self, contexts: Mapping[str, str]) -> None:
        """Keep {digest: vector as JSON}."""

    def write_passes(self, passes: Mapping[PassName, str]) -> None:
        """Keep {pass: digest of its context}."""

    def read_passes(self, passes: Collection[PassName]) -> dict[PassName, str]:
        """Return {pass: digest of its context}."""

    def read_contexts(self, passes: Collection[PassName]) -> dict[PassName, Vector]:
        """Return what the authors of the passes had seen."""

    # Parked, waiting, conflicts
    def read_parked(self, rows: Collection[Row], reason: str = "") -> set[Row]:
        """Return those of the rows that are parked, for a reason or for any."""

    def write_parked(self, parked: Mapping[Row, tuple[str, str]]) -> None:
        """Park rows: {row: (reason, detail)}."""

    def forget_parked(self, rows: Collection[Row]) -> None:
        """The rows are shown."""

    def count_parked(self) -> int:
        """Return how many rows are parked."""

    def read_stuck(self, after: Row | None, limit: int) -> list[Row]:
        """Return rows worth another try, in order, after a row: parked ones, and waiting ones whose
        target is alive."""

    def read_waiting_for(self, rows: Collection[Row]) -> list[Row]:
        """Return the rows that wait for one of these."""

    def read_waiting(self, rows: Collection[Row]) -> dict[Row, set[str]]:
        """Return the columns, by wire name, that wait for the rows that they refer to."""

    def read_alive_after(self, table: str, after: str, limit: int) -> dict[Row, Version]:
        """Return what is known of living rows of a table (wire name), in order of their keys."""

    def write_waiting(self, waiting: Mapping[Row, Iterable[tuple[str, str, str]]]) -> None:
        """Replace what each row waits for: (column, target table, target key)."""

    def add_waiting(self, waiting: Mapping[Row, Iterable[tuple[str, str, str]]]) -> None:
        """Add to what each row waits for; what another column waits for stays."""

    def write_conflicts(self, conflicts: Sequence[tuple[Row, Conflict]]) -> None:
        """Keep values that lost."""

    def read_open_conflicts(self, rows: Collection[Row]) -> list[tuple[int, Row, str, str, str]]:
        """Return (id, row, column, name of the kept value's entry, of the lost one's) of open conflicts."""

    def settle_conflicts(self, ids: Collection[int]) -> None:
        """Note that somebody has decided these conflicts."""

    # Peers
    def read_progress(self, site: str) -> Progress:
        """Return how far the pull from a peer has come."""

    def write_progress(self, progress: Progress) -> None:
        """Keep how far the pull from a peer has come."""

    def restart_pulls(self) -> None:
        """Begin every pull at the beginning: what was passed over is wanted now."""

    # Lives
    def begin_epoch(self, origin: str, epoch: int) -> None:
        """From now on names are given in this epoch, from 1."""

    def lower_vector(self, origin: str, epoch: int, number: int) -> None:
        """Claim no more of an origin's epoch than up to a number."""

    def read_named(self, names: Iterable[PassName]) -> dict[PassName, Entry]:
        """Return the entries of these names that are in the changelog."""

    def read_numbered(self, origin: str, epoch: int, after: int, limit: int) -> list[Entry]:
        """Return entries of an origin and epoch, in order of their numbers, above a number."""

    def read_last_named(self, origin: str, epoch: int, upto: int) -> Entry | None:
        """Return the entry of the greatest number, up to a number, that is in the changelog."""

    def read_last_numbers(self, origin: str) -> dict[int, int]:
        """Return the greatest number of each epoch of an origin that is in the changelog."""

    def read_stretch(self, position: int) -> str:
        """Return what names the stretch of the log that a position is in, '' where that is not known."""

    def forget_stretches(self, position: int) -> None:
        """Forget stretches that ended before a position."""

    def read_contested(self, origin: str, epoch: int, numbers: Iterable[int]) -> set[tuple[int, str]]:
        """Return (number, digest) of what was published anew because its name was given twice."""

    def read_contested_epochs(self) -> dict[tuple[str, int], int]:
        """Return (origin, epoch) of names that were given twice by this database, and the last number."""

    def write_contested(self, digests: Mapping[PassName, str]) -> None:
        """Note what was published anew."""

    def read_life(self) -> dict[str, int]:
        """Return, of the present epoch, up to which number entries may have left the site (``shipped``),
        and up to which their stamps were corrected (``corrected``)."""

    def write_life(self, epoch: int, *, shipped: int, corrected: int) -> None:
        """Keep both."""

    def make_life(self, epoch: int) -> None:
        """Begin to keep both for an epoch, if they are not kept."""

    def hold_life(self) -> dict[str, int]:
        """Return both as ``read_life``, and let nobody change them before the transaction ends; its first
        statement."""

    def read_clocks(self, after: int, upto: int) -> list[Met]:
        """Return the peers whose clocks were measured after a time and up to another."""

    def read_stamps(self, rows: Collection[Row]) -> list[Stamped]:
        """Return the stamps of all entries of the rows."""

    def write_stamps(self, stamps: Mapping[int, int]) -> None:
        """Give entries other stamps: {position: stamp}."""

    def ship_numbers(self, epoch: int, number: int, corrected: int) -> bool:
        """Note that entries up to a number may leave the site; return False when their stamps were
        corrected since they were read (``corrected``)."""

    def read_copied(self) -> int | None:
        """Return when a copy of this database was last met alive."""

    def note_copied(self, at: int | None) -> None:
        """Note when a copy of this database was met alive; None when this site has another name by now."""

    def read_met(self, site: str) -> Met:
        """Return what is known of a peer from meeting it."""

    def write_met(self, met: Met) -> None:
        """Keep what is known of a peer from meeting it."""

    # Compaction
    def read_compaction(self) -> Compaction:
        """Return how far compaction has come."""

    def write_compaction(self, state: Compaction) -> None:
        """Keep how far compaction has come."""

    def note_tide(self, now: int) -> None:
        """Note how far the changelog reaches now."""

    def read_tide(self, at: int) -> int:
        """Return how far the changelog reached at a time, and forget what was noted before that."""

    def read_places(self, after: int, upto: int, limit: int) -> list[Place]:
        """Return where the entries with after < position <= upto stand, in order."""

    def read_applied(self, rows: Collection[Row], upto: int) -> dict[Row, dict[int, Entry]]:
        """Return the applied entries of the rows, by their positions, up to a position."""

    def delete_entries(self, positions: Collection[int]) -> None:
        """Delete entries by their positions."""

    def list_epochs(self) -> list[tuple[str, int]]:
        """Return every origin and epoch that passes are kept of, in order."""

    def read_pass_numbers(self, origin: str, epoch: int, after: int, limit: int) -> list[tuple[int, int]]:
        """Return (number, pass) of the entries of an origin and epoch above a number, in order."""

    def read_passes_between(
        self, origin: str, epoch: int, after: int, upto: int, limit: int
    ) -> list[tuple[int, str]]:
        """Return (pass, digest of its context) with after < pass <= upto, in order."""

    def delete_passes(self, passes: Sequence[PassName], digests: Collection[str]) -> None:
        """Delete passes, and those of their contexts that no other pass has."""

    def write_exchanges(self, exchanges: Sequence[Exchanged]) -> None:
        """Append to the journal, and count for each peer."""

    def prune_exchanges(self) -> None:
        """Forget what is too old, or too much."""

    def write_instance(self, instance: Instance) -> None:
        """Keep what a peer says of itself."""
