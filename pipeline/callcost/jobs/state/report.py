"""`callcost report --state`: read what is new, settle everything from facts, publish the days that changed."""

from __future__ import annotations

import dataclasses
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
from msgspec import to_builtins

from callcost import __version__
from callcost.errors import LogError, ReportError, RunError, UnfinishedError, reason_of
from callcost.jobs.engine.conservation import check_conservation
from callcost.jobs.engine.fingerprint import prices_of
from callcost.jobs.engine.fresh_prices import refresh_prices
from callcost.jobs.engine.manifest import (
    RunClock,
    gate_of,
    gate_of_share,
    manifest_of,
    newer_prices_for,
    result_options,
    verdicts_of,
)
from callcost.jobs.engine.map_reduce import Progress
from callcost.jobs.engine.page import PageSums, documents_of
from callcost.jobs.engine.work_dir import check_work
from callcost.jobs.report import SpendReport, refuse_parts_of_days, settle_options, table_files, with_views
from callcost.jobs.state.carry_over import carry_over
from callcost.jobs.state.closed_days import (
    ClosedDay,
    closed_days,
    merge_with_closed,
    remember_day,
    save_days,
    split_with_closed,
)
from callcost.jobs.state.fixed_ratios import fix_ratios
from callcost.jobs.state.intake import Event, Intake, plan_intake, read_fresh, settle_lost
from callcost.jobs.state.log_rotation import result_of
from callcost.jobs.state.partitions import Partitions
from callcost.jobs.state.state_folder import open_state, record_run, told_run, words_of_run
from callcost.jobs.state.unchanged.kept_sums import KeptDay, KeptSums, drop_sums, keep_sums, read_sums, recipe_of
from callcost.jobs.state.unchanged.settle_night import Night, settle_night
from callcost.logs.io.folders import folder_at
from callcost.logs.io.temporary import refused_place, temporary_folder
from callcost.runners.entries import digest_of_bytes, digest_of_value
from callcost.runners.ledger import Ledger
from callcost.runners.protocol import ignore_progress
from callcost.settings import ReportOptions, StateOptions
from callcost.stages.pricing.price_facts import gather_calls
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.report.adjustments import ORDER, adjustments_of
from callcost.stages.report.days import day_of, plain_day
from callcost.stages.report.publish import document_bytes, parquet_bytes, plain_decimals
from callcost.stages.report.rejects import count_rows
from callcost.stages.report.spend import CALL_ORDER, merge_spend, sort_spend
from callcost.stages.tables.facts import layout_of_facts
from callcost.stages.tables.layouts import describe_layout
from callcost.stages.tables.schemas import Adjustments, columns_of_calls

SPEND = "spend.parquet"


def _silent(_event: str, **_fields: Any) -> None:
    """Tell nobody."""


def report_incremental(
    options: ReportOptions,
    state: StateOptions,
    *,
    progress: Progress = ignore_progress,
    planned: Callable[[int], None] = lambda _bytes: None,
    event: Event = _silent,
    ended: Callable[[dict[str, Any]], None] = lambda _record: None,
) -> SpendReport:
    """Report on everything that was ever read into a state folder, reading only what is new.

    Args:
        options: what the report was asked for; with ``out``.
        state: the folder and how to go on.
        progress: called with (bytes, calls) read since the last call.
        planned: called once with the bytes to read.
        event: called with (name, fields) as the run goes on.
        ended: called once with the record of the run, also where it fails; see words_of_run.

    Raises:
        ConfigError: an option makes no sense.
        LogError: an argument matches no file.
        RunError: another run has the folder, or its ledger is damaged or too new.
        UnfinishedError: a part is done and kept.
        ReportError: the results cannot be written.
    """
    deadline = None if state.timeout is None else time.monotonic() + state.timeout
    clock = RunClock(run_id=state.run_id) if state.run_id else RunClock()
    with ExitStack() as stack:
        record = stack.enter_context(told_run(clock, ended))
        options = settle_state(options)
        ledger = stack.enter_context(open_state(state, clock))
        stack.enter_context(record_run(ledger, record, clock))
        intake = plan_intake(ledger, options, state.forget)
        Partitions(options, ledger).prepare(rebuild=state.rebuild)
        fresh_bytes = sum(stamp.bytes for _, stamp in intake.fresh)
        planned(fresh_bytes)
        event("plan", read=len(intake.fresh), bytes=fresh_bytes, known=len(intake.found) - len(intake.fresh))
        with _tell_what_is_kept(ledger), temporary_folder(ledger.folder.path) as work:
            run = _Run(ledger, options, state, clock, intake, work, deadline, progress, event)
            result = run.report()
        record |= words_of_run(result.manifest, result.exit_code)
        return result


