"""Logs asked a second time are not read again, and nobody can tell by the answers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.jobs.engine.map_reduce import Settled, settle_found
from callcost.jobs.state import read_once
from callcost.logs.io.folders import folder_at
from callcost.runners.locks import hold_lock
from callcost.settings import ReportOptions
from callcost.stages.tasks import MapTask, Tick, map_inputs
from callcost.tables import MapResult, ReduceResult
from tests.command import callcost, report, write_lines
from tests.conftest import examples

LONG_AGO = 1_700_000_000
SQL = "SELECT * FROM calls"


def row(name: str | None, tokens: int = 10, **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": tokens, "completion_tokens": 5}
    return {"id": name, "model": "gpt-4o", "timestamp": "2025-03-01T08:00:00Z", "usage": usage, **more}


def write(path: Path, rows: list[Any]) -> Path:
    """Write a log that is no longer young."""
    write_lines(path, rows)
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of answers of a user who keeps them."""
    monkeypatch.delenv("CALLCOST_NO_CACHE")
    monkeypatch.setenv("CALLCOST_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / read_once.PLACE


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    write(tmp_path / "logs" / "a.jsonl", [row("a"), row("b"), row(None), row(None), b"{"])
    write(tmp_path / "logs" / "b.jsonl", [row("b"), row("c", 20), row(None)])
    return tmp_path / "logs"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the logs that are read from now on."""
    found: list[str] = []

    def noting(task: MapTask, tick: Tick) -> MapResult:
        found.extend(piece.source.name for piece in task.pieces)
        return map_inputs(task, tick)

    monkeypatch.setattr(read_once, "map_inputs", noting)
    return found


def answers(source: Path) -> tuple[str, ...]:
    """Return what commands say of a source, with whatever is kept and without."""
    asked = (
        ("query", source, SQL, "--format", "csv"),
        ("report", source, "--by", "source_file", "--out", "-"),
    )
    kept, anew = ([callcost(*words, *more) for words in asked] for more in ((), ("--no-cache",)))
    for one, other in zip(kept, anew, strict=True):
        assert (one.code, one.stdout, one.stderr) == (other.code, other.stdout, other.stderr)
    return tuple(one.stdout for one in kept)


def test_a_second_question_reads_nothing(cache: Path, logs: Path, read: list[str]) -> None:
    first = answers(logs)
    assert sorted(read) == ["logs/a.jsonl", "logs/b.jsonl"]
    assert answers(logs) == first
    assert callcost("compare", logs, logs, "--by", "user").code == 0
    assert callcost("explain", logs, "--call", "c").code == 0
    assert len(read) == 2
    for folder in (cache, *cache.iterdir()):
        assert folder.stat().st_mode & 0o777 == 0o700
    write(logs / "c.jsonl", [row("d")])
    assert answers(logs) != first
    assert read[2:] == ["logs/c.jsonl"]
    (logs / "c.jsonl").unlink()
    assert answers(logs) == first
    assert len(read) == 3
    assert callcost("query", logs, SQL, "--item-timeout", "9").code == 0
    assert len(read) == 5  # counted in another way


def test_small_logs_share_what_is_kept(cache: Path, logs: Path, read: list[str]) -> None:
    more = [write(logs / f"{n}.jsonl", [row(f"m{n}"), b"{"]) for n in range(8)]
    answers(logs)
    (place,) = cache.iterdir()
    assert len([*place.rglob("entry.json")]) == 1
    read.clear()
    for log in more:
        log.unlink()
    write(more[0], [row("m", 7), b"["])
    answers(logs)
    assert read == ["logs/0.jsonl"]
    (logs / "a.jsonl").unlink()
    answers(logs)  # so little of the first ten is left that it is read again
    assert read[1:] == ["logs/b.jsonl"]
    assert len([*place.rglob("entry.json")]) == 2


def test_what_was_counted_together_is_read_again_together(cache: Path, tmp_path: Path, read: list[str]) -> None:
    logs = tmp_path / "logs"
    for name in ("a", "b"):
        said = {"prompt": f"How are you, {name}?", "response": "Well."}
        write(logs / f"{name}.jsonl", [{**row(name), **said, "usage": None}])
    answers(logs)
    read.clear()
    _touch(logs / "a.jsonl")
    answers(logs)
    assert read == ["logs/a.jsonl", "logs/b.jsonl"]
    assert cache.exists()


def test_which_calls_are_copies_is_asked_once(cache: Path, logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def noting(options: ReportOptions, found: Settled) -> ReduceResult:
        asked.append(len(found.tables("facts")))
        return settle_found(options, found)

    monkeypatch.setattr(read_once, "settle_found", noting)
    first = answers(logs)
    assert asked == [1]  # small logs are one table from then on
    assert answers(logs) == first
    assert asked == [1]
    write(logs / "c.jsonl", [row("a", 99)])
    assert answers(logs) != first
    assert asked == [1, 1]
    assert cache.exists()


def test_what_writes_results_keeps_nothing(cache: Path, logs: Path, tmp_path: Path) -> None:
    report([logs], tmp_path / "out")
    report([logs], tmp_path / "nightly", "--state", tmp_path / "state")
    for verb in ("reconcile", "backfill"):
        assert callcost(verb, logs, "--out", tmp_path / verb).code in {0, 1}
    assert not cache.exists()


def test_nothing_is_kept_where_the_user_says_so(
    cache: Path, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    callcost("query", logs, SQL, "--no-cache")
    monkeypatch.setenv("CALLCOST_NO_CACHE", "1")
    callcost("query", logs, SQL)
    assert not cache.exists()


def test_the_place_is_the_users_cache(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALLCOST_NO_CACHE")
    monkeypatch.delenv("CALLCOST_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    callcost("query", logs, SQL)
    assert len([*(tmp_path / "xdg" / "callcost" / read_once.PLACE).iterdir()]) == 1


def _change_a_byte(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"prompt_tokens": 10', b'"prompt_tokens": 99', 1))
    os.utime(path, (LONG_AGO, LONG_AGO))


def _put_a_folder(path: Path) -> None:
    path.unlink()
    write(path / "a.jsonl", [row("f")])


def _touch(path: Path) -> None:
    os.utime(path, (LONG_AGO + 9, LONG_AGO + 9))


CHANGES: dict[str, Callable[[Path], object]] = {
    "a byte in the middle, with the old time": _change_a_byte,
    "another file of the same size": lambda path: write(path, [row("x"), row("y"), row(None), row(None), b"{"]),
    "a line more": lambda path: write(path, [row("a"), row("b"), row("e")]),
    "nothing but the time": _touch,
    "a copy in its place": lambda path: shutil.move(shutil.copy2(path, f"{path}.new"), path),
    "a folder in its place": _put_a_folder,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_log_that_changed_is_read_again(
    cache: Path, logs: Path, read: list[str], change: Callable[[Path], object]
) -> None:
    answers(logs)
    read.clear()
    change(logs / "a.jsonl")
    answers(logs)
    assert len(read) == 1
    assert cache.exists()


def test_what_may_still_change_is_not_kept(
    cache: Path, logs: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (logs / "b.jsonl").touch()
    answers(logs)
    read.clear()
    answers(logs)
    assert {*read} <= {"logs/b.jsonl"}
    os.utime(logs / "b.jsonl", (LONG_AGO, LONG_AGO))
    answers(logs)
    read.clear()

    def late(task: MapTask, tick: Tick) -> MapResult:
        found = map_inputs(task, tick)
        found.timed_out = [(task.pieces[0].number, task.pieces[0].source.name, 1)]
        read.append(task.pieces[0].source.name)
        return found

    monkeypatch.setattr(read_once, "map_inputs", late)
    os.utime(logs / "b.jsonl", (LONG_AGO + 1, LONG_AGO + 1))
    for _ in range(2):
        callcost("query", logs, SQL)
    assert read == ["logs/b.jsonl"] * 2
    assert cache.exists()


def _spoil(place: Path) -> None:
    for path in place.rglob("*"):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-9] + b"spoiled!!")


def _lose_the_ledger(place: Path) -> None:
    for path in place.glob("*.json"):
        path.unlink()


def _put_a_file(place: Path) -> None:
    shutil.rmtree(place / "inputs")
    (place / "inputs").write_bytes(b"")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "every file": _spoil,
    "the ledger is gone": _lose_the_ledger,
    "the results are gone": lambda place: shutil.rmtree(place / "inputs"),
    "one file of facts": lambda place: next(place.rglob("facts-*")).write_bytes(b"PAR1"),
    "one file of verdicts": lambda place: next(place.glob("verdicts-*")).write_bytes(b"PAR1"),
    "one entry": lambda place: next(place.rglob("entry.json")).write_bytes(b"{}"),
    "another file": lambda place: (place / "inputs" / "stray").write_bytes(b"x"),
    "a file in the place of a folder": _put_a_file,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_is_damaged_is_made_anew(
    cache: Path, logs: Path, read: list[str], damage: Callable[[Path], object]
) -> None:
    first = answers(logs)
    (place,) = cache.iterdir()
    damage(place)
    assert answers(logs) == first
    read.clear()
    assert answers(logs) == first
    assert not read


def test_a_process_that_finds_another_one_there_reads_by_itself(cache: Path, logs: Path, read: list[str]) -> None:
    first = answers(logs)
    (place,) = cache.iterdir()
    with hold_lock(folder_at(str(place)), "another"):
        assert answers(logs) == first
    assert len(read) == 2
    place.chmod(0o500)
    try:
        assert answers(logs) == first
    finally:
        place.chmod(0o700)


def test_the_oldest_go_first(cache: Path, logs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    callcost("query", logs / "a.jsonl", SQL)
    (old,) = cache.iterdir()
    os.utime(old, (LONG_AGO, LONG_AGO))
    size = sum(path.stat().st_size for path in old.rglob("*") if path.is_file())
    monkeypatch.setattr(read_once, "MOST_BYTES", size * 3 // 2)
    callcost("query", logs / "b.jsonl", SQL)
    (left,) = cache.iterdir()
    assert left != old
    monkeypatch.setattr(read_once, "MOST_BYTES", 0)
    answers(logs)
    assert not [*cache.iterdir()]


def test_answers_of_a_batch_follow_its_requests(cache: Path, tmp_path: Path, read: list[str]) -> None:
    logs = tmp_path / "logs"
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "How are you?"}]}
    asked = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    answer = {"model": "gpt-4o", "choices": [{"message": {"role": "assistant", "content": "Well."}}]}
    write(logs / "out.jsonl", [{"custom_id": "1", "response": {"status_code": 200, "body": answer}, "error": None}])
    first = answers(logs)
    write(logs / "in.jsonl", [asked])
    assert answers(logs) != first
    write(logs / "other.jsonl", [row("z")])
    answers(logs)
    (logs / "in.jsonl").unlink()
    (logs / "other.jsonl").unlink()
    assert answers(logs) == first
    assert read.count("logs/other.jsonl") == 1


ROWS = st.lists(
    st.builds(row, st.sampled_from(["a", "b", "c", None]), st.integers(0, 99), user=st.sampled_from(["ana", "bo"])),
    max_size=5,
)


@examples(5, 50)
@given(rounds=st.lists(st.dictionaries(st.sampled_from(["a", "b", "c"]), ROWS, min_size=1), min_size=2, max_size=3))
def test_answers_are_the_same_whatever_is_kept(
    rounds: list[dict[str, list[Any]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CALLCOST_NO_CACHE")
        patch.setenv("CALLCOST_CACHE_DIR", str(folder / "cache"))
        for n, files in enumerate(rounds):
            shutil.rmtree(folder / "logs", ignore_errors=True) if n % 2 else None
            for name, rows in files.items():
                write(folder / "logs" / f"{name}.jsonl", rows or [row("only")])
            answers(folder / "logs")


def test_a_log_that_grows_while_it_is_read_is_read_again(
    cache: Path, logs: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def growing(task: MapTask, tick: Tick) -> MapResult:
        found = map_inputs(task, tick)
        with (logs / "b.jsonl").open("ab") as stream:
            stream.write(b"{}\n")
        os.utime(logs / "b.jsonl", (LONG_AGO, LONG_AGO))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(read_once, "map_inputs", growing)
        callcost("query", logs, SQL)
    assert cache.exists()
    answers(logs)
