"""The ledger knows what was read and published, and says so when it cannot be believed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from callcost.errors import RunError
from callcost.logs.io.folders import folder_at
from callcost.runners.entries import Entry, Stamp, stamp_of
from callcost.runners.ledger import COPY, LEDGER, Ledger


def _ledger(folder: Path, *, rebuild: bool = False) -> Ledger:
    return Ledger(folder_at(str(folder)), rebuild=rebuild)


def _keep(ledger: Ledger, number: int, path: str, text: str, replaces: tuple[int, ...] = ()) -> Entry:
    made = Path(ledger.folder.place, f"made-{number}")
    made.mkdir()
    (made / "facts-1.parquet").write_text(text, encoding="utf-8")
    stamp = Stamp(path=path, bytes=len(text), mtime_ns=number)
    facts = {"rows": number}
    entry = Entry(number=number, stamp=stamp, name=path, sha256=text, made="", facts=facts, replaces=replaces)
    ledger.keep(entry, made)
    ledger.next_number = number + 1
    return ledger.entries[number]


def test_what_was_kept_is_there_for_the_next_run_even_without_a_commit(tmp_path: Path) -> None:
    entry = _keep(_ledger(tmp_path), 1, "/a", "x")
    again = _ledger(tmp_path)
    assert again.entries == {1: entry}
    assert again.next_number == 2
    assert again.published == {}


def test_what_an_entry_stands_for_goes_with_the_commit_and_counts_no_more(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path)
    _, new = _keep(ledger, 1, "/a", "x"), _keep(ledger, 2, "/a", "y", (1,))
    assert _ledger(tmp_path).entries == {2: new}
    assert ledger.folder.names("inputs/00000001")
    ledger.commit({"what": "abc"})
    assert not ledger.folder.names("inputs/00000001")
    assert _ledger(tmp_path).published == {"what": "abc"}


def test_two_entries_of_a_path_are_two_logs(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path)
    entries = [_keep(ledger, 1, "/a", "x"), _keep(ledger, 2, "/a", "y")]
    ledger.commit({})
    assert list(_ledger(tmp_path).entries.values()) == entries


def test_what_is_discarded_leaves_what_it_stood_for(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path)
    old, new = _keep(ledger, 1, "/a", "x"), _keep(ledger, 2, "/a", "y", (1,))
    ledger.discard(new)
    assert ledger.entries == _ledger(tmp_path).entries == {1: old}


def test_a_removal_that_was_ended_brings_nothing_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = _ledger(tmp_path)
    _, new = _keep(ledger, 1, "/a", "x"), _keep(ledger, 2, "/a", "y", (1,))
    monkeypatch.setattr(ledger, "_remove", lambda _: None)
    ledger.commit({})
    assert ledger.folder.names("inputs/00000001")
    assert _ledger(tmp_path).entries == {2: new}


def test_an_entry_that_no_ledger_knows_and_that_is_damaged_is_refused_by_name(tmp_path: Path) -> None:
    _keep(_ledger(tmp_path), 1, "/a", "x")
    entry = tmp_path / "inputs/00000001/entry.json"
    entry.write_bytes(entry.read_bytes().replace(b'"name": "/a"', b'"name": "/b"'))
    with pytest.raises(RunError, match=r"inputs/00000001/entry.json is damaged.*--rebuild"):
        _ledger(tmp_path)
    again = _ledger(tmp_path, rebuild=True)
    assert (again.entries, again.dropped) == ({}, ["inputs/00000001/entry.json"])
    assert again.next_number == 2  # the place is not free yet
    again.commit({})
    assert again.folder.names("inputs") == []


@pytest.mark.parametrize("damage", ["flip", "gone"])
@pytest.mark.parametrize("file", ["entry.json", "facts-1.parquet"])
def test_an_entry_that_is_not_as_it_was_is_lost_and_what_it_was_is_known(
    tmp_path: Path, damage: str, file: str
) -> None:
    ledger = _ledger(tmp_path)
    entry = _keep(ledger, 1, "/a", "x")
    ledger.commit({})
    path = tmp_path / "inputs/00000001" / file
    data = path.read_bytes()
    path.unlink()
    if damage == "flip":
        path.write_bytes(bytes([data[0] ^ 1, *data[1:]]))
    again, work = _ledger(tmp_path), tmp_path / "work"
    work.mkdir()
    again.check(work)
    assert again.entries == {}
    assert (again.lost[1].file, again.lost[1].stamp) == (f"inputs/00000001/{file}", entry.stamp)


def test_results_that_are_not_as_they_were_are_refused(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path)
    entry = _keep(ledger, 1, "/a", "x")
    (tmp_path / "inputs/00000001/facts-1.parquet").write_text("y", encoding="utf-8")
    with pytest.raises(RunError, match=r"inputs/00000001/facts-1.parquet is damaged"):
        ledger.local_files([entry], tmp_path)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"schema_version": 1}', "cut", "edited", "version", None])
def test_a_damaged_ledger_is_read_from_its_copy_and_refused_without(tmp_path: Path, damage: str | None) -> None:
    _keep(_ledger(tmp_path), 1, "/a", "x")
    _ledger(tmp_path).commit({"what": "abc"})
    text = (tmp_path / LEDGER).read_text(encoding="utf-8")
    texts = {"cut": text[:-9], "edited": text.replace("abc", "abd"), "version": text.replace('sion": 2', 'sion": 0')}
    for name in (LEDGER, COPY):
        assert _ledger(tmp_path).published == {"what": "abc"}
        if damage is None:
            (tmp_path / name).unlink()
        else:
            (tmp_path / name).write_text(texts.get(damage, damage), encoding="utf-8")
    with pytest.raises(RunError, match=r"ledger\.json is (damaged|not there)\. .*--rebuild"):
        _ledger(tmp_path)
    again = _ledger(tmp_path, rebuild=True)
    assert (list(again.entries), again.dropped) == ([1], [LEDGER])


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    _ledger(tmp_path).commit({})
    path = tmp_path / LEDGER
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"schema_version": 99}), encoding="utf-8")
    with pytest.raises(RunError, match="from a newer callcost"):
        _ledger(tmp_path)


def test_sweeping_removes_what_a_killed_run_left_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".callcost-work-x" / "below").mkdir(parents=True)
    (tmp_path / "day").mkdir()
    for name in (".callcost-work-x/below/facts", "day/calls.parquet.callcost-tmp", "day/calls.parquet"):
        (tmp_path / name).touch()
    folder_at(str(tmp_path)).prepare()
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "day",
        "day/calls.parquet",
    ]


def test_a_file_that_is_gone_has_no_stamp(tmp_path: Path) -> None:
    assert stamp_of(str(tmp_path / "gone")) is None
