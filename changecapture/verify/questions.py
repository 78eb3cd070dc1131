"""Two sites compared over a link: the questions of ``Side`` as JSON texts, and who answers them.

    {"do":"begin"}                       {"vector":..,"tables":PACKED {table:{column:[kind,type]}}}
    {"do":"read","without":{..}}         {"done":n,"of":m}; {"do":"read"} until n = m
    {"do":"nodes","of":[[bits,value]]}   {"nodes":[[rows,digest]]}
    {"do":"rows","of":[[bits,value]]}    {"rows":[[place,content]]}
    {"do":"find","places":[..]}          {"done":n,"of":m,"rows":[[table,key]]}; {"do":"find"} until n = m
    {"do":"tell","rows":[[table,key]]}   {"told":[[values,why]]}, of as many as one answer holds
    {"do":"merged","rows":[..]}          {"vector":..,"records":[[..]]}, the same

PACKED is base64 of zlib of JSON: Eden's tables are 9,600 characters, not 101,000. ``without`` names what
of these tables the asker has not, {table: null or [column]}: mostly nothing. So GPRS will do.

Nothing is written by a question: who is asked tells. An answer takes a second or two and a few megabytes,
whatever is asked, so that who serves can serve others between; what was begun is kept by who answers, and
begins anew with "begin". Whatever is malformed is PeerError, at either end.
"""

import json
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from changecapture.core.change import Row
from changecapture.core.codec import KEY_LENGTH, TABLE_LENGTH
from changecapture.core.hashtree import FEW, Prefix
from changecapture.core.vector import Vector, dump_vector, load_vector
from changecapture.core.wire import check_name, check_text
from changecapture.errors import PeerError
from changecapture.record.lines import dump_record, load_record
from changecapture.record.model import Record, Written
from changecapture.verify.side import Shape, Shared, Side, Step, Told

STEP_S = 1.5
"""How long one answer goes on reading."""
AT_ONCE = 500
"""Nodes and places in one question."""
LARGEST = 4 * 1024 * 1024
"""Characters of an answer, unless a single row has more."""
LARGEST_SHAPE = 16 * 1024 * 1024
"""Bytes of what a peer says of its tables."""

Ask = Callable[[str], str]
"""Carries a question there, and the answer back."""
Steps = Iterator[Step]


class FarSide:
    """A side at the other end of a link. ``bytes``: what the questions and their answers came to."""

    def __init__(self, ask: Ask) -> None:
        """``ask`` raises RetryLater and PeerError."""
        self._ask = ask
        self._shape: Shape = {}

    def begin(self) -> tuple[Vector, Shape]:
        """See Side."""
        answer = self._put(do="begin")
        self._shape = _unpack(answer["tables"])
        return load_vector(answer["vector"]), self._shape

    def read(self, shared: Shared) -> Steps:
        """See Side."""
        yield from self._go_on([], do="read", without=_find_others(self._shape, shared))

    def ask_nodes(self, prefixes: Sequence[Prefix]) -> list[tuple[int, int]]:
        """See Side."""
        return self._ask_pairs("nodes", prefixes)

    def ask_rows(self, prefixes: Sequence[Prefix]) -> list[tuple[int, int]]:
        """See Side."""
        return sorted(self._ask_pairs("rows", prefixes))

    def find(self, shared: Shared, places: set[int], found: set[Row]) -> Steps:
        """See Side."""
        wanted = sorted(places)
        for start in range(0, len(wanted), AT_ONCE):
            rows: list[Any] = []
            part = wanted[start : start + AT_ONCE]
            for done, of in self._go_on(rows, do="find", places=part):
                yield start * of + done * len(part), len(wanted) * of
            found.update(_rows(rows))

    def tell(self, rows: Sequence[Row]) -> list[Told]:
        """See Side."""
        told: list[Told] = []
        while len(told) < len(rows):
            some = self._put(do="tell", rows=rows[len(told) : len(told) + AT_ONCE])["told"]
            told += [Told(shown, str(why)[:500]) for shown, why in _some(some)]
        return told

    def merged(self, rows: Sequence[Row]) -> tuple[Vector, list[Record]]:
        """See Side. No stamp is believed to be of the future: what is taken is written in our name."""
        seen, records, done = load_vector("{}"), list[Record](), 0
        while done < len(rows):
            answer = self._put(do="merged", rows=rows[done : done + AT_ONCE])
            seen = load_vector(answer["vector"])
            for found in _some(answer["records"]):
                records += [_clip(load_record(item, ""), int(time.time() * 1_000_000)) for item in found]
                done += 1
        return seen, records

    def take(self, records: Sequence[Record], seen: Vector) -> set[Row]:
        """See Side. A peer writes nothing because it is asked to: a person there runs the command."""
        return set()

    def _ask_pairs(self, what: str, prefixes: Sequence[Prefix]) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for start in range(0, len(prefixes), AT_ONCE):
            pairs = self._put(do=what, of=prefixes[start : start + AT_ONCE])[what]
            found += [(_whole(first), _whole(second)) for first, second in pairs]
        return found

    def _go_on(self, rows: list[Any], **question: Any) -> Steps:
        """Ask until all is done; ``rows`` takes those of the last answer."""
        while True:
            answer = self._put(**question)
            question = {"do": question["do"]}
            yield _whole(answer["done"]), _whole(answer["of"])
            if answer["done"] >= answer["of"]:
                rows += answer.get("rows", [])
                return

    def _put(self, **question: Any) -> Any:
        text = self._ask(json.dumps(question, ensure_ascii=False))
        try:
            answer = json.loads(text)
            if not isinstance(answer, dict):
                raise ValueError("not an object")
        except (ValueError, RecursionError) as error:
            raise PeerError("a malformed answer", why=str(error)) from error
        return _Answer(answer)


