"""`callcost report`: price the calls in the logs and sum the cost per group."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import polars as pl

from pipeline.errors import ConfigError, PriceError
from pipeline.jobs.manifest import RunClock, manifest_of, verdicts_of
from pipeline.jobs.run import Progress, Settled, merged_spend, settle_logs, working_folder
from pipeline.prices.registered import with_registered
from pipeline.settings import COST_SOURCES, FORMATS, GROUP_COLUMNS, ReportOptions
from pipeline.stages.facts import CALL_SCHEMA
from pipeline.stages.kernel import book_of
from pipeline.stages.summary import CALL_ORDER, GATHERED
from pipeline.stages.write import WRITERS, document_bytes, parquet_bytes, publish_files


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SpendReport:
    """What a report found.

    Attributes:
        spend: one row per group; columns as in interface.md.
        rejects: records that could not become calls.
        manifest: the record of the run.
        exit_code: 0 done, 1 no call at all, 3 a gate was crossed.
    """

    spend: pl.DataFrame
    rejects: pl.DataFrame
    manifest: dict[str, Any]
    exit_code: int


def report_spend(
    options: ReportOptions,
    *,
    progress: Progress = lambda _bytes, _calls: None,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> SpendReport:
    """Price every call in the logs and sum the cost per group.

    Args:
        options: what to report; with ``out`` the files of the report are written there, the manifest last.
        progress: called with (bytes, calls) read since the last call.
        planned: called once with the bytes to read.

    Returns:
        The report. Rows never raise: see its rejects and the unpriced columns.

    Raises:
        ConfigError: an option makes no sense.
        LogError: an argument matches no file.
        ReportError: the folder cannot be written.

    Example:
        >>> report_spend(ReportOptions(logs=("sample_logs",))).spend.columns[:3]
        ['model', 'user', 'calls']
    """
    options = settle_options(options)
    clock = RunClock()
    with working_folder(options.out) as folder:
        settled = settle_logs(options, folder, listed=options.calls, progress=progress, planned=planned)
        spend = merged_spend(settled, options)
        rejects = settled.rejects()
        manifest = manifest_of(options, settled, spend, clock)
        if options.out is not None:
            _publish(options, settled, spend, rejects, manifest)
    return SpendReport(spend=spend, rejects=rejects, manifest=manifest, exit_code=verdicts_of(manifest))


def _publish(
    options: ReportOptions, settled: Settled, spend: pl.DataFrame, rejects: pl.DataFrame, manifest: dict[str, Any]
) -> None:
    files = {f"spend.{kind}": WRITERS[kind](spend) for kind in options.formats}
    files["rejects.parquet"] = parquet_bytes(rejects)
    if options.calls:
        calls = settled.table("calls", GATHERED).sort(CALL_ORDER, nulls_last=True)
        files["calls.parquet"] = parquet_bytes(calls.select(CALL_SCHEMA.keys()))
    publish_files(options.out or ".", files | {"manifest.json": document_bytes(manifest)})


def settle_options(options: ReportOptions) -> ReportOptions:
    """Return options with what the calling program registered; refuse what cannot be meant, by name.

    Every job begins here.

    Raises:
        ConfigError: a group column, format, cost source, time zone or interval is wrong.
    """
    for name in (*options.by, *(column for column, _ in options.where)):
        if name not in GROUP_COLUMNS and not name.startswith("tag:"):
            message = f"no column {name!r} to group or filter by"
            raise ConfigError(message, hint=f"One of {', '.join(GROUP_COLUMNS)}, or tag:NAME")
    if len(set(options.by)) != len(options.by) or not options.by:
        message = f"--by names no column, or one twice: {','.join(options.by)!r}"
        raise ConfigError(message)
    for name in options.formats:
        if name not in FORMATS:
            message = f"no format {name!r}"
            raise ConfigError(message, hint=f"One of {', '.join(FORMATS)}")
    if options.cost_source not in COST_SOURCES:
        message = f"no cost source {options.cost_source!r}"
        raise ConfigError(message, hint=f"One of {', '.join(COST_SOURCES)}")
    if options.since is not None and options.until is not None and options.since >= options.until:
        message = f"--since {options.since.isoformat()} is not before --until {options.until.isoformat()}"
        raise ConfigError(message)
    _check_timezone(options.timezone)
    try:
        book_of(options.prices)
    except PriceError as error:
        message = f"--prices {options.prices}: {error.message}"
        raise ConfigError(message, hint=error.hint) from error
    return dataclasses.replace(options, prices=with_registered(options.prices))


def _check_timezone(name: str) -> None:
    import zoneinfo  # noqa: PLC0415 - reads the zone's file

    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        message = f"no time zone {name!r}"
        raise ConfigError(message, hint="An IANA name such as Europe/Berlin") from error
