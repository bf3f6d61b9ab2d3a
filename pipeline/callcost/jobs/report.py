"""`callcost report`: price the calls in the logs and sum the cost per group."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from callcost.errors import ConfigError, LogError, PriceError
from callcost.jobs.engine.focus_export import asks_for_focus, check_focus, focus_documents
from callcost.jobs.engine.fresh_prices import refresh_prices
from callcost.jobs.engine.held_calls import (
    STATE,
    SUMMED,
    HeldCalls,
    amend_manifest,
    asked_columns,
    hold_table,
    join_held,
    kinds_of_source,
    open_report,
    settle_held,
)
from callcost.jobs.engine.manifest import RunClock, manifest_of, plain_options, verdicts_of
from callcost.jobs.engine.map_reduce import Progress, Settled, map_logs, merged_spend, reduce_facts, working_folder
from callcost.jobs.engine.page import PAGE, WORKBOOK, PageSums, documents_of, settle_earlier
from callcost.jobs.engine.work_dir import open_workplace
from callcost.prices.book.registered import with_registered
from callcost.runners.protocol import ignore_progress
from callcost.settings import CORRECTION_FORMATS, EXTENSIONS, FOCUS_FORMATS, TABLES, PriceOptions, ReportOptions
from callcost.stages.analysis.budgets import settle_budgets
from callcost.stages.analysis.call_charges import charges_of
from callcost.stages.analysis.local_costs import add_local_costs, check_currency
from callcost.stages.backfill.logged_corrections import correction_documents
from callcost.stages.count.calibration_file import with_calibration
from callcost.stages.pricing.exchange_rates import read_fx
from callcost.stages.pricing.price_facts import GATHERED
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.report.days import split_days
from callcost.stages.report.delta_table import DeltaDays, deltalake_module
from callcost.stages.report.notebook import spend_html
from callcost.stages.report.pseudonyms import hide_budget
from callcost.stages.report.publish import WRITERS, document_bytes, parquet_bytes, publish_files
from callcost.stages.report.spend import CALL_ORDER, check_sort, merge_spend, sort_spend
from callcost.stages.report.workbook import VIEWS, excel_module
from callcost.stages.tables.call_frames import FRAME, Frame, collect_frame
from callcost.stages.tables.facts import UID
from callcost.stages.tables.schemas import columns_of_calls

if TYPE_CHECKING:
    from callcost.jobs.analysis.compare import ComparedSpend

DOCUMENTS = {"xlsx": WORKBOOK, "html": PAGE}  # format -> file
DOCUMENTS |= {kind: f"{kind}.csv" for kind in (*FOCUS_FORMATS, *CORRECTION_FORMATS)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpendReport:
    """What a report found; a notebook shows its dearest groups as a table.

    Attributes:
        spend: one row per group; columns as in interface.md.
        rejected: records that could not become calls, as Parquet: there may be very many.
        manifest: the record of the run.
        exit_code: 0 done, 1 no call at all, 3 a gate was crossed.
        documents: name of a file -> the report as a workbook or a page, where these were asked for.
        source: options of the source that the calls are read from again; None: they are held.
        held: the calls, where they were at hand.
        table: the table that it is a report on; None: it is one on logs.
    """

    spend: pl.DataFrame
    rejected: bytes
    manifest: dict[str, Any]
    exit_code: int
    documents: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    source: ReportOptions = dataclasses.field(default_factory=ReportOptions, repr=False)
    held: pl.DataFrame | None = dataclasses.field(default=None, repr=False)
    table: HeldCalls | None = dataclasses.field(default=None, repr=False)

    @property
    def rejects(self) -> pl.DataFrame:
        """Records that could not become calls."""
        return pl.read_parquet(self.rejected)

    @cached_property
    def calls(self) -> pl.DataFrame:
        """One row per call, as in calls.parquet; unless ``calls`` was asked for, the source is read again for it.

        Raises:
            LogError: the source is gone, or has changed since.
        """
        if self.held is not None:
            return self.held
        found = read_source(self.source, planned=lambda _bytes: None).calls
        self._check_calls(found.height)
        return found

    @cached_property
    def charges(self) -> pl.DataFrame:
        """What each call was charged, a row per class of tokens: they add up to the calls' total_cost."""
        return charges_of(self.calls)

    def compare(self, other: SpendReport) -> ComparedSpend:
        """Say why another report costs more or less than this one, by the groups of the other: see compare."""
        from callcost.jobs.analysis.compare import compare  # noqa: PLC0415 - it stands on this module

        return compare(self, other)

    def to_html(self) -> str:
        """Return the report as a page that fetches nothing: what ``formats="html"`` writes."""
        if PAGE in self.documents:
            return self.documents[PAGE].decode()
        options = dataclasses.replace(self.source, formats=("html",), out=None, calls=False, table=TABLES[0])
        found = _report(options, self.table, progress=ignore_progress, planned=lambda _bytes: None)
        self._check_calls(found.manifest["totals"]["calls"])
        return found.documents[PAGE].decode()

    def _check_calls(self, calls: int | None) -> None:
        """Refuse what was read again and is no more what it was."""
        if (calls or 0) != (self.manifest["totals"]["calls"] or 0):
            raise LogError("the logs have changed since the report", hint="Report again, with calls=True to keep calls")

    def _repr_html_(self) -> str:
        return spend_html(self.spend, self.source.by, self.manifest["totals"])