class _Answer(dict[str, Any]):
    """An answer whose missing parts are the other side's fault."""

    def __missing__(self, name: str) -> Any:
        raise PeerError("a malformed answer", why=f"it has no {name}")


class Respondent:
    """Answers the questions about one side, of one asker."""

    def __init__(self, side: Side, clock: Callable[[], float] = time.monotonic) -> None:
        """``clock``: seconds, for the length of a step."""
        self._side, self._clock = side, clock
        self._begun = False
        self._shape: Shape = {}
        self._shared: Shared = {}
        self._steps: Steps = iter(())
        self._found: set[Row] = set()

    def answer(self, text: str) -> str:
        """Return the answer to a question; raise PeerError when it is none."""
        try:
            question = json.loads(text)
            answering = ANSWERS[question["do"]]
            if not self._begun and question["do"] != "begin":
                raise PeerError("what was read for this comparison is gone", mend="run it again")
            answer = answering(self, question)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise PeerError("a malformed question", why=f"{type(error).__name__}: {error}") from error
        return json.dumps(answer, ensure_ascii=False)

    def _begin(self, question: Any) -> dict[str, Any]:
        vector, self._shape = self._side.begin()
        self._shared = _without(self._shape, {})
        self._begun = True
        return {"vector": dump_vector(vector), "tables": _pack(self._shape)}

    def _read(self, question: Any) -> dict[str, Any]:
        if "without" in question:
            self._shared = _without(self._shape, question["without"])
            self._steps = self._side.read(self._shared)
        return self._step()

    def _find(self, question: Any) -> dict[str, Any]:
        if "places" in question:
            self._found = set()
            places = {_whole(place) for place in question["places"][:AT_ONCE]}
            self._steps = self._side.find(self._shared, places, self._found)
        answer = self._step()
        return {**answer, "rows": sorted(self._found)} if answer["done"] >= answer["of"] else answer

    def _step(self) -> dict[str, Any]:
        """Go on for a while; nothing to go on with is the end."""
        until = self._clock() + STEP_S
        last = (1, 1)
        for step in self._steps:
            last = step
            if self._clock() >= until:
                break
        return {"done": last[0], "of": last[1]}

    def _nodes(self, question: Any) -> dict[str, Any]:
        return {"nodes": self._side.ask_nodes(_prefixes(question))}

    def _rows(self, question: Any) -> dict[str, Any]:
        prefixes = _prefixes(question)
        if any(rows > FEW for rows, _ in self._side.ask_nodes(prefixes)):
            raise PeerError("too many rows are below that node to be listed")
        return {"rows": self._side.ask_rows(prefixes)}

    def _tell(self, question: Any) -> dict[str, Any]:
        def tell(row: Row) -> Any:
            (told,) = self._side.tell([row])
            return [told.shown, told.why]

        return {"told": _fill(_rows(question["rows"]), tell)}

    def _merged(self, question: Any) -> dict[str, Any]:
        vector, _ = self._side.merged([])

        def merge(row: Row) -> Any:
            return [dump_record(record) for record in self._side.merged([row])[1]]

        return {"vector": dump_vector(vector), "records": _fill(_rows(question["rows"]), merge)}


