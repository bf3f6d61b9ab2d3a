"""`callcost inspect`: what is in the logs; prices nothing, and counts only to compare with what is stated."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
from msgspec import to_builtins

from callcost.jobs.engine.manifest import inputs_of, reject_reasons
from callcost.jobs.engine.map_reduce import Progress, Settled, settle_logs, tally_facts, working_folder
from callcost.jobs.engine.recount import run_counting
from callcost.logs.io.folders import folder_at
from callcost.runners.packing import pack_pieces
from callcost.runners.protocol import ignore_progress
from callcost.settings import ReportOptions
from callcost.stages.count.calibration import MeasureTask, errors_of, measure_pieces
from callcost.stages.count.calibration_file import calibration_bytes
from callcost.stages.count.hidden_reasoning import Ratios, reasoning_by_line
from callcost.stages.dedup.rules import CONFLICT
from callcost.stages.report.publish import publish_file
from callcost.stages.tables.schemas import Calls
from callcost.tables import TaskResult, add_up
from callcost.tokens.engines.vocabularies import installed
from callcost.tokens.engines.vocabulary_packages import PACKAGES
from callcost.tokens.vocabulary_needs import needs_of


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What is in the logs.

    Attributes:
        inputs: the fate of every record, per input.
        dialects: dialect -> calls.
        models: model -> calls.
        days: day (UTC) -> calls.
        usage: "reported", "partial" or "missing" -> calls.
        rejects: reason -> records, the commonest first.
        first_rejects: reason -> file:row of the first of them.
        flags: flag -> calls.
        unread_usage: path of a number that looks like usage and that no table knows -> calls that have it.
        duplicates: cause -> records that are no call of their own.
        conflicts: ids that came with different requests: "id", "calls", "first" (file:row).
        undated: calls without a time.
        counting: how far our own counts are from the stated ones, per model and side; None where that was not asked.
        reasoning: what calls of a line of models take: "model", "endpoint", "mean", "low", "high"; None: not asked.
        vocabularies: what counts of models without usage would gain by vocabularies that can be installed.
        skipped: folders below the logs that were not read: "path" and "what" they hold.
    """

    inputs: list[dict[str, Any]]
    dialects: dict[str, int]
    models: dict[str, int]
    days: dict[str, int]
    usage: dict[str, int]
    rejects: dict[str, int]
    first_rejects: dict[str, str]
    flags: dict[str, int]
    unread_usage: dict[str, int]
    duplicates: dict[str, int]
    conflicts: list[dict[str, Any]]
    undated: int
    counting: list[dict[str, Any]] | None = None
    reasoning: list[dict[str, Any]] | None = None
    vocabularies: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    skipped: list[dict[str, str]] = dataclasses.field(default_factory=list)


def inspect_logs(
    options: ReportOptions,
    *,
    calibrate: bool = False,
    write: str | None = None,
    progress: Progress = ignore_progress,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> Inspection:
    """Say what is in the logs: dialects, calls, dates, models, usage missing, duplicates, rejects.

    Args:
        options: only ``logs``, ``read``, ``work`` and, to calibrate, ``count`` matter.
        calibrate: count the text of calls that state their tokens, too, and compare.
        write: path of the calibration file that is written, for CountOptions.calibration; None: none is.
        progress: called with (bytes, calls) read since the last call.
        planned: called once with the bytes to read.

    Raises:
        LogError: an argument matches no file.
    """
    with working_folder(None) as folder:
        settled = settle_logs(options, folder, priced=False, progress=progress, planned=planned)
        rejects = reject_reasons(settled)
        ratios = _tally(settled) if calibrate or write else None
        if write and ratios is not None:
            publish_file(folder_at(str(Path(write).parent)), Path(write).name, calibration_bytes(ratios))
        usage, models = _usage_of(settled), _sorted(settled.reduced.model)
        needs = needs_of(models, installed(), PACKAGES) if set(usage) - {"reported"} else []
        return Inspection(
            inputs=inputs_of(settled),
            dialects=_sorted(settled.reduced.source_format),
            models=models,
            days=dict(sorted(settled.reduced.day.items())),
            usage=usage,
            rejects={row["reason"]: row["records"] for row in rejects},
            first_rejects={row["reason"]: row["first"] for row in rejects},
            flags=_sorted(settled.reduced.flags),
            unread_usage=_sorted(settled.mapped.unread_usage),
            duplicates=_sorted(settled.reduced.duplicates),
            conflicts=_conflicts_of(settled),
            undated=settled.reduced.undated,
            counting=_measure(options, settled, folder) if calibrate else None,
            reasoning=None if ratios is None else reasoning_by_line(ratios),
            vocabularies=[need._asdict() for need in needs],
            skipped=to_builtins(list(settled.skipped)),
        )


def _tally(settled: Settled) -> Ratios:
    files = tuple(settled.tables("facts"))
    return tally_facts([files] if files else [], tuple(settled.tables("verdicts")), settled.folder)


def _measure(options: ReportOptions, settled: Settled, folder: Path) -> list[dict[str, Any]]:
    """Read the logs once more, and count."""

    def plan(asked: ReportOptions) -> list[MeasureTask]:
        return [
            MeasureTask(number=number, pieces=packed, folder=str(folder), options=asked)
            for number, packed in enumerate(pack_pieces(settled.pieces, settled.workers))
        ]

    results = run_counting(measure_pieces, plan, options, workers=settled.workers)
    return errors_of(add_up(results, TaskResult()).files_of("measured"))


def _sorted(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _conflicts_of(settled: Settled) -> list[dict[str, Any]]:
    """List the ids that stand for several calls, the most frequent first."""
    place = pl.concat_str("source_file", pl.lit(":"), "source_row")
    paths = settled.tables("calls")
    calls = pl.scan_parquet(paths) if paths else pl.LazyFrame(schema=Calls.types)
    return (
        calls.filter(pl.col("flags").list.contains(CONFLICT))
        .group_by(pl.col("call_id").alias("id"))
        .agg(pl.len().alias("calls"), place.sort_by("source_file", "source_row").first().alias("first"))
        .sort("calls", "id", descending=[True, False])
        .collect()
        .to_dicts()
    )


def _usage_of(settled: Settled) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for path in settled.tables("calls"):
        stated = pl.read_parquet(path, columns=["prompt_tokens", "completion_tokens"])
        sides = stated.select(pl.sum_horizontal(pl.all().is_not_null())).to_series().value_counts()
        counts.update({("missing", "partial", "reported")[sides_stated]: n for sides_stated, n in sides.iter_rows()})
    return _sorted(counts)
