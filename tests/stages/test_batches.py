"""Batch answers without usage are counted with the requests of the batch's input, wherever that lies in the run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from callcost.jobs.backfill import backfill_usage
from callcost.jobs.report import report_spend
from callcost.jobs.state.report import report_incremental
from callcost.settings import ReportOptions, StateOptions

Records = list[dict[str, Any]]


def _asked(custom_id: str, text: str = "When is high water?") -> dict[str, Any]:
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}]}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body}


def _answered(custom_id: str, number: int = 1, usage: dict[str, int] | None = None) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": "At two."}, "finish_reason": "stop"}
    body = {"id": f"chatcmpl-{custom_id}-{number}", "object": "chat.completion", "created": 1_760_000_000}
    body |= {"model": "gpt-4o-mini-2024-07-18", "choices": [choice], "usage": usage}
    response = {"status_code": 200, "request_id": "r", "body": body}
    return {"id": f"batch_req_{custom_id}_{number}", "custom_id": custom_id, "response": response, "error": None}


def _report(folder: Path, **logs: Records) -> tuple[pl.DataFrame, dict[str, Any]]:
    folder.mkdir()
    for name, records in logs.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    out = folder.with_suffix(".out")
    report = report_spend(ReportOptions(logs=(str(folder),), out=str(out), calls=True))
    inputs = {Path(entry["path"]).stem: entry for entry in report.manifest["inputs"]}
    return pl.read_parquet(out / "calls.parquet").sort("call_id"), inputs


def test_an_answer_without_usage_is_counted_with_its_request(tmp_path: Path) -> None:
    long, short = "When is high water in the harbour of Emden? " * 9, "When?"
    asked, answered = [_asked("q-1", long), _asked("q-2", short)], [_answered("q-2"), _answered("q-1")]
    for number, names in enumerate([("a", "b"), ("b", "a")]):
        calls, inputs = _report(tmp_path / str(number), **{names[0]: asked, names[1]: answered})
        assert calls["usage_source"].to_list() == ["counted", "counted"]
        assert calls["prompt_tokens"][0] > 90
        assert 0 < calls["prompt_tokens"][1] < 20
        assert (inputs[names[0]]["context"], inputs[names[0]]["rejects"]) == (2, 0)


def test_backfill_writes_what_the_request_gave(tmp_path: Path) -> None:
    before, _ = _report(tmp_path / "a", asked=[_asked("q-1", "When? " * 50)], answered=[_answered("q-1")])
    backfill_usage(ReportOptions(logs=(str(tmp_path / "a"),), out=str(tmp_path / "filled")))
    (filled,) = (tmp_path / "filled").rglob("answered.jsonl")
    usage = json.loads(filled.read_text())["response"]["body"]["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == before.select(
        "prompt_tokens", "completion_tokens"
    ).row(0)


def test_what_is_stated_stays(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 24, "completion_tokens": 15, "total_tokens": 39}
    calls, inputs = _report(tmp_path / "a", asked=[_asked("q-1")], answered=[_answered("q-1", usage=usage)])
    assert calls.select("prompt_tokens", "completion_tokens", "usage_source").rows() == [(24, 15, "reported")]
    assert inputs["asked"]["context"] == 1


def test_requests_that_nobody_answered_stay_refused(tmp_path: Path) -> None:
    _, inputs = _report(
        tmp_path / "a", asked=[_asked("q-1"), _asked("q-9")], other=[_asked("w-1")], answered=[_answered("q-1")]
    )
    assert (inputs["asked"]["context"], inputs["asked"]["rejects"]) == (1, 1)
    assert (inputs["other"]["context"], inputs["other"]["rejects"]) == (0, 1)


def test_of_batches_with_the_same_ids_the_one_that_asked_everything_is_meant(tmp_path: Path) -> None:
    ids = ["q-1", "q-2", "q-3"]
    calls, inputs = _report(
        tmp_path / "a",
        large=[_asked(custom_id, "When? " * 50) for custom_id in ids],
        small=[_asked(custom_id, "When?") for custom_id in ids[:2]],
        answers=[_answered(custom_id) for custom_id in ids],
    )
    assert min(calls["prompt_tokens"]) > 50
    assert inputs["large"]["context"] == 3
    assert inputs["small"]["rejects"] == 2


def test_where_two_requests_could_be_meant_none_is_guessed(tmp_path: Path) -> None:
    calls, _ = _report(
        tmp_path / "a", one=[_asked("q-1", "When?")], two=[_asked("q-1", "When? " * 50)], answers=[_answered("q-1")]
    )
    assert calls["prompt_tokens"].to_list() == [None]
    calls, _ = _report(
        tmp_path / "b", one=[_asked("q-1", "When?")], two=[_asked("q-1", "When?")], answers=[_answered("q-1")]
    )
    assert calls["prompt_tokens"][0] > 0


def test_halves_of_a_batch_that_come_in_different_nights_are_counted_together(tmp_path: Path) -> None:
    long = "When is high water in the harbour of Emden? " * 9
    halves = {"asked": [_asked("q-1", long)], "answered": [_answered("q-1")]}
    for first, later in (("asked", "answered"), ("answered", "asked")):
        logs, state = tmp_path / first / "logs", StateOptions(folder=str(tmp_path / first / "state"))
        logs.mkdir(parents=True)
        options = ReportOptions(logs=(str(logs),), out=str(tmp_path / first / "out"), calls=True)
        read = []
        for name in (first, later, "other"):
            usage = {"prompt_tokens": 1, "completion_tokens": 1}
            records = halves.get(name, [{"id": "p", "model": "gpt-4o", "usage": usage}])
            (logs / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
            report = report_incremental(options, state)
            read.append(report.manifest["run"]["inputs_read"])
        calls = pl.read_parquet(sorted((tmp_path / first / "out").rglob("calls.parquet")), hive_partitioning=False)
        (call,) = calls.filter(pl.col("call_id") != "p").to_dicts()
        assert (call["usage_source"], call["prompt_tokens"] > 90) == ("counted", True)
        assert report.manifest["records"]["rejects"] == 0
        assert read == [1, 2, 1]
