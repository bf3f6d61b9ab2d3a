"""Every record is one of six things, and the sum over any grouping equals the grand total exactly."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost import ReportOptions, report_spend
from callcost.settings import WorkOptions
from callcost.stages.report.spend import ADDED
from tests.command import SAMPLES, Finished, assert_conserved, report, write_lines
from tests.conftest import examples

MEASURES = ADDED  # all but shares
ADDITIVE = [name for name in MEASURES if name != "calls"]


def test_every_record_of_the_samples_is_one_of_six_things(sample_report: Finished) -> None:
    assert_conserved(sample_report)
    assert sample_report.records["duplicates"] >= 4


def test_filtered_records_are_counted_as_filtered(out: Path) -> None:
    finished = report([SAMPLES], out, "--since", "2025-01-01", "--until", "2025-04-01", "--where", "model=gpt-4o*")
    assert_conserved(finished)
    assert finished.records["filtered"] > 0
    assert all(row["model"].startswith("gpt-4o") for row in finished.spend)


def assert_same_totals(finished: Finished, whole: Finished) -> None:
    """Check that the sums over the rows of a report are those of another of the same calls, however it is grouped."""
    for measure in ADDITIVE:
        assert finished.total(measure) == whole.total(measure), measure
    assert finished.total("calls") == finished.records["calls"] == whole.total("calls")


@pytest.mark.parametrize("by", ["tag:env", "model,user,day", "tag:env,team,source_file"])
def test_the_sum_over_any_grouping_is_the_grand_total(sample_report: Finished, out: Path, by: str) -> None:
    """Of each column alone: test_sources.py."""
    assert_same_totals(report([SAMPLES], out, "--by", by), sample_report)


def test_calls_add_up_to_spend(sample_report: Finished) -> None:
    assert len(sample_report.calls) == sample_report.records["calls"]
    for measure in (
        "prompt_tokens",
        "completion_tokens",
        "input_cost",
        "output_cost",
        "other_cost",
        "total_cost",
        "logged_cost",
    ):
        summed = sum((Decimal(row[measure]) for row in sample_report.calls if row[measure] is not None), Decimal(0))
        assert summed == sample_report.total(measure), measure


def test_costs_of_a_group_add_up(sample_report: Finished) -> None:
    for row in sample_report.spend:
        parts = [row[name] for name in ("input_cost", "output_cost", "other_cost") if row[name]]
        assert sum((Decimal(part) for part in parts), Decimal(0)) == Decimal(row["total_cost"] or 0), row


def test_tokens_of_a_call_add_up(sample_report: Finished) -> None:
    for call in sample_report.calls:
        if call["prompt_tokens"] is None or call["completion_tokens"] is None or call["iterations"]:
            continue
        written = call["cache_creation_input_tokens"] or 0
        assert (call["cache_read_input_tokens"] or 0) + written <= call["prompt_tokens"] or call["flags"], call[
            "call_id"
        ]
        assert (call["reasoning_tokens"] or 0) <= call["completion_tokens"] or call["flags"], call["call_id"]


counts = st.integers(0, 3_000_000) | st.sampled_from([0, 1, 10**12])
calls = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["gpt-4o", "o3", "claude-3-5-sonnet-20241022", "acme-llm-9", "gpt-4o-mini"]),
        "timestamp": st.integers(1_704_067_200, 1_795_000_000).flatmap(lambda n: st.sampled_from([n, n + 0.25]))
        | st.sampled_from(["2025-01-01T00:00:00.000Z", "2025-01-01T00:00:00.001Z"]),
        "usage": st.fixed_dictionaries({"prompt_tokens": counts, "completion_tokens": counts}),
        "response": st.just("Fine."),
        "messages": st.just([{"role": "user", "content": "Well?"}]),
    },
    optional={"user": st.sampled_from(["ana.silva", "bo.larsen", "=1+1", "", "ünïcode", 'a,b\n"c"'])},
)


@examples(15, 200)
@given(
    rows=st.lists(calls, min_size=1, max_size=30),
    by=st.sampled_from([("user",), ("model", "user"), ("day",), ("month", "model")]),
)
def test_generated_calls_keep_the_laws(
    rows: list[dict[str, Any]], by: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("generated")
    write_lines(folder / "rows.jsonl", rows)
    for name, chosen in (("whole", ("source_format",)), ("parts", by)):
        report_spend(
            ReportOptions(
                logs=(str(folder / "rows.jsonl"),), out=str(folder / name), by=chosen, work=WorkOptions(workers=1)
            )
        )
    whole, parts = (Finished((), 0, "", "", folder / name) for name in ("whole", "parts"))

    assert_conserved(whole)
    for measure in MEASURES:
        assert parts.total(measure) == whole.total(measure), measure
    # the same time below the second and the same content are one call, in whatever order its keys are written
    same = {json.dumps(row, sort_keys=True) for row in rows if str(row["timestamp"]).endswith((".25", ".001Z"))}
    assert whole.total("calls") == len(same) + sum(json.dumps(row, sort_keys=True) not in same for row in rows)
