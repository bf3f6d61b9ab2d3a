"""What runs say off a terminal, compared with what a person has read: what was done, or why not.

Each expected file holds a command, its exit code and what it wrote to stderr, then the same with --quiet. On failure
the actual files lie in tests/golden/actual; after reading the difference, copy them over expected/runs.
"""

from __future__ import annotations

import dataclasses
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.command import callcost, write_lines

HERE = Path(__file__).parent
MOST_LINES = 20


def _row(number: int, **more: Any) -> dict[str, Any]:
    """A call of November 2025 that states its usage; a day has ten of them, two users make them."""
    return {
        "id": f"call-{number}",
        "timestamp": f"2025-11-{1 + number // 10:02}T08:{number % 60:02}:00Z",
        "model": ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5-20250929")[number % 3],
        "user": ("ana.silva", "bo.larsen")[number % 2],
        "messages": [{"role": "user", "content": "Well?"}],
        "response": "Fine.",
        "usage": {"prompt_tokens": 1000 + number, "completion_tokens": 100},
        **more,
    }


def _write_good(folder: Path) -> None:
    write_lines(folder / "logs/a.jsonl", [_row(number) for number in range(40)])
    write_lines(folder / "logs/b.jsonl", [_row(number) for number in range(30, 60)])


def _write_mixed(folder: Path) -> None:
    _write_good(folder)
    rows = [_row(100 + number, model=model) for number, model in enumerate(["gtp-4o"] * 3 + ["acme-llm-9"] * 2)]
    undated = [_row(200, timestamp=None), _row(201, timestamp="who knows")]
    uncounted = {**_row(202), "usage": None}
    bad = [b"{", b"[1]", b'{"nothing": "known"}', b'{"nothing": 1}']
    write_lines(folder / "logs/c.jsonl", [*rows, *undated, uncounted, *bad])


def _write_unknown(folder: Path) -> None:
    models = ["gtp-4o"] * 3 + ["acme-llm-9"] * 2 + ["claude-sonet-4-5-20250929", "house/private-1", "gpt-4o"]
    write_lines(folder / "logs/a.jsonl", [_row(number, model=model) for number, model in enumerate(models)])


def _write_rejects(folder: Path) -> None:
    write_lines(folder / "logs/a.jsonl", [{"nothing": "known"}, {"no": "call"}, {"at": "all"}, b"{"])


def _write_empty(folder: Path) -> None:
    write_lines(folder / "logs/a.jsonl", [])


def _write_logged(folder: Path) -> None:
    rows = [_row(number, cost=0.003 if number % 4 else 0.005) for number in range(40)]
    write_lines(folder / "logs/a.jsonl", rows)


def _write_unfilled(folder: Path) -> None:
    rows = [{**_row(number), "usage": None} for number in range(5)]
    write_lines(folder / "logs/a.jsonl", [*rows, *(_row(number) for number in range(5, 9)), {"nothing": "known"}])
    write_lines(folder / "logs/b.jsonl", [_row(number) for number in range(9, 12)])


def _run_before(folder: Path) -> None:
    _write_good(folder)
    assert callcost(*STATE).code == 0


def _run_before_more(folder: Path) -> None:
    _run_before(folder)
    write_lines(folder / "logs/c.jsonl", [_row(5, id="late"), *(_row(number) for number in range(60, 65))])


REPORT = ("report", "logs", "--out", "reports")
STATE = (*REPORT, "--state", "state")


@dataclasses.dataclass(frozen=True)
class Run:
    """A command, what lies there before it, and the code that it ends with."""

    prepare: Callable[[Path], None]
    words: tuple[str, ...]
    code: int = 0


RUNS = {
    "good": Run(_write_good, REPORT),
    "empty": Run(_write_empty, REPORT, 1),
    "filtered_empty": Run(_write_mixed, (*REPORT, "--since", "2026-01-01"), 0),
    "filtered": Run(_write_mixed, (*REPORT, "--since", "2025-11-02", "--until", "2025-11-05", "--where", "model=gpt*")),
    "only_rejects": Run(_write_rejects, REPORT, 1),
    "gate_crossed": Run(_write_mixed, (*REPORT, "--max-unpriced", "1", "--max-rejected", "0.1", "--strict"), 3),
    "unknown_models": Run(_write_unknown, (*REPORT, "--by", "model,day")),
    "no_files": Run(_write_good, ("report", "logs/*.parquet", "--out", "reports"), 1),
    "state_unchanged": Run(_run_before, STATE),
    "state_changed": Run(_run_before_more, (*STATE, "--max-late", "10"), 3),
    "reconcile": Run(_write_logged, ("reconcile", "logs", "--out", "gap", "--tolerance", "0.5%"), 3),
    "backfill": Run(_write_unfilled, ("backfill", "logs", "--out", "filled"), 0),
}


@pytest.mark.parametrize("name", RUNS)
def test_what_a_run_says_off_a_terminal_is_what_was_read(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RUNS[name]
    shown = ""
    for number, words in enumerate((run.words, (*run.words, "--quiet"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)  # so that no path of this machine is in a text
        run.prepare(folder)
        done = callcost(*words)
        assert (done.code, done.stdout) == (run.code, ""), done.stderr
        _assert_plain(done.stderr)
        assert done.stderr or (number == 1 and run.code == 0)
        shown += f"$ callcost {' '.join(words)}\n{done.stderr}exit {done.code}\n\n"
    _compare(name, shown)


@pytest.mark.parametrize("words", [REPORT, STATE], ids=["alone", "with a state"])
def test_an_interrupted_run_says_what_the_next_one_does(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C comes when the first log is read."""
    _write_good(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("callcost.cli.terminal.summary.Watcher.advance", lambda *_: signal.raise_signal(signal.SIGINT))
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background has none
    try:
        done = callcost(*words)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert (done.code, done.stdout) == (130, "")
    _assert_plain(done.stderr)
    shown = f"$ callcost {' '.join(words)}\n{done.stderr}exit {done.code}\n"
    _compare("interrupted" if words == REPORT else "interrupted_with_a_state", shown)


def _assert_plain(text: str) -> None:
    """Check that it is a few lines of plain text: no bar, no colour, no frame of a table."""
    assert len(text.splitlines()) <= MOST_LINES, text
    assert text.isascii(), text
    assert "\x1b" not in text
    assert "\r" not in text


def _compare(name: str, shown: str) -> None:
    expected = HERE / "expected/runs" / f"{name}.txt"
    if not expected.exists() or expected.read_text(encoding="utf-8") != shown:
        (HERE / "actual").mkdir(exist_ok=True)
        (HERE / "actual" / f"{name}.txt").write_text(shown, encoding="utf-8")
    assert shown.splitlines() == expected.read_text(encoding="utf-8").splitlines()
