"""`callcost query`: SQL over what a source holds."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import polars as pl

from callcost.errors import ConfigError
from callcost.jobs.engine.map_reduce import Progress
from callcost.jobs.report import read_source, settle_options
from callcost.runners.protocol import ignore_progress
from callcost.settings import ReportOptions
from callcost.stages.analysis.call_charges import charges_of
from callcost.stages.analysis.sql import check_sql, columns_in, run_sql
from callcost.stages.tables.schemas import Calls


def query_calls(
    sql: str,
    options: ReportOptions,
    *,
    progress: Progress = ignore_progress,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> pl.DataFrame:
    """Answer a query over the calls of a source.

    Args:
        sql: one SELECT over ``calls``, ``charges`` (what each call was charged, class by class), ``spend`` (grouped by
            ``options.by``) and ``rejects``; Polars' SQL.
        options: ``logs`` names the source: logs, a report that holds calls, or a state.
        progress: see report_spend.
        planned: see report_spend.

    Raises:
        ConfigError: the query or an option is wrong.
        LogError: the source matches no file, or holds no calls.

    Example:
        >>> query_calls("SELECT count(*) AS calls FROM calls", ReportOptions(logs="sample_logs")).item() > 0
        True
    """
    check_sql(sql)
    options, words = settle_options(options), sql.lower()
    summed, charged = "spend" in words, "charges" in words
    columns = None if charged else columns_in(sql, Calls.names)
    if columns is not None:
        found = read_source(options, progress=progress, planned=planned, columns=columns, summed=summed)
        with contextlib.suppress(ConfigError):  # which names what there is: it takes all
            return run_sql(sql, {"calls": found.calls, "spend": found.spend, "rejects": found.rejects})
    found = read_source(options, progress=progress, planned=planned)
    charges = charges_of(found.calls if charged else found.calls.clear())
    return run_sql(sql, {"calls": found.calls, "spend": found.spend, "rejects": found.rejects, "charges": charges})