ANSWERS: dict[str, Callable[[Respondent, Any], dict[str, Any]]] = {
    "begin": Respondent._begin,
    "read": Respondent._read,
    "find": Respondent._find,
    "nodes": Respondent._nodes,
    "rows": Respondent._rows,
    "tell": Respondent._tell,
    "merged": Respondent._merged,
}


def _fill(rows: Sequence[Row], tell: Callable[[Row], Any]) -> list[Any]:
    """Return what there is to tell of the first rows, as much as an answer holds, of one at least."""
    found: list[Any] = []
    size = 0
    for row in rows:
        item = tell(row)
        size += len(json.dumps(item, ensure_ascii=False))
        if found and size > LARGEST:
            break
        found.append(item)
    return found


def _some(found: Any) -> list[Any]:
    if not isinstance(found, list) or not found:
        raise PeerError("a malformed answer", why="it tells of no row")
    return found


def _clip(record: Record, now: int) -> Record:
    """Return a record of which nothing is stamped later than now."""

    def clip(written: Written) -> Written:
        return written if written.stamp is None else written._replace(stamp=min(written.stamp, now))

    return replace(
        record,
        written=clip(record.written),
        apart={column: clip(written) for column, written in record.apart.items()},
    )


def _find_others(shape: Shape, shared: Shared) -> dict[str, list[str] | None]:
    """Return what of these tables is not shared: the columns, or None for a whole table."""
    others: dict[str, list[str] | None] = {}
    for table, columns in shape.items():
        if table not in shared:
            others[table] = None
        elif left := sorted(columns.keys() - set(shared[table])):
            others[table] = left
    return others


def _without(shape: Shape, others: Any) -> Shared:
    """Return what is shared of these tables; the inverse of ``_find_others``."""
    return {
        table: tuple(sorted(columns.keys() - set(others.get(table, ()))))
        for table, columns in shape.items()
        if others.get(table, ()) is not None
    }


def _pack(shape: Shape) -> str:
    return b64encode(zlib.compress(json.dumps(shape, ensure_ascii=False).encode(), 9)).decode()


def _unpack(text: Any) -> Shape:
    """Return the tables that a peer has; raise PeerError."""
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(b64decode(str(text)), LARGEST_SHAPE)
        if unpacker.unconsumed_tail:
            raise ValueError("it is too large")
        return {
            check_name(table, TABLE_LENGTH): {
                check_name(c): (str(kind), str(type_)) for c, (kind, type_) in columns.items()
            }
            for table, columns in json.loads(data).items()
        }
    except (zlib.error, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise PeerError("a malformed answer", why=f"its tables: {error}") from error


def _prefixes(question: Any) -> list[Prefix]:
    """Return the nodes in a question."""
    found = [(_whole(bits), _whole(value)) for bits, value in question["of"][:AT_ONCE]]
    if any(bits > 64 or bits % 4 or value >> bits for bits, value in found) or len(set(found)) < len(found):
        raise ValueError("that is no node, or the same one twice")
    return found


def _rows(items: Any) -> list[Row]:
    return [
        Row(check_text(table, TABLE_LENGTH), check_text(key, KEY_LENGTH)) for table, key in items[:AT_ONCE]
    ]


def _whole(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 64:
        raise ValueError(f"{value!r:.80} is no number of 64 bits")
    return value
