"""Histograms of stated reasoning add up whatever their parts, and tell what stands for it where it is hidden."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcost.stages.count.hidden_reasoning import (
    LEAST_CALLS,
    RATIOS,
    Ratios,
    fill_reasoning,
    histogram_of,
    merge_histograms,
    ratios_of,
    reasoning_by_line,
)
from callcost.stages.tables.facts import widen_facts
from callcost.tables import FROM_LOG, HIDDEN

MODELS = st.sampled_from(("gpt-5", "gpt-5-2025-08-07", "openai/gpt-5-mini", "o3", "Gemini-2.5-Flash"))
STATED: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict, model=MODELS, endpoint=st.sampled_from(("chat", "gemini", None)),
    effort=st.sampled_from((None, "low")), reasoning_tokens=st.none() | st.integers(0, 5000),
    visible=st.integers(1, 3000),
)  # fmt: skip
_COUNTS = ("completion_tokens", "total_tokens")


def _facts(rows: list[dict[str, Any]]) -> pl.DataFrame:
    usual = {"status": "success", "usage_source": "reported", "flags": [], "line": 0, "lines": 1, "prompt_tokens": 10}
    laid = []
    for row in rows:
        answer = row["visible"] + (row.get("reasoning_tokens") or 0)
        counts = {prefix + name: answer + 10 * (name[0] == "t") for prefix in ("", "line_") for name in _COUNTS}
        laid.append(usual | counts | {name: value for name, value in row.items() if name != "visible"})
    return widen_facts(pl.DataFrame(laid, infer_schema_length=None))


def _hidden(model: str = "gpt-5", visible: int = 20, **more: Any) -> dict[str, Any]:
    row = {"model": model, "endpoint": "chat", "visible": visible, "usage_source": "counted", "flags": [HIDDEN]}
    return row | {"count_method": "exact", "count_error": 0.01} | more


def _ratios(folder: Path, *parts: pl.DataFrame) -> Ratios:
    paths = [str(folder / f"reasoning-{number}.parquet") for number in range(len(parts))]
    for path, part in zip(paths, parts, strict=True):
        merge_histograms([histogram_of(part)]).write_parquet(path)
    return ratios_of(paths)


@given(rows=st.lists(STATED, min_size=2, max_size=20), data=st.data())
def test_histograms_are_the_same_in_any_order_and_cut(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    shuffled, cut = data.draw(st.permutations(rows)), data.draw(st.integers(1, len(rows) - 1))
    parts = [histogram_of(_facts(shuffled[cut:])), histogram_of(_facts(shuffled[:cut]))]
    assert merge_histograms(parts).equals(histogram_of(_facts(rows)))


def test_the_mean_of_calls_of_the_same_kind_is_filled_in_exactly(tmp_path: Path) -> None:
    stated = [{"model": "gpt-5-2025-08-07", "endpoint": "chat", "visible": 20, "reasoning_tokens": 64 * (n % 4)}
              for n in range(40)]  # fmt: skip
    ratios = _ratios(tmp_path, _facts(stated), _facts([{**stated[0], "endpoint": None, "reasoning_tokens": 96}]))
    facts = _facts([_hidden(), _hidden("gpt-5-nano-x"), _hidden("gpt-6")])
    filled, by_family, stays = fill_reasoning(facts, ratios, "UTC").to_dicts()
    assert (filled["completion_tokens"], filled["reasoning_tokens"], filled["total_tokens"]) == (116, 96, 126)
    assert all(filled[name] == filled[f"line_{name}"] for name in (*_COUNTS, "reasoning_tokens"))
    assert (filled["flags"], filled["count_method"]) == ([FROM_LOG], "estimated")
    assert filled["count_error"] == 2.0  # of no reasoning, 96 tokens are 4.8 times as many as are right
    assert by_family["reasoning_tokens"] == 96
    assert (stays["flags"], stays["count_method"], stays["count_error"]) == ([HIDDEN], "estimated", 1.0)
    assert stays["completion_tokens"] == 20


@pytest.mark.parametrize("few", [1, LEAST_CALLS, 10 * LEAST_CALLS])
def test_a_wider_kind_weighs_as_much_as_the_least_calls(tmp_path: Path, few: int) -> None:
    wide = {"model": "o4-mini", "endpoint": "chat", "visible": 20, "reasoning_tokens": 100}
    own = {**wide, "model": "o1-pro", "effort": "high", "reasoning_tokens": 900}
    ratios = _ratios(tmp_path, _facts([wide] * 70 + [own] * few))
    family = half_up(70 * 100 + few * 900, 70 + few)
    api = half_up(70 * 100 + few * 900 + LEAST_CALLS * family, 70 + few + LEAST_CALLS)
    line = half_up(few * 900 + LEAST_CALLS * api, few + LEAST_CALLS)
    effort = half_up(few * 900 + LEAST_CALLS * line, few + LEAST_CALLS)
    facts = _facts([_hidden("o3", endpoint=None), _hidden("o3"), _hidden("o1-pro"), _hidden("o1-pro", effort="high")])
    found = fill_reasoning(facts, ratios, "UTC")["reasoning_tokens"].to_list()
    assert found == [family, api, line, effort]
    named = {row["model"] for row in reasoning_by_line(ratios)}
    assert named == ({"o4-mini", "o1-pro"} if few >= LEAST_CALLS else {"o4-mini"})


def half_up(total: int, count: int) -> int:
    """Return a mean, rounded."""
    return (2 * total + count) // (2 * count)


def test_calls_that_cannot_reason_tell_nothing(tmp_path: Path) -> None:
    able = {"model": "gpt-5.2", "endpoint": "chat", "effort": "high", "visible": 20, "reasoning_tokens": 640}
    unable = [{**able, "effort": effort, "reasoning_tokens": 0} for effort in ("none", None)]
    ratios = _ratios(tmp_path, _facts([able] * LEAST_CALLS + unable * LEAST_CALLS))
    assert fill_reasoning(_facts([_hidden("gpt-5.2", effort="low")]), ratios, "UTC")["reasoning_tokens"].item() == 640


def test_too_few_calls_tell_nothing(tmp_path: Path) -> None:
    row = {"model": "gpt-5", "endpoint": "chat", "visible": 20, "reasoning_tokens": 64}
    few, enough = (_facts([row] * count) for count in (LEAST_CALLS - 1, LEAST_CALLS))
    assert _ratios(tmp_path, few) == ()
    assert len(_ratios(tmp_path, enough)) > 0


def test_gemini_says_nothing_where_it_did_not_think(tmp_path: Path) -> None:
    row = {"model": "gemini-2.5-flash", "endpoint": "gemini", "visible": 20, "reasoning_tokens": None}
    silent = _facts([row] * LEAST_CALLS)
    assert {ratio[list(RATIOS).index("mean")] for ratio in _ratios(tmp_path, silent)} == {0}
    assert _ratios(tmp_path, silent.with_columns(endpoint=pl.lit("chat"))) == ()


def test_what_was_fixed_for_a_day_stands_there_alone() -> None:
    def ratio(mean: int, day: date | None) -> tuple[Any, ...]:
        known = {"day": day, "kind": 1, "family": "gpt-5", "line": "gpt-5", "endpoint": "chat", "calls": LEAST_CALLS}
        known |= dict.fromkeys(("mean", "low", "high"), mean)
        return tuple(known.get(name) for name in RATIOS)

    first = date(2026, 6, 1)
    moments = [datetime(2026, 6, 1, 23, 30, tzinfo=UTC), datetime(2026, 6, 2, tzinfo=UTC), None]
    facts = _facts([_hidden(started_at=moment) for moment in moments])
    ratios = (ratio(100, None), ratio(7, first))
    assert fill_reasoning(facts, ratios, "UTC")["reasoning_tokens"].to_list() == [7, 100, 100]
    assert fill_reasoning(facts, ratios, "Europe/Berlin")["reasoning_tokens"].to_list() == [100, 100, 100]


def test_what_comes_priced_stays(tmp_path: Path) -> None:
    row = {"model": "gpt-5", "endpoint": "chat", "visible": 20, "reasoning_tokens": 64}
    ratios = _ratios(tmp_path, _facts([row] * LEAST_CALLS))
    priced = _facts([_hidden(price_status="partly_priced")])
    assert fill_reasoning(priced, ratios, "UTC").equals(priced)
