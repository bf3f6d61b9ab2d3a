"""The ledger knows what was read and published, and says so when it cannot be believed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.errors import RunError
from pipeline.logs.folders import folder_at
from pipeline.runners.ledger import Entry, Ledger, Stamp, stamp_of


def _ledger(folder: Path) -> Ledger:
    return Ledger(folder_at(str(folder)))


def _keep(ledger: Ledger, number: int, path: str, text: str) -> Entry:
    made = Path(ledger.folder.place, f"made-{number}")
    made.mkdir()
    (made / "facts").write_text(text, encoding="utf-8")
    stamp = Stamp(path=path, bytes=len(text), mtime_ns=number)
    entry = Entry(number=number, stamp=stamp, name=path, sha256=text, made="", facts={"rows": number})
    ledger.keep(entry, made)
    return entry


def test_what_was_kept_is_there_for_the_next_run_even_without_a_commit(tmp_path: Path) -> None:
    entry = _keep(_ledger(tmp_path), 1, "/a", "x")
    again = _ledger(tmp_path)
    assert again.entries == {"/a": entry}
    assert again.next_number == 2
    assert again.published == {}


def test_the_newest_of_a_path_counts_and_the_other_goes_with_the_commit(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path)
    _, new = _keep(ledger, 1, "/a", "x"), _keep(ledger, 2, "/a", "y")
    assert _ledger(tmp_path).entries == {"/a": new}
    assert ledger.folder.names("inputs/00000001")
    ledger.commit({"what": "abc"})
    assert not ledger.folder.names("inputs/00000001")
    assert _ledger(tmp_path).published == {"what": "abc"}


def test_what_is_no_entry_goes_with_the_commit(tmp_path: Path) -> None:
    ledger = _ledger(tmp_path)
    _keep(ledger, 1, "/a", "x")
    (tmp_path / "inputs/00000001/entry.json").write_text("{", encoding="utf-8")
    again = _ledger(tmp_path)
    assert again.entries == {}
    assert again.next_number == 2  # the place is not free yet
    again.commit({})
    assert again.folder.names("inputs") == []


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"schema_version": 1}', "cut", "edited"])
def test_a_damaged_ledger_is_refused_with_what_to_do(tmp_path: Path, damage: str) -> None:
    _ledger(tmp_path).commit({"what": "abc"})
    path = tmp_path / "ledger.json"
    text = path.read_text(encoding="utf-8")
    texts = {"cut": text[:-9], "edited": text.replace("abc", "abd")}
    path.write_text(texts.get(damage, damage), encoding="utf-8")
    with pytest.raises(RunError, match=r"is damaged\. Remove it"):
        _ledger(tmp_path)
    path.unlink()
    assert _ledger(tmp_path).published == {}


def test_a_newer_ledger_is_refused(tmp_path: Path) -> None:
    _ledger(tmp_path).commit({})
    path = tmp_path / "ledger.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"schema_version": 99}), encoding="utf-8")
    with pytest.raises(RunError, match="from a newer callcost"):
        _ledger(tmp_path)


def test_sweeping_removes_what_a_killed_run_left_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".callcost-run-x" / "below").mkdir(parents=True)
    (tmp_path / "day").mkdir()
    for name in (".callcost-run-x/below/facts", "day/calls.parquet.callcost-tmp", "day/calls.parquet"):
        (tmp_path / name).touch()
    folder_at(str(tmp_path)).sweep()
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "day",
        "day/calls.parquet",
    ]


def test_a_file_that_is_gone_has_no_stamp(tmp_path: Path) -> None:
    assert stamp_of(str(tmp_path / "gone")) is None
