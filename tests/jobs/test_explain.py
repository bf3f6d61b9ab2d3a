"""`explain` and the report say the same of a call, and neither says what was written in it."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from callcost.errors import LogError
from callcost.jobs.engine.map_reduce import settle_logs, working_folder
from callcost.jobs.explain import explain_call
from callcost.settings import PriceOptions, ReportOptions
from callcost.stages.dedup.resolve import settled_facts
from callcost.stages.pricing.price_facts import price_facts
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.report.line_accounts import account_lines

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ReportOptions(logs=(str(ROOT / "sample_logs"),))


def test_every_line_of_every_sample_call_adds_up_to_the_reports_figure() -> None:
    book = book_of(PriceOptions())
    with working_folder(None) as folder:
        settled = settle_logs(SAMPLES, folder)
        verdicts = settled.tables("verdicts")
        facts = pl.concat(settled_facts(path, verdicts) for path in settled.tables("facts"))
    priced = price_facts(facts, book)
    accounts = [line for call in priced.partition_by("piece", "record") for line in account_lines(call, book)]
    assert len(accounts) == priced.height > 100
    assert [line for line in accounts if line.total != line.reported] == []
    for line in accounts:
        if line.total and line.charges:
            assert sum((charge.cost or Decimal(0)) for charge in line.charges) == line.total


def test_a_call_is_found_by_its_own_and_by_its_providers_id() -> None:
    (one,) = explain_call(SAMPLES, "msg_01XeeJuTCSmnodQPXXeUHfhu")
    assert [line.model for line in one.lines] == ["claude-sonnet-5", "claude-opus-4-8", "claude-sonnet-5"]
    assert one.found["usage.iterations[1].input_tokens"] == 2543


def test_an_id_that_is_in_no_log_is_an_error_that_says_where_ids_are() -> None:
    with pytest.raises(LogError, match=r"no call 'nope'.*calls\.parquet"):
        explain_call(SAMPLES, "nope")


def test_the_command_shows_numbers_and_no_text(tmp_path: Path) -> None:
    secret = "the canary sings"
    record = {
        "model": "gpt-4o",
        "id": "c1",
        "timestamp": "2025-01-01T00:00:00Z",
        "messages": [{"role": "user", "content": secret}],
        "usage": {"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000, "note": secret},
    }
    log = tmp_path / "calls.jsonl"
    log.write_text(json.dumps(record))
    words = [sys.executable, "-m", "callcost", "explain", str(log), "--call", "c1"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "total  12.5 USD: the report's figure" in done.stdout
    assert "2.5" in done.stdout
    assert secret not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("model", "named"),
    [("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock"), ("gpt-4o", None), ("claude-haiku-4-5", "anthropic")],
)
def test_a_provider_that_contradicts_the_name_is_said(model: str, named: str | None, tmp_path: Path) -> None:
    usage = {"prompt_tokens": 10, "completion_tokens": 1}
    log = tmp_path / "calls.jsonl"
    log.write_text(json.dumps({"model": model, "id": "c1", "provider": "openai", "usage": usage}))

    (one,) = explain_call(ReportOptions(logs=(str(log),)), "c1")

    assert [line.named for line in one.lines] == [named]
