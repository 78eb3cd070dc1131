"""The memo: durable before anybody is told, whole or not there."""

import os
from pathlib import Path

import pytest

from changecapture.errors import ConfigError
from changecapture.memo import Memo, Remembered

FIRST, SECOND = Remembered("a", 1, 5, "digest"), Remembered("a", 1, 6, "another")


@pytest.fixture
def synced(monkeypatch) -> list[tuple[str, bool]]:
    """What was synced to disk, by its name, and whether the memo stood in its place by then."""
    found: list[tuple[str, bool]] = []
    really = os.fsync

    def note(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        directory = path if path.is_dir() else path.parent
        found.append((path.name, (directory / "memo.json").exists()))
        really(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    return found


def test_what_was_kept_is_read_by_the_next_program(tmp_path):
    Memo(tmp_path / "state" / "memo.json").keep(FIRST)
    Memo(tmp_path / "state" / "memo.json").keep(SECOND)
    assert Memo(tmp_path / "state" / "memo.json").remembered == SECOND
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["memo.json"]


def test_memo_is_on_disk_before_it_takes_its_place_and_its_place_after(tmp_path, synced):
    Memo(tmp_path / "memo.json").keep(FIRST)
    assert synced == [(f"memo.{os.getpid()}", False), (tmp_path.name, True)]


def test_what_is_remembered_already_is_not_written_again(tmp_path, synced):
    memo = Memo(tmp_path / "memo.json")
    memo.keep(FIRST)
    synced.clear()
    memo.keep(FIRST)
    assert synced == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"origin": "a"}'])
def test_torn_memo_says_nothing(tmp_path, text):
    (tmp_path / "memo.json").write_text(text)
    assert Memo(tmp_path / "memo.json").remembered is None


def test_memo_that_cannot_be_written_is_said_with_what_mends_it(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot keep") as refused:
        Memo(tmp_path / "file" / "memo.json").keep(FIRST)
    assert "CHANGECAPTURE_STATE" in str(refused.value)
