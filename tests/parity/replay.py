"""LiteLLM's recorded cases, asked of our helpers and of the batch reader."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from callcost.errors import CallcostError
from callcost.helpers.costs import completion_cost, cost_per_token
from callcost.helpers.responses import first_tier
from callcost.logs.record.dialect import COLUMNS
from tests.command import report
from tests.parity.notes import Answer, Case

MAP = "litellm-1.106.4"  # the same map as 1.106.2's, which answered


def ask(case: Case) -> Answer:
    """Return what the helper of LiteLLM's name answers to a case."""
    args: dict[str, Any] = dict(case["args"])
    more: dict[str, Any] = {"at": datetime.fromisoformat(case["ts"]), "prices": MAP}
    try:
        if "response" in args:
            return {"total": completion_cost(args.pop("response"), **args, **more)}
        if "usage" in args:
            usage = args.pop("usage")
            counts = {name: usage.get(name, 0) for name in ("prompt_tokens", "completion_tokens")}
            args |= {"usage_object": usage, **counts}
        prompt, completion = cost_per_token(**args, **more)
    except CallcostError as error:
        return {"error": type(error).__name__}
    return {"prompt": prompt, "completion": completion}


def agrees(case: Case, ours: Answer) -> bool:
    """Say whether an answer is LiteLLM's: an error where it raises, else equal to 1e-9."""
    theirs = case["expect"]
    if "error" in theirs or "error" in ours:
        return "error" in theirs and "error" in ours
    return all(abs(float(ours[name]) - value) <= 1e-9 * abs(value) for name, value in theirs.items())


def record_of(case: Case) -> dict[str, Any]:
    """Return a case as a row of a log, with the names of COLUMNS."""
    args, response = case["args"], case["args"].get("response", {})
    usage = args.get("usage") or response.get("usage") or args
    requested = (args.get("optional_params") or {}).get("service_tier")
    return {
        "own_id": str(case["id"]),
        "provider": args.get("custom_llm_provider"),
        "model": response.get("model") or args["model"],
        "started_at": case["ts"],
        "service_tier": first_tier(
            args.get("service_tier"), response.get("service_tier"), usage.get("service_tier"), requested
        ),
        "region": args.get("vertex_location"),
        "data_residency": args.get("data_residency"),
        "inference_geo": usage.get("inference_geo"),
        "speed": usage.get("speed"),
        "usage": {name: value for name, value in usage.items() if name not in COLUMNS},
    }


def report_cases(cases: Sequence[Case], folder: Path) -> dict[str, dict[str, Any]]:
    """Return each case's row of calls.parquet, by id: the cases written as logs, and reported."""
    rows: dict[str, dict[str, Any]] = {}
    for name in ("cases", "cases_batch"):  # a log whose format ends in "_batch" holds a batch's answers
        records = [record_of(case) for case in cases if (case["form"] == "batch") == (name == "cases_batch")]
        columns = [f'{column} = "{column}"' for column in records[0]]
        mapping = folder / f"{name}.toml"
        mapping.write_text("\n".join([f'name = "{name}"', "[columns]", *columns]), encoding="utf-8")
        log = folder / f"{name}.jsonl"
        log.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
        finished = report([log], folder / name, "--calls", "--prices", MAP, "--mapping", str(mapping))
        rows |= {row["call_id"]: row for row in finished.calls}
    return rows
