"""Versions on disk: added whole or not at all, and never over another."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from callcost.errors import PriceError
from callcost.prices.book.archive import (
    INDEX,
    IndexLine,
    add_version,
    isoformat,
    microseconds,
    read_changes,
    read_index,
)


def line(name: str, base: str | None = None) -> IndexLine:
    """Return an index line with made-up particulars."""
    return IndexLine(name=name, effective_from="2025-01-01T00:00:00Z", source="made up", sha256="00", base=base)


def test_what_is_added_is_read_back(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there"
    add_version(folder, line("one"), {"b": b'{"mode":"chat"}', "a": b"null"})
    add_version(folder, line("two", "one"), {})
    assert [found.name for found in read_index(folder)] == ["one", "two"]
    assert [(c.model, bytes(c.entry)) for c in read_changes(folder, "one")] == [
        ("a", b"null"),
        ("b", b'{"mode":"chat"}'),
    ]
    assert read_changes(folder, "two") == []
    assert sorted(path.name for path in folder.iterdir()) == [INDEX, "one.jsonl.zst", "two.jsonl.zst"]


def test_adding_changes_nothing_that_is_there(tmp_path: Path) -> None:
    add_version(tmp_path, line("one"), {"a": b"{}"})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    add_version(tmp_path, line("two"), {"a": b"{}"})
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert after.pop(INDEX).startswith(before.pop(INDEX))
    assert before.items() <= after.items()


def test_a_name_is_given_once(tmp_path: Path) -> None:
    add_version(tmp_path, line("one"), {"a": b"{}"})
    with pytest.raises(PriceError, match="there is a price version one already"):
        add_version(tmp_path, line("one"), {})
    assert len(read_index(tmp_path)) == 1


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 101, "a\nb"])
def test_a_name_that_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PriceError, match="cannot name a price version"):
        add_version(tmp_path, line(name), {})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_add_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_version(tmp_path, line("one"), {"a": b"{}"})
    before = sorted(path.name for path in tmp_path.iterdir())

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(PriceError, match="No space left on device"):
        add_version(tmp_path, line("two"), {"a": b"{}"})
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_two_do_not_add_at_once_and_a_dead_ones_lock_is_taken_over(tmp_path: Path) -> None:
    lock = tmp_path / "index.lock"
    lock.touch()
    with pytest.raises(PriceError, match="another process is adding"):
        add_version(tmp_path, line("one"), {})
    an_hour_ago = time.time() - 3600
    os.utime(lock, (an_hour_ago, an_hour_ago))
    add_version(tmp_path, line("one"), {})
    assert not lock.exists()


def test_damage_is_named(tmp_path: Path) -> None:
    add_version(tmp_path, line("one"), {"a": b'{"mode":"chat"}'})
    path = tmp_path / "one.jsonl.zst"
    packed = path.read_bytes()
    for damaged in (packed[:-3], b"", packed[:-1] + bytes([packed[-1] ^ 1])):
        path.write_bytes(damaged)
        with pytest.raises(PriceError, match="cannot read the price version one"):
            read_changes(tmp_path, "one")
    path.unlink()
    with pytest.raises(PriceError, match="cannot read the price version one"):
        read_changes(tmp_path, "one")
    (tmp_path / INDEX).write_bytes(b'{"name": "one"')
    with pytest.raises(PriceError, match="damaged index"):
        read_index(tmp_path)


def test_a_folder_that_cannot_be_made_is_a_price_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PriceError, match="cannot write to"):
        add_version(tmp_path / "file" / "prices", line("one"), {})
    assert read_index(tmp_path / "file" / "prices") == []


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2024-06-01", "2024-06-01T00:00:00Z"),
        ("2024-06-01T02:00:00+02:00", "2024-06-01T00:00:00Z"),
        ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500000Z"),
        ("2024-06-01 12:30", "2024-06-01T12:30:00Z"),
    ],
)
def test_a_moment_is_exact_and_utc_unless_it_says_otherwise(text: str, same: str) -> None:
    assert isoformat(microseconds(text)) == same
