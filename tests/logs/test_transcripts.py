"""Transcripts of coding agents: what is written several times is one call, with the largest of its usages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost.errors import LogError
from callcost.jobs.report import report_spend
from callcost.logs.io.inputs import find_logs
from callcost.logs.record_reader import RecordReader
from callcost.settings import ReadOptions, ReportOptions
from callcost.tables import Call


def _row(message: str, request: str | None, output: int, **more: Any) -> dict[str, Any]:
    usage = {"input_tokens": 3, "cache_read_input_tokens": 1_000, "output_tokens": output}
    model = "claude-sonnet-4-5-20250929"
    answer = {"id": message, "type": "message", "role": "assistant", "model": model, "content": [], "usage": usage}
    row = {"type": "assistant", "sessionId": "s", "timestamp": "2025-11-03T09:00:00Z", "message": answer} | more
    return row | ({"requestId": request} if request else {})


def _calls(tmp_path: Path, **logs: list[dict[str, Any]]) -> pl.DataFrame:
    folder = tmp_path / "projects"
    folder.mkdir()
    for name, rows in logs.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report_spend(ReportOptions(logs=(str(folder),), out=str(tmp_path / "out"), calls=True))
    return pl.read_parquet(tmp_path / "out" / "calls.parquet")


def test_rows_of_one_answer_are_one_call_with_its_largest_usage(tmp_path: Path) -> None:
    """262 rows of which 92 repeat an earlier one, some of them before the answer was complete, are 170 calls."""
    rows = [_row(f"msg_01{n}", f"req_{n}", 50, uuid=f"u{n}") for n in range(170)]
    early = [_row(f"msg_01{n}", f"req_{n}", 1, uuid=f"e{n}") for n in range(4)]
    again = [_row(f"msg_01{n}", f"req_{n}", 50, uuid=f"a{n}") for n in range(88)]
    calls = _calls(tmp_path, session=early + rows + again)
    assert calls.height == 170
    assert calls["cache_read_input_tokens"].sum() == 170_000
    assert calls["completion_tokens"].sum() == 170 * 50


def test_a_resumed_session_repeats_its_calls_in_another_file(tmp_path: Path) -> None:
    rows = [_row(f"msg_01{n}", f"req_{n}", 7) for n in range(5)]
    resumed = [row | {"sessionId": "t"} for row in rows] + [_row("msg_019", "req_9", 7, sessionId="t")]
    assert _calls(tmp_path, first=rows, second=resumed).height == 6


@pytest.mark.parametrize(
    ("rows", "calls", "conflicts"),
    [
        ([_row("msg_1", "req_1", 5), _row("msg_1", "req_2", 5, isSidechain=True)], 1, 0),
        ([_row("msg_1", "req_1", 5), _row("msg_1", None, 5)], 1, 0),
        ([_row("msg_1", "req_1", 5), _row("msg_1", "req_2", 5)], 2, 2),
        ([_row("msg_1", "req_1", 5, isSidechain=True), _row("msg_2", "req_2", 5, isSidechain=True)], 2, 0),
    ],
    ids=["a sidechain's replay", "no request id", "two requests", "calls of a sidechain"],
)
def test_the_request_id_tells_calls_apart_but_not_in_a_sidechain(
    tmp_path: Path, rows: list[dict[str, Any]], calls: int, conflicts: int
) -> None:
    found = _calls(tmp_path, session=rows)
    assert found.height == calls
    assert found["flags"].list.contains("id_conflict").sum() == conflicts


def test_a_sidechains_replay_yields_to_the_main_row_though_its_counts_are_larger(tmp_path: Path) -> None:
    main, replay = _row("msg_1", "req_1", 5), _row("msg_1", "req_2", 50_000, isSidechain=True)
    calls = _calls(tmp_path, main=[main], agent=[replay, _row("msg_2", "req_3", 7, isSidechain=True)])
    assert sorted(calls["completion_tokens"]) == [5, 7]


@pytest.mark.parametrize("order", [1, -1])
def test_an_answer_that_another_model_ended_is_the_last_ones_however_small(tmp_path: Path, order: int) -> None:
    begun = _row("msg_01", "req_1", 1, uuid="a")
    begun["message"] |= {"model": "claude-opus-4-8", "stop_reason": None}
    begun["message"]["usage"] |= {"cache_read_input_tokens": 90_000}
    ended = _row("msg_01", "req_1", 260, uuid="b")
    ended["message"] |= {"stop_reason": "end_turn"}
    (call,) = _calls(tmp_path, s=[begun, ended][::order]).to_dicts()
    counts = call["model"], call["completion_tokens"], call["cache_read_input_tokens"]
    assert counts == ("claude-sonnet-4-5-20250929", 260, 1_000)
    assert (call["flags"], call["price_status"]) == ([], "priced")


def test_an_answer_of_which_only_the_beginning_is_there_is_no_whole_price(tmp_path: Path) -> None:
    rows = [_row("msg_01", "req_1", output, uuid=f"u{output}") for output in (1, 8)]
    for row in rows:
        row["message"] |= {"stop_reason": None}
    (call,) = _calls(tmp_path, s=rows).to_dicts()
    assert (call["completion_tokens"], call["flags"]) == (8, ["incomplete_usage"])
    assert (call["price_status"], call["price_reason"]) == ("partly_priced", "usage_incomplete")


def test_what_tools_put_out_is_no_log(tmp_path: Path) -> None:
    """A file below tool-results may hold anything, also the answer of an API that nobody here called."""
    outputs = tmp_path / "projects" / "s" / "tool-results"
    outputs.mkdir(parents=True)
    (outputs / "toolu_01.txt").write_text('{"id": "x", "model": "gpt-4o", "usage": {"prompt_tokens": 9}}')
    (tmp_path / "projects" / "s.jsonl").write_text(json.dumps(_row("msg_1", "req_1", 5)))
    options = ReportOptions(logs=(str(tmp_path / "projects"),), out=str(tmp_path / "out"), calls=True)
    report_spend(options)
    assert pl.read_parquet(tmp_path / "out" / "calls.parquet")["completion_tokens"].to_list() == [5]


@pytest.mark.parametrize(
    ("below", "skipped"),
    [("s/tool-results", "s/tool-results"), ("a/tool-results/b", "a/tool-results"), ("tool-results", "tool-results")],
)
def test_outputs_of_tools_are_named_as_skipped_wherever_they_lie(tmp_path: Path, below: str, skipped: str) -> None:
    """Whether a transcript lies beside them or not: what is left out of a report is never left out in silence."""
    (tmp_path / "logs" / below).mkdir(parents=True)
    (tmp_path / "logs" / below / "toolu_01.jsonl").write_text("{}\n")
    with pytest.raises(LogError, match=r"holds no logs, only .*tool-results.*outputs of Claude Code's tools"):
        find_logs([str(tmp_path / "logs")])
    (tmp_path / "logs" / "calls.jsonl").write_text("{}\n")
    found = find_logs([str(tmp_path / "logs")])
    assert [one.name for one in found.inputs] == ["logs/calls.jsonl"]
    assert [one.path for one in found.skipped] == [f"logs/{skipped}"]


def test_spend_is_grouped_by_the_branch_of_a_transcript(tmp_path: Path) -> None:
    meta = {"timestamp": "2025-10-01T09:00:00Z", "type": "session_meta", "payload": {"id": "s", "git": {"branch": "b"}}}
    context = {"timestamp": "2025-10-01T09:00:00Z", "type": "turn_context", "payload": {"model": "gpt-5"}}
    (tmp_path / "rollout.jsonl").write_text("".join(json.dumps(row) + "\n" for row in (meta, context, _event(5, 100))))
    (tmp_path / "s.jsonl").write_text(json.dumps(_row("msg_1", "req_1", 5, gitBranch="main")))
    report_spend(ReportOptions(logs=(str(tmp_path),), out=str(tmp_path / "out"), by=("branch",)))
    spend = pl.read_parquet(tmp_path / "out" / "spend.parquet").sort("branch")
    assert spend.select("branch", "calls").rows() == [("b", 1), ("main", 1)]


@pytest.mark.parametrize(
    "names", [{"sessionId": "s"}, {"session_id": "s"}, {"id": "1", "timestamp": "2025-01-01T00:00:00Z", "content": "a"}]
)
@pytest.mark.parametrize("kind", ["user", "assistant", "system", "generation"])
def test_another_writers_row_is_never_context_for_its_names(names: dict[str, str], kind: str) -> None:
    stated = {"model": "gpt-4o", "usage": {"prompt_tokens": 3, "completion_tokens": 1}, "type": kind}
    (call,) = RecordReader(ReadOptions()).read_value(names | stated, 1)
    assert isinstance(call, Call)
    assert call.source_format == "plain"


def _event(second: int, prompt: int, **more: Any) -> dict[str, Any]:
    sums = {"input_tokens": prompt, "cached_input_tokens": 0, "output_tokens": 2, "total_tokens": prompt + 2}
    info = {"total_token_usage": sums}
    return {"timestamp": f"2025-10-01T09:00:{second:02}Z", "type": "event_msg"} | {
        "payload": {"type": "token_count", "info": info} | more
    }


def test_sessions_joined_in_one_file_are_read_one_after_the_other(tmp_path: Path) -> None:
    """A fork's copies are those of calls that its parent made before it; what follows its own calls is another's."""
    fork = {"id": "s-9", "source": {"subagent": {"thread_spawn": {"parent_thread_id": "s-1"}}}}
    joined = [
        {"timestamp": "2026-02-01T10:00:00Z", "type": "session_meta", "payload": fork},
        {"timestamp": "2026-02-01T10:00:00.5Z", "type": "turn_context", "payload": {"model": "gpt-5-mini"}},
        _event(5, 100) | {"timestamp": "2026-02-01T10:00:00.6Z"},
        _event(5, 130) | {"timestamp": "2026-02-01T10:00:09Z"},
        {"timestamp": "2025-10-01T09:00:00Z", "type": "session_meta", "payload": {"id": "s-1"}},
        {"timestamp": "2025-10-01T09:00:00Z", "type": "turn_context", "payload": {"model": "gpt-5"}},
        _event(5, 100),
    ]
    calls = _calls(tmp_path, joined=joined).sort("session")
    assert calls.select("session", "model", "prompt_tokens").rows() == [
        ("s-1", "gpt-5", 100),
        ("s-9", "gpt-5-mini", 30),
    ]


def test_an_archived_rollout_is_the_same_session(tmp_path: Path) -> None:
    rollout = [
        {"timestamp": "2025-10-01T09:00:00Z", "type": "session_meta", "payload": {"id": "s-1"}},
        {"timestamp": "2025-10-01T09:00:00Z", "type": "turn_context", "payload": {"model": "gpt-5"}},
        _event(5, 100),
        _event(6, 100, rate_limits={"primary": {"used_percent": 2}}),
        _event(9, 300),
    ]
    calls = _calls(tmp_path, sessions=rollout, archived_sessions=rollout)
    assert sorted(calls["prompt_tokens"]) == [100, 200]
    assert calls["model"].unique().to_list() == ["gpt-5"]


def test_repeated_lines_and_files_of_a_rollout_change_nothing(tmp_path: Path) -> None:
    rollout = [
        {"timestamp": "2025-10-01T09:00:00Z", "type": "session_meta", "payload": {"id": "s-1"}},
        {"timestamp": "2025-10-01T09:00:00Z", "type": "turn_context", "payload": {"model": "gpt-5"}},
        _event(0, 100),
        _event(0, 300),
    ]
    calls = _calls(tmp_path, lines=[row for row in rollout for _ in range(2)], files=rollout + rollout)
    assert sorted(calls["prompt_tokens"]) == [100, 200]