def report_spend(
    source: ReportOptions | Frame | None = None,
    options: ReportOptions | None = None,
    *,
    progress: Progress = ignore_progress,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> SpendReport:
    """Price every call in the logs, or of a table in memory, and sum the cost per group.

    Args:
        source: what to report of which logs, or a table of calls, a row each: a DataFrame or LazyFrame of Polars, or
            what else speaks Arrow (pandas, pyarrow). Its columns have the names of calls.parquet; what is missing is
            null. Rows that have a price_status keep their prices, others are priced.
        options: what to report of a table; with ``out`` the files of the report are written there, the manifest last.
        progress: called with (bytes, calls) read since the last call.
        planned: called once with the bytes to read.

    Returns:
        The report. Rows never raise: see its rejects and the unpriced columns.

    Raises:
        ConfigError: an option makes no sense, or a column of a table.
        LogError: an argument matches no file.
        ReportError: the folder cannot be written.
        RunError: the place of the work cannot be used, or its executor gives up.

    Example:
        >>> report_spend(ReportOptions(logs=("sample_logs",))).spend.columns[:3]
        ['model', 'user', 'calls']
    """
    options, table = _asked(source, options)
    options = settle_options(options)
    held = hold_table(table) if table is not None else None
    report = _report(options, held, progress=progress, planned=planned)
    refreshed = refresh_prices(options, report.manifest["newer_prices"])
    if refreshed and refreshed["added"]:
        report = _report(options, held, progress=progress, planned=planned)
    report.manifest["run"] |= {"prices_refresh": refreshed} if refreshed else {}
    return report


def _asked(
    source: ReportOptions | Frame | None, options: ReportOptions | None
) -> tuple[ReportOptions, pl.DataFrame | None]:
    """Return what to report, and the table of calls to report on; None: logs."""
    if source is None or isinstance(source, ReportOptions):
        given = [each for each in (source, options) if isinstance(each, ReportOptions)]
        if len(given) != 1:
            raise ConfigError("give options with logs, or a table of calls and options")
        return given[0], None
    if options is not None and options.logs:
        raise ConfigError("logs: the calls are those of the table", hint="Give ReportOptions without logs")
    return dataclasses.replace(options or ReportOptions(), logs=(FRAME,)), collect_frame(source)


def _report(
    options: ReportOptions, table: HeldCalls | None, *, progress: Progress, planned: Callable[[int], None]
) -> SpendReport:
    clock, viewed = RunClock(), with_views(options)
    of_calls = {"html", *CORRECTION_FORMATS}.intersection(options.formats)
    is_asked = options.calls or options.table == "delta" or bool(of_calls)
    held = table or open_source(options, None if is_asked or asks_for_focus(options) else SUMMED)
    with open_workplace(options) as place:
        run = {"runner": place.runner, "progress": progress, "planned": planned}
        settled = _settle_source(held, viewed, place.folder, listed=is_asked or table is not None, **run)
        earlier = settle_earlier(options, settled)
        whole = merged_spend(settled, viewed)
        spend = whole if viewed is options else sort_spend(merge_spend([whole], options.by), options.by, options.sort)
        rejected = settled.rejects().parquet()
        manifest = manifest_of(options, settled, spend, clock)
        manifest = amend_manifest(manifest, held) if held is not None else manifest
        if options.currency is not None:
            fx = read_fx(options.fx, options.currency)
            spend, manifest["currency"] = add_local_costs(spend, whole, options, fx)
        page = PageSums(options, settled.tables("calls"))
        page.add_files(settled.tables("calls"))
        page.add_earlier(earlier)
        documents = documents_of(spend, whole, options, manifest, page)
        documents |= focus_documents(options, settled, manifest, held)
        documents |= correction_documents(options.formats, settled.tables("calls"), manifest, write=WRITERS["csv"])
        read = manifest["options"]["read"]
        calls = _listed_calls(settled, read) if options.calls or table is not None else None
        if options.out is not None:
            files = table_files("spend", spend, options) | documents
            files |= {"calls.parquet": parquet_bytes(calls)} if calls is not None and options.calls else {}
            _publish(options, settled, files | {"rejects.parquet": rejected}, manifest)
        place.finish()
    return SpendReport(
        spend=spend, rejected=rejected, manifest=manifest, exit_code=verdicts_of(manifest), documents=documents,
        source=options, held=calls, table=table,
    )  # fmt: skip


def _listed_calls(settled: Settled, read: dict[str, Any], listed: Collection[str] = GATHERED) -> pl.DataFrame:
    """Return the calls as they are published, by how they were read as a manifest says it."""
    columns = [name for name in columns_of_calls(hashed=read.get("fingerprint_key") is not None) if name in listed]
    return settled.table("calls", GATHERED).sort(CALL_ORDER, nulls_last=True).select(columns)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SourceTables:
    """What a source holds, filtered and priced.

    Attributes:
        calls: columns of Calls, in their published order.
        spend: one row per group of ``by``.
        rejects: columns of Rejects.
    """

    calls: pl.DataFrame
    spend: pl.DataFrame
    rejects: pl.DataFrame


def read_source(
    options: ReportOptions, *, columns: Collection[str] | None = None, summed: bool = True, **run: Any
) -> SourceTables:
    """Return the calls of logs, of a report that holds calls, or of a state.

    Args:
        options: settled; ``logs`` names the source.
        columns: of the calls that are wanted; there may be more. None: all.
        summed: False: the spend is not wanted.
        run: ``progress`` and ``planned``; see report_spend.

    Raises:
        ConfigError: an option asks for what the source cannot give.
        LogError: the source matches no file, or holds no calls.
    """
    listed = tuple(name for name in GATHERED if columns is None or name in {*UID, *CALL_ORDER, *columns})
    held = open_source(options, None if columns is None else (*listed, *(SUMMED if summed else ())))
    with working_folder(None) as folder:
        settled = _settle_source(held, options, folder, listed=listed, **run)
        read = plain_options(options)["read"] if held is None else held.manifest["options"]["read"]
        calls, rejects = _listed_calls(settled, read, listed), pl.read_parquet(settled.rejects().parquet())
        spend = merged_spend(settled, options) if summed else pl.DataFrame()
        return SourceTables(calls=calls, spend=spend, rejects=rejects)


def open_source(options: ReportOptions, columns: Collection[str] | None = None) -> HeldCalls | None:
    """Return the calls that reports or states hold, where the logs are such; None: they are logs.

    Args:
        options: ``logs`` names the source.
        columns: of the calls that are wanted, beside those that the options ask for; None: all.

    Raises:
        ConfigError: several do not go together.
        LogError: one holds no calls.
        RunError: a state cannot be used.
    """
    kinds = kinds_of_source(options.logs)
    if not kinds:
        return None
    from callcost.jobs.state.held_state import open_held_state  # noqa: PLC0415 - it stands on this module

    wanted = asked_columns(options, columns) if len(kinds) == 1 else None  # of several, all tells which are copies
    places = zip(options.logs, kinds, strict=True)
    parts = [open_held_state(place, options) if kind == STATE else open_report(place, wanted) for place, kind in places]
    return join_held(parts)


def _settle_source(
    held: HeldCalls | None, options: ReportOptions, folder: Path | str, *, listed: bool | tuple[str, ...], **run: Any
) -> Settled:
    """Settle the calls that a source holds, else its logs, with what map_logs is told of a run."""
    if held is not None:
        return settle_held(held, options, folder, listed=listed)
    from callcost.jobs.state.read_once import map_once  # noqa: PLC0415 - for logs alone

    found = (map_once if options.out is None else map_logs)(options, folder, **run)
    return reduce_facts(options, found, listed=listed)


def with_views(options: ReportOptions) -> ReportOptions:
    """Return the options of the sums that a report is made of: by more columns for a workbook or a currency."""
    views = (*(VIEWS if "xlsx" in options.formats else ()), *(("day",) if options.currency is not None else ()))
    more = [view for view in dict.fromkeys(views) if view not in options.by]
    return dataclasses.replace(options, by=(*options.by, *more), sort=None) if more else options


def table_files(name: str, table: pl.DataFrame, options: ReportOptions) -> dict[str, bytes]:
    """Return the files of a table, name -> content, in each format that was asked for but as a document."""
    kinds = [kind for kind in options.formats if kind in WRITERS]
    return {f"{name}.{EXTENSIONS.get(kind, kind)}": WRITERS[kind](table) for kind in kinds}


def _publish(options: ReportOptions, settled: Settled, files: dict[str, bytes], manifest: dict[str, Any]) -> None:
    columns = columns_of_calls(hashed=manifest["options"]["read"].get("fingerprint_key") is not None)
    if options.table == "delta":
        table = DeltaDays(options.out or ".")
        for day, parts in split_days(settled.tables("calls"), options.timezone):
            table.add(day, pl.concat(part.select(columns) for part in parts))
        table.flush()
    publish_files(options.out or ".", files | {"manifest.json": document_bytes(manifest)})


def settle_options(options: ReportOptions) -> ReportOptions:
    """Return options with what the calling program registered; refuse what cannot be meant, by name.

    Every job begins here.

    Raises:
        ConfigError: the interval is empty, there are no such prices, or what --table needs is not there.
    """
    if options.since is not None and options.until is not None and options.since >= options.until:
        message = f"--since {options.since.isoformat()} is not before --until {options.until.isoformat()}"
        raise ConfigError(message)
    budgets = settle_budgets(options.budget, partial(hide_budget, key=options.pseudonyms))
    options = _settle_moment(dataclasses.replace(options, budget=budgets))
    check_sort(options)
    check_focus(options)
    check_currency(options)
    if options.currency is not None:
        read_fx(options.fx, options.currency)
    if options.table == "delta":
        refuse_parts_of_days(options, "--table delta")
        deltalake_module()
    if "xlsx" in options.formats:
        excel_module()
    with_calibration((), options.count.calibration)
    if options.calls and options.out is None:
        raise ConfigError("--calls needs --out", hint="Give a folder that calls.parquet is written to")
    try:
        if options.prices != PriceOptions():  # the usual ones are always there, and what comes priced needs none
            book_of(options.prices)
    except PriceError as error:
        raise ConfigError(f"--prices: {error.message}", hint=error.hint) from error
    return dataclasses.replace(options, prices=with_registered(options.prices))


def _settle_moment(options: ReportOptions) -> ReportOptions:
    """Refuse budgets and a moment that an interval or a filter leaves without some of their calls.

    Raises:
        ConfigError: there are calls that would be missing.
    """
    if options.budget and options.where:
        raise ConfigError("--where cannot go with --budget", hint="Say in the file which group a budget is for")
    if options.as_of is not None and options.until is not None and options.as_of > options.until:
        raise ConfigError(f"--as-of {options.as_of.isoformat()} is after --until {options.until.isoformat()}")
    if options.as_of is not None and options.since is not None and options.as_of <= options.since:
        raise ConfigError(f"--as-of {options.as_of.isoformat()} is not after --since {options.since.isoformat()}")
    return options


def refuse_parts_of_days(options: ReportOptions, flag: str) -> None:
    """Refuse what would leave a day with a part of its calls, where days are replaced as a whole.

    Args:
        options: what the report was asked for.
        flag: option that replaces whole days, as users write it.

    Raises:
        ConfigError: there is a filter, an interval that does not begin and end at midnight, or nowhere to publish.
    """
    asked = [f"--format {kind}" for kind in options.formats if kind in {*CORRECTION_FORMATS, *FOCUS_FORMATS}]
    asked += ["--currency"] * (options.currency is not None)
    if flag == "--state" and asked:
        raise ConfigError(f"{asked[0]} cannot go with --state", hint="Report on the state's folder instead")
    if options.where:
        raise ConfigError(f"--where cannot go with {flag}", hint="Filter when you read the partitions")
    if options.out is None:
        raise ConfigError(f"{flag} needs --out")
    for name, moment in {"since": options.since, "until": options.until}.items():
        local = None if moment is None else pl.Series([moment]).dt.convert_time_zone(options.timezone)[0]
        if local is not None and local.time() != datetime.min.time():
            raise ConfigError(f"--{name} must be midnight with {flag}", hint="Days are replaced as a whole")
