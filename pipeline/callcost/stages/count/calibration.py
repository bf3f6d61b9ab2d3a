"""Measure our own counting: where a call states its tokens and holds its text, count the text and compare.

What a report would count, had the log stated nothing: the same frames, the same counters. Reasoning is in no text, so
a completion is compared without it. Which calls are duplicates of each other is told by their keys. No text leaves
the window; what comes out is numbers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from callcost.settings import ReportOptions
from callcost.stages.count.missing_usage import TIMED_OUT, count_frames, open_counter
from callcost.stages.read.sides import SIDES, frame_sides
from callcost.stages.read.splits import Piece
from callcost.stages.read.windows import read_windows
from callcost.stages.tables.facts import key_of
from callcost.tables import Call, TaskResult
from callcost.tokens.engines.text_counter import TextCounter

MEASUREMENTS = {"model": pl.String, "side": pl.String, "key": pl.String, "stated": pl.Int64, "counted": pl.Int64}
EVERY_MODEL = "all"

Row = tuple[str, str, str | None, int, int]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MeasureTask:
    """Inputs to measure.

    Attributes:
        number: position of the task in the plan, from 0.
        pieces: parts of inputs that the task reads.
        folder: path of the folder that gets the measured counts.
        options: options of the run.
    """

    number: int
    pieces: tuple[Piece, ...]
    folder: str
    options: ReportOptions


def measure_pieces(task: MeasureTask, tick: Callable[[int, int], None]) -> TaskResult:
    """Count the calls of a task's inputs that state their tokens, and write stated and counted side by side."""
    rows: list[Row] = []
    with open_counter(task.options) as counter:
        for piece in task.pieces:
            for window in read_windows(piece, task.options.read):
                rows += measure_calls(window.calls, counter)
                tick(window.seen_bytes, window.found)
        counting = counter.stats()
    path = Path(task.folder) / f"measured-{task.number:06}.parquet"
    pl.DataFrame(rows, schema=MEASUREMENTS, orient="row").write_parquet(path)
    return TaskResult(counting=counting, files=[str(path)])


def measure_calls(calls: Sequence[Call], counter: TextCounter) -> list[Row]:
    """Count the stated sides of a window's calls; those whose text takes too long are left out."""
    stated = [_stated_sides(call) for call in calls]
    frames = [frame_sides(call, list(sides), counter.available) for call, sides in zip(calls, stated, strict=True)]
    rows: list[Row] = []
    for call, sides, counted in zip(calls, stated, count_frames(frames, counter), strict=True):
        kept = {side: tokens for side, (tokens, method, _) in counted.items() if method != TIMED_OUT}
        key, kind = key_of(call) if kept else ("", "none")
        rows += [
            (call.model, side, None if kind == "none" else key, sides[side], tokens) for side, tokens in kept.items()
        ]
    return rows


def _stated_sides(call: Call) -> dict[str, int]:
    """Return the tokens of the sides that the provider counted and whose text should be there."""
    usage = call.usage
    foreign = call.usage_source not in {None, "reported"} or call.status != "success"
    if usage is None or foreign or call.iterations or call.text_missing is not None:
        return {}
    stated = {"prompt_tokens": usage.prompt_tokens or 0, "completion_tokens": usage.completion_tokens or 0}
    stated["completion_tokens"] -= usage.reasoning_tokens or 0
    return {side: stated[side] for side in SIDES if stated[side] > 0}


def errors_of(paths: Iterable[str]) -> list[dict[str, Any]]:
    """Return how far counted tokens are from the stated ones, per model and side; duplicates count once.

    Args:
        paths: Parquet files that the tasks wrote, with the columns of ``MEASUREMENTS``.

    Returns:
        Rows of model ("all" first, then those with the most calls), side, calls, exact (share of them), median and p90
        (relative errors), sum (signed relative error of the sum).
    """
    measured = pl.concat([pl.DataFrame(schema=MEASUREMENTS), *map(pl.read_parquet, paths)])
    known = measured.filter(pl.col("key").is_not_null()).unique(maintain_order=True)
    measured = pl.concat([known, measured.filter(pl.col("key").is_null())])
    whole = measured.with_columns(model=pl.lit(EVERY_MODEL))
    measured = pl.concat([whole.with_columns(every=True), measured.with_columns(every=False)])
    error = (pl.col("counted") - pl.col("stated")).abs() / pl.col("stated")
    rows = measured.group_by("every", "model", "side").agg(
        calls=pl.len(),
        exact=(pl.col("counted") == pl.col("stated")).mean(),
        median=error.median(),
        p90=error.quantile(0.9, "higher"),
        sum=(pl.col("counted") - pl.col("stated")).sum() / pl.col("stated").sum(),
    )
    most = pl.col("calls").max().over("every", "model")
    ordered = rows.sort(~pl.col("every"), -most.cast(pl.Int64), "model", pl.col("side") == SIDES[1])
    return ordered.drop("every").to_dicts()
