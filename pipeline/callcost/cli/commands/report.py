"""`callcost report`: write the files of a report, and print a summary."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from callcost.arguments import several_of
from callcost.cli import options as shared
from callcost.cli.click_types import AmountType, PathType, Verb, WordType
from callcost.cli.terminal.events import EventLog, alarm_lines, counted, plan_lines, state_lines
from callcost.cli.terminal.output import show, show_bytes, show_text
from callcost.jobs.engine.prestart import start_workers
from callcost.settings import BINARY_FORMATS, COST_SOURCES, REPORT_FORMATS, TABLES, ReportOptions, StateOptions

if TYPE_CHECKING:
    from callcost.jobs.report import SpendReport

STDOUT_WORD = "-"  # of --out


@click.command(cls=Verb)
@shared.logs_argument
@click.option("--out", metavar="DIR", type=PathType(file_okay=False),
              help="Folder for the report; - writes one --format to stdout.  [default: the table alone]")  # fmt: skip
@click.option(
    "--by", default="model,user", show_default=True, metavar="LIST",
    help="Group by any of hour day week month provider model model_group user end_user team api_key org project "
    "session branch host billing service_tier region status agent source_format source_file, tag:NAME.",
)  # fmt: skip
@shared.select_options
@shared.read_options
@shared.price_options
@shared.further("--prices-refresh", is_flag=True,
                help="Fetch the published prices, once, if a model is unknown or calls are newer than all prices by 7 "
                     "days; without a network, go on with those that are there.")  # fmt: skip
@click.option("--cost-source", type=WordType(COST_SOURCES), default=COST_SOURCES[0], show_default=True,
              help="Sum the computed cost, the logged one, or the logged one where there is one.")  # fmt: skip
@click.option("--format", "formats", metavar="LIST",
              help="Write spend as parquet, csv, json, markdown, xlsx, html (a page), focus-1.2, focus-1.4 (a bill), "
              "corrections-litellm, corrections-langfuse (of logged costs).  "
              "[default: parquet,csv; csv to stdout]")  # fmt: skip
@click.option("--calls", is_flag=True, help="Also write calls.parquet: one row per call, no text.")
@shared.further("--table", type=WordType(TABLES), default=TABLES[0], show_default=True,
              help="Publish calls by day: as Parquet (with --state) or in a Delta table, calls.delta.")  # fmt: skip
@click.option("--top", type=click.IntRange(1), default=20, show_default=True, help="Rows of the table on the terminal.")
@click.option("--sort", metavar="COLUMN", help="Order groups by a column of spend: sums largest first.")
@click.option("--max-unpriced", type=float, metavar="PCT",
              help="Exit 3 when more than this percent of calls is unpriced.")  # fmt: skip
@click.option("--max-rejected", type=float, metavar="PCT",
              help="Exit 3 when more than this percent of records is rejected.")  # fmt: skip
@shared.further("--max-cost", type=AmountType(), metavar="USD", help="Exit 3 when all calls together cost more.")
@shared.further("--budget", metavar="FILE", type=PathType(exists=True, dir_okay=False),
                help="Exit 3 when a group cost more in its month, week or day than this TOML file says.")
@shared.further("--as-of", metavar="TIME",
                help="Tell budgets, the forecast and unusual days as of then, and count --since 7d from it.  "
                "[default: --until, else the newest call]")  # fmt: skip
@click.option("--strict", is_flag=True,
              help="Exit 3 on any reject, any sum of a session, and any unpriced, partly priced, timed-out or "
                   "inconsistent call.")  # fmt: skip
@shared.further("--pseudonyms", metavar="KEYFILE", type=PathType(exists=True, dir_okay=False),
                help="Put pseudonyms, made with the key in this file, in the place of users, end users, API keys and "
                     "sessions in all that is written and shown.")  # fmt: skip
@shared.further("--currency", metavar="CODE", help="Show costs in this currency, too, at the rates of --fx: EUR ...")
@shared.further("--fx", metavar="FILE", type=PathType(exists=True, dir_okay=False),
                help="CSV of date, currency, rate (what one US dollar buys); the day's own holds.")  # fmt: skip
@shared.further("--sub-account", metavar="COLUMN", help="Column that is the sub account of a bill in FOCUS.")
@shared.further("--billing-account", metavar="ID", help="Who is billed, in a bill in FOCUS.")
@shared.further("--notify", metavar="URL", help="Post what the run did, as JSON, when it ends (with --state).")
@shared.further("--metrics", metavar="FILE", type=PathType(dir_okay=False),
                help="Write figures of the run for Prometheus' node exporter (with --state).")  # fmt: skip
@shared.further("--log-format", type=WordType(["text", "json"]), default="text", show_default=True,
              help="On stderr, lines for people or one JSON event a line.")  # fmt: skip
@shared.state_options
@shared.place_options
@shared.work_options
@shared.cache_option
def report(**words: Any) -> int:
    """Price the calls in LOGS and sum the cost per group.

    LOGS are files, folders, globs or - for stdin: JSONL, JSON or Parquet, plain, .gz or .zst. With --out, writes
    spend.parquet, spend.csv, rejects.parquet and manifest.json to DIR, each whole, the manifest last. The folder of a
    report made with --calls, or of --state, answers in the place of LOGS as they did, without reading them again;
    several such folders are one run over all of their logs.
    """
    log = EventLog(words["log_format"], words["run_id"])
    with log.telling_failures(keeps=words["state"] is not None or words["work_dir"] is not None):
        sink = _sink_of(words)
        options, state = shared.report_options_of(words), shared.state_options_of(words)
        has_much = options.out is not None and state is None  # a state and the cache may leave nothing to read
        with start_workers(options) if has_much else nullcontext():
            return _report(words, options, state, log, sink)


def _sink_of(words: dict[str, Any]) -> str | None:
    """Return the format that goes to stdout, "table" where nothing is written, None where a folder is.

    Settles --out and --format in place.
    """
    formats, out = words.pop("formats"), words["out"]
    if out is None and formats is not None:
        raise click.UsageError("--format needs --out: a folder, or - for stdout.")
    if out != STDOUT_WORD:
        words |= {} if formats is None else {"formats": formats}
        return "table" if out is None else None
    if words["calls"] or words["table"] != TABLES[0] or words["state"] is not None:
        raise click.UsageError("--calls, --table and --state need a folder for --out.")
    kinds = several_of(REPORT_FORMATS)(formats or "csv", "format")
    if len(kinds) != 1:
        raise click.UsageError("--out - takes one --format.")
    words |= {"out": None, "formats": kinds}
    return str(kinds[0])


def _report(
    words: dict[str, Any], options: ReportOptions, state: StateOptions | None, log: EventLog, sink: str | None
) -> int:
    from callcost.cli.terminal.spend_table import show_table  # noqa: PLC0415 - loads rich and Polars
    from callcost.cli.terminal.summary import show_lines, show_summary, summary_lines, watched  # noqa: PLC0415
    from callcost.jobs.report import report_spend  # noqa: PLC0415

    if words["plan"] and state is not None:
        show(*plan_lines(options, state))
        return 0
    job = partial(report_spend, options)
    if state is not None:
        from callcost.jobs.state.report import report_incremental  # noqa: PLC0415

        state = dataclasses.replace(state, run_id=log.run_id)
        from callcost.jobs.state.state_folder import tell_others  # noqa: PLC0415

        def ended(record: dict[str, Any]) -> None:
            for problem in tell_others(record, words["notify"], words["metrics"]):
                log.warn(problem)

        job = partial(report_incremental, options, state, event=log.tell, ended=ended)
    quiet = words["quiet"] or log.is_json
    result = watched(job, quiet=quiet)
    manifest, top, alarms = result.manifest, words["top"], alarm_lines(result.manifest)
    lines = [*summary_lines(manifest, options), *(state_lines(manifest) if state is not None else ())]
    if sink == "table":
        left = show_table(result.spend, options, manifest["totals"], top)
        lines = [*[f"{counted(left, 'more group')}; --top shows more"] * (left > 0), *lines]
    elif sink is not None:
        _show_spend(result, sink)
    log.tell_end(result, lines)
    if not quiet and sink is None:
        show_summary(result, options, lines, alarms, top=top)
    elif not log.is_json:
        show_lines([] if quiet else lines, alarms)
    return result.exit_code


def _show_spend(result: SpendReport, kind: str) -> None:
    from callcost.jobs.report import DOCUMENTS  # noqa: PLC0415
    from callcost.stages.report.publish import WRITERS  # noqa: PLC0415 - Polars loads when it runs

    data = WRITERS[kind](result.spend) if kind in WRITERS else result.documents[DOCUMENTS[kind]]
    if kind in BINARY_FORMATS:
        show_bytes(data)
    else:
        show_text(data.decode())
