"""Calls that are otherwise in nothing cost the same; texts counted for another model are those of renamed logs."""

from __future__ import annotations

import dataclasses
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost import ReportOptions, report_spend, what_if
from tests.conftest import examples
from tests.laws.chat_records import anthropic_pair, openai_pair
from tests.laws.test_sources import CALLS, RUNS

Record = dict[str, Any]
TARGETS = ("gpt-4o-mini", "gpt-5-mini", "claude-sonnet-4-5", "claude-opus-4-8", "gemini-2.5-flash",
           "mistral/mistral-large-latest")  # fmt: skip
USAGES = st.dictionaries(
    st.sampled_from(["prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"]), st.integers(0, 10**6)
)


def _write(path: Path, records: list[Record]) -> str:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return str(path)


@examples(2, 100)
@given(rows=st.lists(CALLS, min_size=1, max_size=20), runs=st.lists(RUNS, max_size=3))
def test_what_is_otherwise_in_nothing_costs_the_same(
    rows: list[Record], runs: list[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("same")
    messages = [
        {"id": f"msg_{n}", "type": "message", "role": "assistant", "model": "claude-sonnet-5", "content": [],
         "usage": {"input_tokens": 1, "output_tokens": 1, "iterations": each}}
        for n, each in enumerate(runs)
    ]  # fmt: skip
    log = _write(folder / "log.jsonl", [*rows, *messages])
    plain = report_spend(ReportOptions(logs=log, by=("model", "user"), out=folder / "held", calls=True)).spend
    wanted = sorted(plain.select("model", "user", "total_cost").iter_rows(), key=str)
    itself = [(model, model) for model in plain["model"].unique() if model]
    for source in (log, str(folder / "held")):
        options = ReportOptions(logs=source, by=("model", "user"))
        for asked in ({"models": itself}, {"prices": "as-of"}):
            found = what_if(options, **asked).groups
            assert found["old_cost"].equals(found["new_cost"], null_equal=True), asked
            assert sorted(found.select("model", "user", "new_cost").iter_rows(), key=str) == wanted
            assert asked != {"models": itself} or found["changed_calls"].sum() == 0


@examples(5, 100)
@given(data=st.data(), target=st.sampled_from(TARGETS))
def test_texts_count_for_another_model_as_in_renamed_logs_without_usage(
    data: st.DataObject, target: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("renamed")
    makers = data.draw(st.lists(st.sampled_from((openai_pair, anthropic_pair)), min_size=4, max_size=12))
    bare = [maker(number, data.draw) | {"user": f"u{number}"} for number, maker in enumerate(makers)]
    stated = [record | {"response": record["response"] | {"usage": data.draw(USAGES)}} for record in bare]
    for record in bare:
        record["request"]["model"] = record["response"]["model"] = target
    options = ReportOptions(logs=_write(folder / "stated.jsonl", stated), by="user")
    found = what_if(options, models={"*": target}).groups
    renamed = report_spend(dataclasses.replace(options, logs=_write(folder / "renamed.jsonl", bare))).spend
    wanted: dict[str, Decimal] = dict(renamed.select("user", "total_cost").iter_rows())
    tokens: dict[str, int] = dict(renamed.select("user", "total_tokens").iter_rows())
    for row in found.iter_rows(named=True):
        if row["recounted_calls"] and wanted[row["user"]] is not None:  # else a side has no text
            assert row["new_cost"] == wanted[row["user"]]
            assert row["new_tokens"] == tokens[row["user"]]
