"""No message text in any output: every text field carries a canary, and none of them is found anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.command import SAMPLES, Finished, assert_conserved, callcost, read_records, report, write_lines

CANARY = "kanarienvogel"
FORMATS = "parquet,csv,json,markdown,html"
TEXT_FIELDS = {
    "content",
    "text",
    "input",
    "output",
    "response",
    "query",
    "note",
    "summary",
    "instructions",
    "arguments",
    "prompt",
    "error_str",
    "traceback",
}


def _marked(value: Any) -> Any:
    """Put the canary into every string that is text of a conversation, at any depth."""
    if isinstance(value, dict):
        return {
            key: _text(item) if key in TEXT_FIELDS and isinstance(item, str) else _marked(item)
            for key, item in value.items()
        }
    return [_marked(item) for item in value] if isinstance(value, list) else value


def _text(text: str) -> str:
    return f"{CANARY} {text} {CANARY}"


def _canary_lines() -> list[bytes]:
    lines = []
    for line in read_records(sorted(SAMPLES.rglob("*.jsonl"))):
        try:
            lines.append(json.dumps(_marked(json.loads(line)), ensure_ascii=False).encode())
        except (ValueError, RecursionError):
            lines.append(line)
    return lines


def _awkward_lines() -> list[bytes]:
    """Canaries where a careless message would quote them: beside the damage, in a count, a time, a key, a cost."""
    text = CANARY.encode()
    good = {
        "timestamp": "2025-01-01T00:00:00Z",
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": CANARY}],
        "response": CANARY,
    }
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    return [
        b'{"model": "gpt-4o", "messages": [{"role": "user", "content": "' + text,
        b'{"model": "gpt-4o", ' + text + b"}",
        b'"' + text + b'"',
        b'["' + text + b'"]',
        b'{"messages": "' + text + b'", "x": "\xff"}',
        b'{"messages": "' + text + b'\x00"}',
        text,
        json.dumps({CANARY: CANARY}).encode(),
        json.dumps({**good, "usage": {**usage, "prompt_tokens": CANARY}}).encode(),
        json.dumps({**good, "usage": CANARY}).encode(),
        json.dumps({**good, "usage": {**usage, "completion_tokens": [CANARY]}}).encode(),
        json.dumps({**good, "timestamp": CANARY}).encode(),
        json.dumps({**good, "messages": CANARY}).encode(),
        json.dumps({**good, "messages": {"content": CANARY}}).encode(),
        json.dumps({**good, "messages": [CANARY, {"role": "user", "content": {CANARY: CANARY}}]}).encode(),
        json.dumps(
            {
                **good,
                "tools": [
                    {"type": "function", "function": {"name": CANARY, "description": CANARY, "parameters": CANARY}}
                ],
            }
        ).encode(),
        json.dumps({"request": CANARY, "response": CANARY}).encode(),
        json.dumps({"request": good, "response": {"error": {"message": CANARY}}, "id": "p-1"}).encode(),
        json.dumps({k: v for k, v in good.items() if k != "model"}).encode(),
        b'{"model": "gpt-4o", "messages": ' + b"[" * 5_000 + b'"' + text + b'"' + b"]" * 5_000 + b"}",
    ]


def _everything_written(finished: Finished) -> str:
    texts = [finished.stdout, finished.stderr]
    for path in sorted(finished.out.rglob("*")):
        if path.is_file():
            texts.append(path.read_bytes().decode("latin-1"))
        if path.suffix == ".parquet":  # compressed: the bytes alone prove nothing
            texts.append(json.dumps(pq.read_table(path).to_pylist(), default=str))
    return "\n".join(texts)


@pytest.mark.parametrize("flags", [("--workers", "1"), ("--workers", "2")], ids=["one", "two"])
def test_no_canary_leaves_a_report(tmp_path: Path, out: Path, flags: tuple[str, ...]) -> None:
    write_lines(tmp_path / "logs/canaries.jsonl", _canary_lines())
    write_lines(tmp_path / "logs/awkward.jsonl", _awkward_lines())

    finished = report([tmp_path / "logs"], out, "--calls", "--format", FORMATS, *flags, pool=True)

    assert_conserved(finished)
    assert finished.records["calls"] > 60
    assert CANARY not in _everything_written(finished).lower()


@pytest.mark.parametrize("name", ["awkward", "canaries"])
def test_no_canary_leaves_an_inspection(tmp_path: Path, name: str) -> None:
    write_lines(tmp_path / "logs" / f"{name}.jsonl", _awkward_lines() if name == "awkward" else _canary_lines())
    finished = callcost("inspect", tmp_path / "logs")
    assert finished.code == 0
    assert CANARY not in (finished.stdout + finished.stderr).lower()


def _traced() -> list[dict[str, Any]]:
    """Records of tracers and gateways, a canary wherever they keep text."""
    said = [{"role": "user", "parts": [{"type": "text", "content": CANARY}, {"type": CANARY}]}]
    attributes = {
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 5,
        "gen_ai.usage.output_tokens": 2, "gen_ai.input.messages": json.dumps(said), "gen_ai.output.messages": said,
        "input.value": CANARY, "output.value": CANARY, "ai.response.text": CANARY, "gen_ai.prompt.0.content": CANARY,
        "error.message": CANARY, "db.statement": CANARY,
    }  # fmt: skip
    span = {"traceId": "t1", "spanId": "s1", "startTimeUnixNano": "1752570000000000000", "attributes": attributes}
    listed = [{"key": key, "value": {"stringValue": str(value)}} for key, value in attributes.items()]
    counted = {"gen_ai.usage.input_tokens": CANARY}
    observed = {
        "id": "o1", "traceId": "t1", "type": "GENERATION", "startTime": "2025-07-15T09:00:00Z", "model": "gpt-4o",
        "usageDetails": {"input": 5, "output": 2, "total": 7}, "input": CANARY, "output": {"role": CANARY, CANARY: 1},
        "statusMessage": CANARY, "metadata": {CANARY: CANARY}, "name": CANARY,
    }  # fmt: skip
    return [
        span, span | {"spanId": "s2", "attributes": attributes | counted}, span | {"spanId": "s3", "name": CANARY},
        {"resourceSpans": [{"scopeSpans": [{"spans": [span | {"spanId": "s4", "attributes": listed}, CANARY]}]}]},
        observed, {"id": "t2", "input": CANARY, "observations": [observed | {"id": "o2"}, CANARY]},
        observed | {"id": "o3", "usageDetails": {"input": CANARY}, "totalCost": CANARY},
        {"message": CANARY, "timestamp": 5}, {"@message": "{" + CANARY}, {"data": [CANARY, [CANARY]], "total": 1},
        {"id": "p1", "created_at": "2025-07-15T09:00:00Z", "ai_org": "openai", "ai_model": "gpt-4o", "req_units": 5,
         "res_units": 2, "cost": 1, "request": {"messages": CANARY}, "response": CANARY, "prompt_slug": CANARY},
    ]  # fmt: skip


def test_no_canary_leaves_what_tracers_wrote(tmp_path: Path, out: Path) -> None:
    log = write_lines(tmp_path / "traced.jsonl", [json.dumps(record).encode() for record in _traced()])
    finished = report([log], out, "--calls", "--format", "parquet,csv,json")
    assert_conserved(finished)
    assert finished.records["calls"] == 6
    assert CANARY not in _everything_written(finished).lower()


def test_no_canary_leaves_a_failed_run(tmp_path: Path, out: Path) -> None:
    """Nothing but lines that cannot be read: the run fails, and quotes nothing."""
    log = write_lines(tmp_path / "only.jsonl", _awkward_lines()[:8])
    finished = report([log], out, expect=1)
    assert CANARY not in _everything_written(finished).lower()


def test_the_canaries_would_be_found(tmp_path: Path, out: Path) -> None:
    """A canary in a name, which belongs into a report, is found: so the search can find one."""
    record = {
        "timestamp": "2025-01-01T00:00:00Z",
        "model": "gpt-4o",
        "user": CANARY,
        "messages": [],
        "response": "Fine.",
        "usage": {"prompt_tokens": 1, "completion_tokens": 1},
    }
    assert CANARY in _everything_written(report([write_lines(tmp_path / "one.jsonl", [record])], out))
