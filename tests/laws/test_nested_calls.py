"""Calls around calls are counted once, however their records are ordered and spread over files."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.command import callcost, write_lines

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def observation(own: str, around: str | None, prompt: int, kind: str = "GENERATION") -> dict[str, Any]:
    counts = {"input": prompt, "output": 1, "total": prompt + 1} if prompt else {}
    return {
        "id": own, "trace_id": TRACE, "parent_observation_id": around, "type": kind, "usage_details": counts,
        "provided_model_name": "gpt-4o", "start_time": "2025-07-15 09:00:00.000",
    }  # fmt: skip


def span(own: str, around: str | None, prompt: int, kind: str = "LLM") -> dict[str, Any]:
    counts = {"llm.token_count.prompt": prompt, "llm.token_count.completion": 1} if prompt else {}
    return {
        "traceId": TRACE, "spanId": own, "parentSpanId": around or "", "startTimeUnixNano": "1752570000000000000",
        "attributes": {"openinference.span.kind": kind, "llm.model_name": "gpt-4o"} | counts,
    }  # fmt: skip


@pytest.mark.parametrize(("made", "agent"), [(observation, "SPAN"), (span, "AGENT")])
def test_a_wrapped_call_is_one_call_in_any_order_and_any_files(made: Any, agent: str, tmp_path: Path) -> None:
    tree = [
        made("a1", None, 0, agent), made("b1", "a1", 300), made("c1", "b1", 300), made("b2", "a1", 50),
        made("b3", "a1", 70), made("c3", "b3", 0), made("b1", "a1", 300),
    ]  # fmt: skip
    lines, chance, found = [json.dumps(record).encode() for record in tree], random.Random(4), []
    for number in range(3):
        chance.shuffle(lines)
        cut = chance.randrange(1, len(lines))
        parts = enumerate((lines[:cut], lines[cut:]))
        paths = [write_lines(tmp_path / f"{number}-{part}.jsonl", some) for part, some in parts]
        out = tmp_path / f"out-{number}"
        assert callcost("report", *paths, "--out", out).code == 0
        manifest = json.loads((out / "manifest.json").read_text())
        records = manifest["records"]
        found.append((records["calls"], manifest["totals"]["prompt_tokens"], records["duplicates"], records["context"]))
        seen = json.loads(callcost("inspect", *paths, "--format", "json").stdout)
        assert sum(seen["duplicates"].values()) == records["duplicates"]
        assert seen["duplicates"]["nested"] >= 2
    assert found == [(3, 300 + 50 + 70, 3, 1)] * 3


def traced(own: str, around: str | None, prompt: int, kind: str = "CHAT_MODEL") -> dict[str, Any]:
    """Return a span of MLflow's."""
    usage = {"mlflow.chat.tokenUsage": json.dumps({"input_tokens": prompt, "output_tokens": 1})} if prompt else {}
    about = {"mlflow.spanType": f'"{kind}"', "mlflow.llm.model": '"gpt-4o"'}
    return {
        "trace_id": f"tr-{TRACE}", "span_id": own, "parent_span_id": around, "attributes": about | usage,
        "start_time_unix_nano": 1752570000000000000,
    }  # fmt: skip


def test_a_trace_that_several_tools_exported_counts_once(tmp_path: Path) -> None:
    """Also where one names a call by the id of its answer, which two spans of it share."""
    named = [span("b1", "a1", 300), span("c1", "x1", 300)]
    for record in named:
        record["attributes"]["gen_ai.response.id"] = "chatcmpl-1"
    exports = [
        [observation("b1", "a1", 300), observation("b2", "a1", 50), observation("b3", "b2", 50)],
        [*named, span("b3", "b2", 50)],
        [traced("b1", "a1", 300), traced("b2", "a1", 50), traced("b4", "a1", 7)],
    ]
    lines, chance, found = [json.dumps(record).encode() for made in exports for record in made], random.Random(9), []
    for number in range(3):
        chance.shuffle(lines)
        paths = [write_lines(tmp_path / f"{number}-{part}.jsonl", lines[part::2]) for part in range(2)]
        out = tmp_path / f"out-{number}"
        assert callcost("report", *paths, "--out", out).code == 0
        manifest = json.loads((out / "manifest.json").read_text())
        found.append((manifest["records"]["calls"], manifest["totals"]["prompt_tokens"]))
    assert found == [(3, 300 + 50 + 7)] * 3


def test_one_response_seen_by_two_tracers_is_one_call(tmp_path: Path) -> None:
    """A gateway's span lies in a client's, with others between: only the id of the answer says that they are one."""
    client, gateway = span("a1", None, 300), span("c1", "b1", 300)
    for record, more in ((client, "{}"), (gateway, "[]")):
        record["attributes"] |= {"gen_ai.response.id": "chatcmpl-1", "input.value": more}
    lines = [json.dumps(record).encode() for record in (client, span("b1", "a1", 0, "CHAIN"), gateway)]
    found = json.loads(callcost("inspect", write_lines(tmp_path / "log.jsonl", lines), "--format", "json").stdout)
    assert (found["dialects"], found["duplicates"], found["conflicts"]) == ({"otel": 1}, {"same_id": 1}, [])
