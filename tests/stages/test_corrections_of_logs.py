"""What corrects logged costs: every call that differs, exactly, why, and a statement that changes no other."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from callcost.jobs.report import SpendReport, report_spend
from callcost.settings import ReportOptions
from tests.command import write_lines

IN, OUT, READ = Decimal("0.0000025"), Decimal("0.00001"), Decimal("0.00000125")  # gpt-4o, US dollars a token
COST = 600 * IN + 400 * READ + 100 * OUT  # of each call here
LOGGED = {
    "right": (COST, None),
    "noise": (COST * (1 + Decimal(10) ** -11), None),
    "full input": (1000 * IN + 100 * OUT, "cached tokens at the rate of plain input"),
    "no cache": (600 * IN + 100 * OUT, "reads from a cache left out"),
    "output": (100 * OUT, "output alone"),
    "twice": (2 * COST, "no discount of a batch or tier"),
    "o'clock": (COST / 1000, "1,000 times too little"),
    "free": (Decimal(0), "logged as free"),
    "else": (Decimal("0.5"), "another price"),
}


def _spend_row(number: int, name: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
             "prompt_tokens_details": {"cached_tokens": 400}}  # fmt: skip
    return {"request_id": name, "call_type": "acompletion", "api_key": "k", "spend": float(LOGGED[name][0]),
            "model": "gpt-4o", "startTime": f"2026-10-01T10:00:0{number}.123Z", "prompt_tokens": 1000,
            "completion_tokens": 100, "total_tokens": 1100, "metadata": {"usage_object": usage}}  # fmt: skip


def _generation(number: int, name: str) -> dict[str, Any]:
    return {"id": name, "traceId": "t", "type": "GENERATION", "startTime": f"2026-10-01T10:00:0{number}.123Z",
            "model": "gpt-4o", "usageDetails": {"input": 600, "input_cached_tokens": 400, "output": 100, "total": 1100},
            "costDetails": {"total": float(LOGGED[name][0])}}  # fmt: skip


def _report(folder: Path, kind: str) -> SpendReport:
    made = _spend_row if kind == "litellm" else _generation
    log = write_lines(folder / f"{kind}.jsonl", [made(number, name) for number, name in enumerate(LOGGED)])
    return report_spend(ReportOptions(logs=str(log), formats=f"corrections-{kind}"))


def _rows(report: SpendReport, kind: str) -> dict[str, dict[str, str]]:
    text = report.documents[f"corrections-{kind}.csv"].decode()
    return {row["call_id"]: row for row in csv.DictReader(io.StringIO(text))}


@pytest.mark.parametrize("kind", ["litellm", "langfuse"])
def test_each_call_that_differs_is_listed_with_the_difference_and_why(kind: str, tmp_path: Path) -> None:
    report = _report(tmp_path, kind)
    rows = _rows(report, kind)
    # Langfuse's and LiteLLM's 0 may stand for "not known": then nothing was logged.
    wrong = {name: why for name, (_, why) in LOGGED.items() if why and (name != "free" or name in rows)}
    assert {name: row["reason"] for name, row in rows.items()} == wrong
    for name, row in rows.items():
        assert Decimal(row["total_cost"]) == COST
        assert Decimal(row["difference"]) == COST - Decimal(row["logged_cost"])
        assert row["applied"] == "true", name
    assert report.manifest["logged_corrections"][f"corrections-{kind}"] == {"calls": len(rows), "applied": len(rows)}


def test_the_statement_puts_our_cost_there_and_touches_no_other_row(tmp_path: Path) -> None:
    report = _report(tmp_path, "litellm")
    statements = report.documents["corrections-litellm.sql"].decode().replace("::double precision", "")
    with sqlite3.connect(":memory:", isolation_level=None) as base:
        base.execute('CREATE TABLE "LiteLLM_SpendLogs" (request_id TEXT PRIMARY KEY, spend REAL)')
        rows = [(name, float(cost)) for name, (cost, _) in LOGGED.items()]
        base.executemany('INSERT INTO "LiteLLM_SpendLogs" VALUES (?, ?)', [*rows, ("of others", 0.5)])
        base.execute("UPDATE \"LiteLLM_SpendLogs\" SET spend = 7 WHERE request_id = 'else'")  # it was mended since
        base.executescript(statements)
        base.executescript(statements)
        held = dict(base.execute('SELECT * FROM "LiteLLM_SpendLogs"').fetchall())
    kept = {"right": float(COST), "noise": float(LOGGED["noise"][0]), "else": 7, "of others": 0.5}
    assert held == dict.fromkeys(LOGGED, float(COST)) | kept


def test_langfuse_gets_exact_costs_in_a_later_event(tmp_path: Path) -> None:
    report = _report(tmp_path, "langfuse")
    (line,) = report.documents["corrections-langfuse.jsonl"].decode().splitlines()
    events = json.loads(line, parse_float=Decimal)["batch"]
    assert [event["body"]["id"] for event in events] == sorted(_rows(report, "langfuse"))
    for event in events:
        costs = event["body"]["costDetails"]
        assert event["type"] == "generation-update"
        assert event["timestamp"] > "2026-10-02T10:00"
        assert costs["input"] + costs["output"] == costs["total"] == COST
    assert len({event["id"] for event in events}) == len(events)
