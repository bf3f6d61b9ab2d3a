"""`callcost report`: write the files of a report, and print a summary."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from functools import partial
from typing import Any

import click

from callcost.cli import options as shared
from callcost.cli.click_types import PathType, Verb, WordType
from callcost.cli.terminal.events import EventLog, alarm_lines, plan_lines, state_lines
from callcost.cli.terminal.output import say, show
from callcost.jobs.engine.prestart import start_workers
from callcost.settings import COST_SOURCES, TABLES, ReportOptions, StateOptions


@click.command(cls=Verb)
@shared.logs_argument
@click.option("--out", required=True, metavar="DIR", type=PathType(file_okay=False), help="Folder for the report.")
@click.option(
    "--by", default="model,user", show_default=True, metavar="LIST",
    help="Group by any of hour day week month provider model model_group user end_user team api_key org project "
    "session branch service_tier region status source_format source_file, tag:NAME.",
)  # fmt: skip
@shared.select_options
@shared.read_options
@shared.price_options
@click.option("--cost-source", type=WordType(COST_SOURCES), default=COST_SOURCES[0], show_default=True,
              help="Sum the computed cost, the logged one, or the logged one where there is one.")  # fmt: skip
@click.option("--format", "formats", default="parquet,csv", show_default=True, metavar="LIST",
              help="Write spend as parquet, csv, json.")  # fmt: skip
@click.option("--calls", is_flag=True, help="Also write calls.parquet: one row per call, no text.")
@click.option("--table", type=WordType(TABLES), default=TABLES[0], show_default=True,
              help="Publish calls by day: as Parquet (with --state) or in a Delta table, calls.delta.")  # fmt: skip
@click.option("--top", type=click.IntRange(1), default=20, show_default=True, help="Rows of the table on the terminal.")
@click.option("--max-unpriced", type=float, metavar="PCT",
              help="Exit 3 when more than this percent of calls is unpriced.")  # fmt: skip
@click.option("--max-rejected", type=float, metavar="PCT",
              help="Exit 3 when more than this percent of records is rejected.")  # fmt: skip
@click.option("--strict", is_flag=True,
              help="Exit 3 on any reject, any sum of a session, and any unpriced, partly priced, timed-out or "
                   "inconsistent call.")  # fmt: skip
@click.option("--log-format", type=WordType(["text", "json"]), default="text", show_default=True,
              help="On stderr, lines for people or one JSON event a line.")  # fmt: skip
@shared.state_options
@shared.place_options
@shared.work_options
def report(**words: Any) -> int:
    """Price the calls in LOGS and sum the cost per group.

    LOGS are files, folders, globs or - for stdin: JSONL, JSON or Parquet, plain, .gz or .zst. Writes spend.parquet,
    spend.csv, rejects.parquet and manifest.json to DIR; each is written whole, the manifest last.
    """
    log = EventLog(words["log_format"], words["run_id"])
    with log.telling_failures(keeps=words["state"] is not None or words["work_dir"] is not None):
        options, state = shared.report_options_of(words), shared.state_options_of(words)
        with start_workers(options) if state is None else nullcontext():  # a state may have nothing to do
            return _report(words, options, state, log)


def _report(words: dict[str, Any], options: ReportOptions, state: StateOptions | None, log: EventLog) -> int:
    from callcost.cli.terminal.summary import show_summary, summary_lines, watched  # noqa: PLC0415 - loads rich and Polars
    from callcost.jobs.report import report_spend  # noqa: PLC0415

    if words["plan"] and state is not None:
        show(*plan_lines(options, state))
        return 0
    job = partial(report_spend, options)
    if state is not None:
        from callcost.jobs.state.report import report_incremental  # noqa: PLC0415

        state = dataclasses.replace(state, run_id=log.run_id)
        job = partial(report_incremental, options, state, event=log.tell)
    quiet = words["quiet"] or log.is_json
    result = watched(job, quiet=quiet)
    manifest = result.manifest
    lines = [*summary_lines(manifest, options), *(state_lines(manifest) if state is not None else ())]
    log.tell_end(result, lines)
    if not quiet:
        show_summary(result, options, lines, alarm_lines(manifest), top=words["top"])
    elif not log.is_json:
        say(*alarm_lines(manifest))
    return result.exit_code