@contextmanager
def _tell_what_is_kept(ledger: Ledger) -> Iterator[None]:
    """Turn what a disk or a store refuses into an error that says whether a part is done."""
    known = set(ledger.entries)
    try:
        yield
    except (OSError, pl.exceptions.ComputeError, ReportError, LogError) as error:
        refused = refused_place(error, [ledger.folder.place])
        message = f"cannot write to {refused}: {reason_of(error)}"
        hint = "Check the folder's permissions and free space"
        if isinstance(error, ReportError | LogError):
            message, hint = error.message, error.hint.removesuffix(", then run again") or hint
        if not known.issuperset(ledger.entries):
            hint = f"What was read is kept: {hint[:1].lower()}{hint[1:]}, then run the same again"
            raise UnfinishedError(message, hint=hint) from error
        raise RunError(message, hint=f"{hint}, then run again") from error


def settle_state(options: ReportOptions) -> ReportOptions:
    """Do what settle_options does, and refuse what does not go with a state.

    Raises:
        ConfigError: an option makes no sense.
    """
    options = settle_options(options)
    check_work(options)
    refuse_parts_of_days(options, "--state")
    return options


@dataclasses.dataclass(frozen=True, slots=True)
class _Run:
    """A run of a report that remembers.

    Attributes:
        ledger: ledger of the state, opened.
        options: what the report was asked for.
        state: the folder and how to go on.
        clock: name of the run, and when it began.
        intake: what there is to read.
        work: working folder.
        deadline: when the run ends at the latest, by time.monotonic(), in seconds; None: no limit.
        progress: see report_incremental.
        event: see report_incremental.
    """

    ledger: Ledger
    options: ReportOptions
    state: StateOptions
    clock: RunClock
    intake: Intake
    work: Path
    deadline: float | None
    progress: Progress
    event: Event

    def report(self) -> SpendReport:
        """Read what is new; return the report that is published already, or publish another one."""
        ledger, options = self.ledger, self.options
        self.read(self.intake)
        if not ledger.entries:
            raise UnfinishedError("no input could be read", hint="Run again")
        known = self.known_report()
        refreshed = None if known is None else refresh_prices(options, known.manifest["newer_prices"])
        if known is not None and not (refreshed and refreshed["added"]):
            self.event("unchanged", inputs=len(ledger.entries))
            known.manifest["run"] |= {"prices_refresh": refreshed} if refreshed else {}
            return known
        self.mend()
        return self.settle_and_publish(refreshed)

    # --- Read ---------------------------------------------------------------------------------------------------------

    def read(self, intake: Intake) -> None:
        """Read what is planned; refuse, or with --rebuild leave out, what is lost and not among it."""
        self.ledger.describe(layout_of_facts(), describe_layout())
        read_fresh(
            self.ledger, intake, self.options, self.work, deadline=self.deadline, progress=self.progress,
            event=self.event,
        )  # fmt: skip
        carry_over(self.ledger, self.work, intake.note)
        settle_lost(self.ledger, rebuild=self.state.rebuild)

    def mend(self) -> None:
        """Check all results that the ledger has, and read again the logs of those that are damaged."""
        self.ledger.check(self.work)
        if self.ledger.lost:
            again = plan_intake(self.ledger, self.options)
            self.read(again)
            for word, names in again.notes.items():
                for name in names:
                    self.intake.note(word, name)
            for source, stamp in again.fresh:
                self.intake.note("read again", source.name)
                self.intake.fresh.append((source, stamp))

    # --- Publish ------------------------------------------------------------------------------------------------------

    def known_report(self) -> SpendReport | None:
        """Return the report that is published already; None where it would be another one, or is not as it was left."""
        ledger, partitions = self.ledger, Partitions(self.options, self.ledger)
        rewrite = self.state.rebuild or (self.state.restate and ledger.closed)
        if rewrite or ledger.published.get("what") != self._what() or not partitions.are_untouched():
            return None
        spend = ledger.folder.read(SPEND) or b""
        document, rejects = (partitions.read(name) for name in ("manifest.json", "rejects.parquet"))
        if document is None or rejects is None or digest_of_bytes(spend) != ledger.published.get("spend"):
            return None
        save_days(ledger)
        manifest = json.loads(document)
        manifest["run"] |= {"id": self.clock.run_id, **self._doings(partitions)}
        newest = ledger.published.get("newest")
        code = self._exit_code(manifest, datetime.fromisoformat(newest) if newest else None, (0, 0))
        return self._found(pl.read_parquet(spend), rejects, manifest, code)

    def settle_and_publish(self, refreshed: dict[str, str | None] | None) -> SpendReport:
        """Settle everything from facts, and publish what changed.

        Args:
            refreshed: what came of fetching newer prices; None: they were not asked for yet.
        """
        ledger, options = self.ledger, self.options
        viewed, partitions = with_views(options), Partitions(options, ledger)
        night = self._settle(viewed, partitions)
        if refreshed is None:
            refreshed = refresh_prices(options, newer_prices_for(options, night.settled))
            if refreshed and refreshed["added"]:
                night = self._settle(viewed, partitions)
        settled = night.settled
        self.event("settled", inputs=len(settled.inputs), calls=sum(settled.reduced.price_status.values()))
        closed = {day: each for day, each in closed_days(ledger).items() if partitions.covers(day)}
        whole, by_day, held = merge_with_closed(settled, viewed, {} if self.state.restate else closed)
        spend = sort_spend(merge_spend([whole], options.by), options.by, options.sort)
        rejected = settled.rejects().parquet()
        manifest = manifest_of(options, settled, spend, self.clock, by_day) | {"closed_calls": held}
        check_conservation(manifest, count_rows(rejected), spend, held)
        page = PageSums(options, settled.tables("calls"))
        adjustments, newest = self._publish_days(night, partitions, closed, page)
        manifest["adjustments"] = plain_decimals(adjustments).with_columns(pl.col("day").cast(pl.String)).to_dicts()
        manifest["closed_days"] = sorted(ledger.closed)
        for day in sorted(closed.keys() - closed_days(ledger).keys()):
            self.intake.note("open again, since no call is left", str(day))
        manifest["run"] |= self._doings(partitions) | ({"prices_refresh": refreshed} if refreshed else {})
        code = self._exit_code(manifest, newest, (partitions.late, partitions.fresh))
        files = table_files("spend", spend, options) | documents_of(spend, whole, options, manifest, page)
        if adjustments.height:
            files |= table_files("adjustments", adjustments, options)
        for name, data in files.items():
            partitions.write(name, data)
        partitions.write("rejects.parquet", rejected)
        partitions.finish()
        partitions.write("manifest.json", document_bytes(manifest))
        self._commit(partitions, spend, newest, night)
        days = {"days": partitions.replaced, "added": partitions.added, "removed": partitions.removed}
        self.event("published", **{word: len(found) for word, found in days.items()}, late=partitions.late)
        return self._found(spend, rejected, manifest, code)

    def _found(self, spend: pl.DataFrame, rejected: bytes, manifest: dict[str, Any], code: int) -> SpendReport:
        source = dataclasses.replace(self.options, logs=(self.state.folder,))
        return SpendReport(spend=spend, rejected=rejected, manifest=manifest, exit_code=code, source=source)

    def _settle(self, options: ReportOptions, partitions: Partitions) -> Night:
        """Settle everything with what the last run kept; a day stays unless its calls are needed."""
        recipe, is_whole = recipe_of(options), self.state.rebuild or self.state.restate or "html" in options.formats
        before = KeptSums(recipe=recipe) if self.state.rebuild else read_sums(self.ledger, recipe)

        def holds(day: str) -> bool:
            return not is_whole and day not in self.ledger.closed and partitions.holds(day)

        return settle_night(self.ledger, options, self.work, before, holds)

    def _publish_days(
        self, night: Night, partitions: Partitions, closed: Mapping[date, ClosedDay], page: PageSums
    ) -> tuple[pl.DataFrame, datetime | None]:
        """Publish each day that changed; return what would change closed ones, and the time of the newest call."""
        found = [pl.DataFrame(schema=Adjustments.types)]
        settled, kept = night.settled, night.kept.days
        times: list[Any] = [day.newest for day in kept.values()]
        for label in kept:
            partitions.hold(label)
        columns = columns_of_calls(hashed=self.options.read.fingerprint_key is not None)

        def shown(parts: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
            for calls in parts:
                page.add(calls)
                times.append(calls["started_at"].max())
                yield calls.select(columns)

        days = list(map(day_of, night.days))
        for day, read in split_with_closed(settled.tables("calls"), self.options.timezone, closed, days):
            parts, seen = read, len(times)
            if day is not None and day in closed:
                calls = pl.concat(read)
                times.append(calls["started_at"].max())
                if self.state.restate and calls.is_empty():
                    self.ledger.reopen(str(day))  # there is nothing to close it with
                    continue
                parts = [calls]
                if self.state.restate:
                    remember_day(self.ledger, day, self.options, self.work, settled.ratios)
                else:
                    frozen, book = closed[day].facts(self.options.pseudonyms), book_of(self.options.prices)
                    found.append(adjustments_of(day, frozen, calls, book, closed[day].closed_at))
                    parts = [gather_calls(frozen).sort(CALL_ORDER, nulls_last=True)]
            partitions.publish(day, shown(parts))
            if day not in closed:
                last = max(filter(None, times[seen:]), default=None)
                kept[plain_day(day)] = KeptDay(made_of=night.days[plain_day(day)], newest=last)
        partitions.end_days()
        newest = max((time for time in times if isinstance(time, datetime)), default=None)
        return pl.concat(found).sort(ORDER), newest

    def _commit(self, partitions: Partitions, spend: pl.DataFrame, newest: datetime | None, night: Night) -> None:
        """Write down what the published files were made of, last of all."""
        sums = keep_sums(self.ledger, night.kept)
        kept = parquet_bytes(spend)
        self.ledger.folder.write(SPEND, kept)  # for a run that finds nothing new
        self.ledger.commit(
            {
                "what": self._what(),
                "prices": prices_of(self.options),
                "cost_source": self.options.cost_source,
                "newest": newest.isoformat() if newest else None,
                "spend": digest_of_bytes(kept),
                **partitions.record(),
                **fix_ratios(self.ledger, night.settled.ratios, night.filled_days),
                **sums,
            }
        )
        drop_sums(self.ledger)
        save_days(self.ledger)

    def _what(self) -> str:
        """Return the digest of everything that the published files are a function of."""
        closed = sorted(day.file for day in closed_days(self.ledger).values())
        out, numbers = folder_at(self.options.out or ".").place, sorted(self.ledger.entries)
        parts = [result_options(self.options), out, closed, numbers, prices_of(self.options)]
        return digest_of_value([*parts, __version__, pl.__version__])

    def _doings(self, partitions: Partitions) -> dict[str, Any]:
        ledger, intake = self.ledger, self.intake
        kept = Counter[str]()  # calls of each log that only the state holds: its new content has them no more
        for entry in ledger.entries.values():
            kept[entry.name] += result_of(entry).kept_calls
        days = {"added": partitions.added, "replaced": partitions.replaced, "removed": partitions.removed}
        return {
            "inputs_read": len(intake.fresh),
            "inputs_known": len(intake.found) - len(intake.fresh),
            "bytes_read": intake.read_bytes,
            "inputs_gone": len(ledger.entries) - len(intake.found),
            "dropped": ledger.dropped,
            "kept": {name: calls for name, calls in sorted(kept.items()) if calls},
            **{f"days_{word}": [plain_day(day) for day in found] for word, found in days.items()},
            "late_calls": partitions.late,
            "new_calls": partitions.fresh,
            "day_changes": partitions.changes,
            "notes": intake.notes,
            "skipped": to_builtins(intake.skipped),
        }

    def _exit_code(self, manifest: dict[str, Any], newest: datetime | None, late: tuple[int, int]) -> int:
        """Return 1, 4, 3 or 0, in this order; the gates that depend on the clock or the last run are in ``run``."""
        state, gates = self.state, [gate_of_share("--max-late", self.state.max_late, *late)]
        if state.fresh_within is not None:
            now = self.options.as_of or datetime.now(UTC)
            age = round((now - newest).total_seconds() / 3600, 2) if newest else None
            newest_at = newest.isoformat() if newest else None
            gates.append(gate_of("--fresh-within", state.fresh_within, age) | {"newest_at": newest_at})
        manifest["run"]["gates"] = [gate for gate in gates if gate is not None]
        code = verdicts_of(manifest)
        if code != 1 and {"vanished", "quarantined"} & self.intake.notes.keys():
            return 4
        return 3 if code == 0 and any(gate["crossed"] for gate in manifest["run"]["gates"]) else code
