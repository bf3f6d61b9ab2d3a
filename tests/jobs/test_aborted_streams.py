"""Answers that broke off, and bills that charge all that was generated of them: the gap has that name, to the digit."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from callcost.jobs.reconcile import reconcile_costs
from callcost.settings import ReconcileOptions
from tests.jobs.bill_faults import make_world
from tests.jobs.bill_maker import MadeCall, record_of, write_bill

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)


def _cut_anthropic(call: MadeCall) -> dict[str, Any]:
    """Return a call as a client has it that hung up: the prompt is stated, the output only begun."""
    record = record_of(call)
    message = record["response"] | {"content": [], "stop_reason": None}
    message["usage"] = message["usage"] | {"output_tokens": 1}
    events = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Once upon a"}},
    ]
    text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
    return record | {"response": text}


def _cut_openai(call: MadeCall) -> dict[str, Any]:
    """Return a call as a client has it that hung up: OpenAI states usage in the last chunk alone."""
    record = record_of(call)
    body = record["response"]
    chunk = {"id": body["id"], "object": "chat.completion.chunk", "created": body["created"], "model": body["model"]}
    chunks = [chunk | {"choices": [{"index": 0, "delta": {"content": text}}]} for text in ("Once", " upon", " a")]
    return record | {"response": "".join(f"data: {json.dumps(one)}\n\n" for one in chunks)}


def _unseen(call: MadeCall) -> dict[str, Any]:
    """Return a call of which the log knows that it was cancelled, and nothing of its answer or its prompt."""
    return record_of(call) | {"request": {"model": call.model}, "response": None, "status": "cancelled"}


@pytest.mark.parametrize("with_usage", [True, False], ids=["counts", "amounts"])
@pytest.mark.parametrize(
    ("model", "cut"),
    [
        ("claude-sonnet-4-5-20250929", _cut_anthropic),
        ("gpt-4o-2024-11-20", _cut_openai),
        ("gpt-4o-2024-11-20", _unseen),
    ],
)
def test_what_is_billed_of_a_broken_answer_is_its_cause(
    tmp_path: Path, model: str, cut: Callable[[MadeCall], dict[str, Any]], with_usage: bool
) -> None:
    world = make_world()
    broken = world.chosen(model, 3)[1]
    records = [cut(call) if call is broken else record_of(call) for call in world.logged]
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    bill = write_bill(tmp_path / "bill", world.bill, with_usage=with_usage)
    result = reconcile_costs(ReconcileOptions(logs=(str(log),), bills=(str(bill),), as_of=AS_OF))
    assert set(result.causes["cause"]) == {"aborted_stream"}
    assert result.causes["amount"].sum() == result.rows["difference"].sum() > 0


def test_no_broken_answer_covers_for_calls_that_are_missing(tmp_path: Path) -> None:
    world = make_world()
    broken, *lost = world.chosen("gpt-4o-2024-11-20", 3)
    records = [_unseen(call) if call is broken else record_of(call) for call in world.logged if call not in lost[:3]]
    log = tmp_path / "log.jsonl"
    log.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    bill = write_bill(tmp_path / "bill", world.bill)
    result = reconcile_costs(ReconcileOptions(logs=(str(log),), bills=(str(bill),), as_of=AS_OF))
    assert set(result.causes["cause"]) == {"billed_not_logged"}


def test_so_is_what_a_bill_says_of_the_one_call(tmp_path: Path) -> None:
    call = make_world().chosen("gpt-4o-2024-11-20", 3)[0]
    (tmp_path / "log.jsonl").write_text(json.dumps(_cut_openai(call)))
    row = f"{call.response_id},{call.at:%Y-%m-%d %H:%M:%S},0.0125,10,9,openai/gpt-4o-2024-11-20,true"
    header = "generation_id,created_at,cost_total,tokens_prompt,tokens_completion,model_permaslug,cancelled"
    (tmp_path / "bill.csv").write_text(f"{header}\n{row}\n")
    options = ReconcileOptions(logs=(str(tmp_path / "log.jsonl"),), bills=(str(tmp_path / "bill.csv"),), as_of=AS_OF)
    result = reconcile_costs(options)
    assert set(result.causes["cause"]) == {"aborted_stream"}
    assert result.causes["amount"].sum() == result.rows["difference"].sum() > 0
