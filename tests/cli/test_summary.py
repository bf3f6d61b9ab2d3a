"""What a report says of itself: which filter left what out, why records were rejected, what a gate found."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.cli.terminal.summary import MOST_LINES, Watcher
from tests.command import callcost, report, write_lines
from tests.conftest import examples


def _row(number: int, when: Any, **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    return {"id": f"c-{number}", "timestamp": when, "model": "gpt-4o", "user": "ana", "usage": usage, **more}


def _days(count: int) -> list[dict[str, Any]]:
    return [_row(number, f"2025-11-{1 + number:02}T08:00:00Z") for number in range(count)]


@given(
    days=st.lists(st.none() | st.integers(1, 28), min_size=1, max_size=12),
    since=st.none() | st.integers(1, 20), length=st.none() | st.integers(1, 8), model=st.sampled_from(["", "*", "o3"]),
)  # fmt: skip
@examples(15, 200)
def test_each_call_that_is_left_out_has_one_cause(
    tmp_path_factory: pytest.TempPathFactory, days: list[int | None], since: int | None, length: int | None, model: str
) -> None:
    folder = tmp_path_factory.mktemp("filters")
    rows = [_row(number, day and f"2025-11-{day:02}T08:00:00Z") for number, day in enumerate(days)]
    until = None if length is None else (since or 1) + length
    flags = [
        *(["--since", f"2025-11-{since:02}"] if since else []), *(["--until", f"2025-11-{until:02}"] if until else []),
        *(["--where", f"model={model}"] if model else []),
    ]  # fmt: skip
    done = report([write_lines(folder / "a.jsonl", rows)], folder / "out", *flags)
    bounded = since is not None or until is not None
    dated = [day for day in days if day is not None]
    inside = [
        day for day in days
        if (not bounded if day is None else (since or 0) <= day < (until or 99))
    ]  # fmt: skip
    expected = {
        "undated": len(days) - len(dated) if bounded else 0,
        "since": sum(day < (since or 0) for day in dated),
        "until": sum(day >= (until or 99) for day in dated if day >= (since or 0)),
        "where model=o3": len(inside) if model == "o3" else 0,
    }
    assert done.manifest["filtered_by"] == {name: count for name, count in expected.items() if count}
    assert done.records["filtered"] == sum(expected.values())
    times = [f"2025-11-{day:02}T08:00:00+00:00" for day in dated]
    assert (done.manifest["first_at"], done.manifest["last_at"]) == (min(times, default=None), max(times, default=None))


def test_an_empty_result_says_which_filter_emptied_it(tmp_path: Path, out: Path) -> None:
    log = write_lines(tmp_path / "a.jsonl", [*_days(28), _row(99, None)])
    done = report([log], out, "--since", "2026-01-01", "--timezone", "Asia/Tokyo")
    assert "all 29 calls are left out: 28 before --since 2026-01-01, 1 without a time" in done.stderr
    assert "the logs run from 2025-11-01 08:00Z to 2025-11-28 08:00Z" in done.stderr
    done = report([log], out, "--where", "user=bo*", "--until", "2025-11-03T06:00:00Z")
    assert "26 not before --until 2025-11-03T06:00+00:00, 2 not --where user=bo*, 1 without a time" in done.stderr


def test_the_commonest_reasons_of_rejects_have_a_place_each(tmp_path: Path, out: Path) -> None:
    bad = [b"[1]", b"{", b'{"no": 1}', b"[2]", b"[3]", b'{"no": 2}', b'{"id": "a", "usage": {"prompt_tokens": -1}}']
    done = report([write_lines(tmp_path / "a.jsonl", [*_days(12), *bad])], out)
    line = next(line for line in done.stderr.splitlines() if "rejected" in line)
    assert line.startswith("7 of 19 records rejected: not_an_object 3 (first: a.jsonl:13), unknown_dialect 2")
    assert "(first: a.jsonl:15)" in line
    assert line.endswith(", and 1 more reason")
    counted: dict[str, int] = {}
    for reject in done.rejects:
        counted[reject["reason"]] = counted.get(reject["reason"], 0) + 1
    assert {row["reason"]: row["records"] for row in done.manifest["reject_reasons"]} == counted


def test_a_place_is_a_row_of_the_file_also_where_it_is_read_in_pieces(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcost.stages.read.splits.PIECE_BYTES", 4096)
    rows = [_row(number, "2025-11-01T08:00:00Z") for number in range(400)]
    log = write_lines(tmp_path / "a.jsonl", [*rows, b"{", *rows[:5], b"{"])
    (reason,) = report([log], out).manifest["reject_reasons"]
    assert reason == {"reason": "broken_json", "records": 2, "first": "a.jsonl:401"}


def test_only_a_name_that_is_really_near_is_meant(tmp_path: Path, out: Path) -> None:
    models = ["gtp-4o", "acme-llm-9", "claude-sonet-4-5-20250929"]
    rows = [_row(number, "2025-11-01T08:00:00Z", model=model) for number, model in enumerate(models)]
    done = report([write_lines(tmp_path / "a.jsonl", rows)], out)
    assert "did you mean 'gpt-4o'?" in done.stderr
    assert "did you mean 'claude-sonnet-4-5-20250929'?" in done.stderr
    assert "acme-llm-9" not in done.manifest["near_names"]


def test_an_alias_of_what_no_version_knows_is_named_with_its_target(tmp_path: Path, out: Path) -> None:
    (tmp_path / "mine.toml").write_text('[aliases]\n"gpt-4o" = "nope"\n"o3" = "gtp-4o"\n', encoding="utf-8")
    rows = [_row(number, "2025-11-01T08:00:00Z", model=model) for number, model in enumerate(("gpt-4o", "o3"))]
    log = write_lines(tmp_path / "a.jsonl", rows)
    done = report([log], out, "--prices-override", tmp_path / "mine.toml")
    assert "alias of 'nope', which no version knows)" in done.stderr
    assert "alias of 'gtp-4o', which no version knows; did you mean 'gpt-4o'?)" in done.stderr
    assert done.manifest["alias_targets"] == {"gpt-4o": "nope", "o3": "gtp-4o"}
    assert done.manifest["near_names"] == {"o3": "gpt-4o"}
    shown = callcost("prices", "show", "gpt-4o", "--prices-override", tmp_path / "mine.toml")
    assert "unknown model 'gpt-4o': an alias of 'nope', which no version knows" in shown.stderr
    assert "'gpt-4o'" not in shown.stderr.split("knows")[1]


@pytest.mark.parametrize("words", [("--by", "model,tag:"), ("--by", "tag: "), ("--where", "tag:=x")], ids=str)
def test_a_tag_without_a_name_is_refused_by_name(words: tuple[str, str], tmp_path: Path, out: Path) -> None:
    done = callcost("report", tmp_path, "--out", out, *words)
    assert done.code == 2
    assert "'tag:' names no tag. Write tag:NAME" in done.stderr


def test_gates_say_what_they_found_in_which_unit(tmp_path: Path, out: Path) -> None:
    newest = datetime.now(UTC) - timedelta(hours=51)
    rows = [_row(1, newest.isoformat()), *(_row(n, "2025-11-01T08:00:00Z", model="acme-llm-9") for n in range(2, 5))]
    log = write_lines(tmp_path / "a.jsonl", rows)
    words: list[str | Path] = ["--state", tmp_path / "state", "--fresh-within", "26h", "--max-unpriced", "74.99"]
    for more in ((), ("--quiet",)):
        said = report([log], out, *words, *more, expect=3).stderr
        assert f"--fresh-within crossed: newest call {newest:%Y-%m-%d %H:%MZ}, 51 h old, limit 26 h\n" in said
        assert "--max-unpriced crossed: unpriced 75 % of calls (3 of 4), limit 74.99 %\n" in said


def test_logs_without_a_time_are_not_fresh(tmp_path: Path, out: Path) -> None:
    log = write_lines(tmp_path / "a.jsonl", [_row(1, None)])
    done = report([log], out, "--state", tmp_path / "state", "--fresh-within", "26h", "--quiet", expect=3)
    assert done.stderr == "--fresh-within crossed: no call has a time, limit 26 h\n"
    assert done.manifest["run"]["gates"][0]["found"] is None  # infinity is no JSON


def test_a_long_summary_is_cut_and_its_alarms_are_not(tmp_path: Path, out: Path) -> None:
    rows: list[dict[str, Any] | bytes] = [
        *_days(9), _row(50, None), _row(51, "2025-11-01T08:00:00Z", usage=None, messages="Hi?", response="Hi."),
        _row(52, "2025-11-01T08:00:00Z", model="gtp-4o"), _row(0, "2025-11-01T08:00:00Z"), b"{",
    ]  # fmt: skip
    log = write_lines(tmp_path / "a.jsonl", rows)
    flags: list[str | Path] = ["--strict", "--max-unpriced", "0", "--max-rejected", "0", "--by", "day,user"]
    flags += ["--state", tmp_path / "s"]
    done = report([log], out, *flags, expect=3)
    lines = done.stderr.splitlines()
    assert len(lines) <= MOST_LINES
    assert sum(" crossed: " in line for line in lines) == sum(gate["crossed"] for gate in done.manifest["gates"])


def test_no_call_at_all_says_why_however_quiet(tmp_path: Path, out: Path) -> None:
    log = write_lines(tmp_path / "a.jsonl", [{"nothing": "known"}, {"no": "call"}, {"at": "all"}])
    why = "no call at all: 3 records, 3 rejected (unknown_dialect 3), first a.jsonl:1\n"
    assert report([log], out, "--quiet", expect=1).stderr == why
    assert why in report([log], out, expect=1).stderr
    assert callcost("reconcile", log, "--out", out, "--quiet").stderr == why
    assert callcost("inspect", log).stderr == why


@pytest.mark.parametrize("state", [False, True])
def test_events_hold_what_the_summary_holds(tmp_path: Path, out: Path, *, state: bool) -> None:
    log = write_lines(tmp_path / "a.jsonl", [*_days(3), b"{"])
    words: list[str | Path] = ["--log-format", "json"]
    words += ["--state", tmp_path / "state"] if state else []
    plain = report([log], tmp_path / "plain", "--max-rejected", "1", expect=3).stderr.splitlines()
    done = report([log], out, *words, "--max-rejected", "1", expect=3)
    event = json.loads(done.stderr.splitlines()[-1])
    assert event["reject_reasons"] == done.manifest["reject_reasons"]
    assert (event["first_at"], event["filtered_by"]) == ("2025-11-01T08:00:00+00:00", {})
    facts = [line for line in plain if not line.startswith("  ") and not line.startswith("report in")]
    assert set(facts) <= set(event["summary"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("nothing.jsonl",), 1, "no file matches"),
        (("a.jsonl", "--by", "colour"), 2, "colour"),
        (("a.jsonl", "--since", "someday"), 2, "someday"),
        (("a.jsonl", "--plan"), 2, "goes with --state"),
    ],
)
def test_what_ends_a_run_is_an_event_where_all_is_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_lines(tmp_path / "a.jsonl", _days(1))
    failed = callcost("report", *words, "--out", "out", "--log-format", "json")
    event = json.loads(failed.stderr)
    assert (failed.code, event["event"], event["exit_code"]) == (code, "failed", code)
    assert said in event["error"]


def test_where_no_terminal_shows_progress_a_line_now_and_then_does(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("callcost.cli.terminal.summary.time.monotonic", lambda: now[0])
    said: list[str] = []
    watcher = Watcher(None, said.append)
    watcher.plan(4_900_000_000)
    for _ in range(12):
        now[0] += 10
        watcher.advance(100_000_000, 100_000)
    assert said[-1] == "read 1.2 of 4.9 GB, 1,200,000 calls"
    assert len(said) == 4
