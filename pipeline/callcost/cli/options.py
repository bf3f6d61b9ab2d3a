"""Options that several verbs share: one decorator per group, the same spelling everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from callcost.arguments import read_text
from callcost.cli.click_types import LogType, PathType, WordType
from callcost.logs.io.store_access import use_storage_options
from callcost.settings import (
    COST_SOURCES,
    EXECUTORS,
    TABLES,
    CountOptions,
    PriceOptions,
    ReadOptions,
    ReportOptions,
    StateOptions,
    WorkOptions,
)

_READ_FIELDS = ReadOptions.__dataclass_fields__
F = TypeVar("F", bound=Callable[..., Any])


def _stack(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def logs_argument(function: F) -> F:
    """Take LOGS: files, folders, globs or - for stdin."""
    return click.argument("logs", nargs=-1, required=True, metavar="LOGS...", type=LogType())(function)


def read_options(function: F) -> F:
    """Say how logs are read."""
    return _stack(
        click.option("--dialect", metavar="NAME", help="Read every record as this dialect."),
        click.option(
            "--mapping", metavar="FILE", type=PathType(exists=True, dir_okay=False),
            help="Read logs of your own shape as this TOML file says.",
        ),
        click.option(
            "--max-record", type=click.IntRange(1), default=ReadOptions().max_record, show_default=True, metavar="MIB",
            help="Reject a record that is larger, or takes four times that in memory.",
        ),
        click.option(
            "--max-rows", type=click.IntRange(1), default=ReadOptions().max_rows, show_default=True, metavar="N",
            help="Refuse a Parquet file with more rows.",
        ),
        storage_option,
    )(function)  # fmt: skip


def storage_option(function: F) -> F:
    """Say how object stores are reached."""
    return click.option(
        "--storage-option", multiple=True, metavar="KEY=VALUE", expose_value=False, callback=_store_options,
        help="Of object stores (s3://, gs://, az://): endpoint, region, access_key_id, allow_http ... Repeatable.",
    )(function)  # fmt: skip


def _store_options(_context: click.Context, _option: click.Parameter, pairs: tuple[str, ...]) -> None:
    use_storage_options(read_text(pair, "storage_option") for pair in pairs)


def price_options(function: F) -> F:
    """Say which rates apply."""
    return _stack(
        click.option(
            "--prices", default="as-of", show_default=True, metavar="WHICH",
            help="as-of (each call with the rates of its day), latest, a version's name, or a date.",
        ),
        click.option(
            "--prices-override", metavar="FILE", type=PathType(exists=True, dir_okay=False),
            help="TOML or JSON with your own rates, discounts and aliases.",
        ),
        click.option("--force", is_flag=True, help="Take rates of --prices-override above 1 dollar a token."),
    )(function)  # fmt: skip


def select_options(function: F) -> F:
    """Say which calls are looked at."""
    return _stack(
        click.option("--since", metavar="TIME",
                     help="Only calls from then on: an ISO date or time, a month as 2026-11, 7d (the day seven days "
                     "ago), today, yesterday, this-month, last-month. A day or a month is its first moment."),
        click.option("--until", metavar="TIME",
                     help="Only calls made before then: --since last-month --until this-month is all of last month."),
        click.option(
            "--timezone", default="UTC", show_default=True, metavar="IANA",
            help="Zone of --since, --until and of hour, day, week and month.",
        ),
        click.option(
            "--where", multiple=True, metavar="COLUMN=VALUE",
            help="Only calls whose column matches (globs). Repeatable.",
        ),
    )(function)  # fmt: skip


def work_options(function: F) -> F:
    """Say where work runs; never changes a result."""
    return _stack(
        click.option("--workers", type=int, help="Processes at the most.  [default: the cores]"),
        click.option("--threads", type=int, default=1, show_default=True, help="Threads per process."),
        click.option(
            "--item-timeout", type=float, default=5.0, show_default=True, metavar="SECONDS",
            help="Counting a large text may take this long, then it counts 0 and is flagged; 0: no limit.",
        ),
        click.option("--quiet", is_flag=True, help="No progress and no summary."),
    )(function)  # fmt: skip


def place_options(function: F) -> F:
    """Say on which machines work runs, and where it is kept."""
    return _stack(
        click.option("--executor", type=WordType(EXECUTORS), default=EXECUTORS[0], show_default=True,
                     help="Work in processes of this machine, or on Spark."),
        click.option("--spark-remote", metavar="URL",
                     help="sc://HOST:PORT of a Spark Connect server.  [default: the session that is there]"),
        click.option("--work-dir", metavar="DIR", type=PathType(file_okay=False),
                     help="Keep here what is done, so that the same command goes on after a kill. Spark needs it: a "
                     "folder or URL that all its workers reach."),
    )(function)  # fmt: skip


def state_options(function: F) -> F:
    """Say how a report that remembers what it read goes on."""
    return _stack(
        click.option("--state", metavar="DIR", type=PathType(file_okay=False),
                     help="Remember here what was read: later runs read only what is new, and replace only days that "
                     "changed, as DIR/day=YYYY-MM-DD/calls.parquet under --out."),
        click.option("--plan", is_flag=True, help="Say what would be read and replaced, and do none of it."),
        click.option("--restate", is_flag=True, help="Rewrite closed days too."),
        click.option("--rebuild", is_flag=True,
                     help="Where the folder of --state is damaged, leave out what cannot be read again, and name it."),
        click.option("--forget", multiple=True, metavar="PATH", type=LogType(),
                     help="Drop the calls that this log gave and does not hold any more. Repeatable."),
        click.option("--run-id", metavar="NAME", help="Name of the run in its manifest, lock and log."),
        click.option("--timeout", type=float, metavar="SECONDS",
                     help="End after this long; what was read is kept (exit 4)."),
        click.option("--max-late", type=float, metavar="PCT",
                     help="Exit 3 when more than this percent of the new calls fall on days published before."),
        click.option("--fresh-within", metavar="AGE", callback=hours,
                     help="Exit 3 when the newest call is older than this, as 26h or 2d."),
    )(function)  # fmt: skip


def hours(_context: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    """Read an age as hours.

    Raises:
        click.BadParameter: it is none.
    """
    if text is None:
        return None
    number, unit = text[:-1], text[-1:]
    if not number.replace(".", "", 1).isdecimal() or unit not in {"h", "d"}:
        message = f"{text!r} is not an age; write 26h or 2d"
        raise click.BadParameter(message)
    return float(number) * (24 if unit == "d" else 1)


def state_options_of(words: dict[str, Any]) -> StateOptions | None:
    """Build the options of a report that remembers; None where it does not.

    Raises:
        click.UsageError: an option needs --state.
    """
    if words["state"] is not None:
        if words["work_dir"] is not None or words["executor"] != EXECUTORS[0]:
            message = "--state keeps its own work; it does not go with --work-dir or another --executor."
            raise click.UsageError(message)
        names = ("run_id", "timeout", "restate", "rebuild", "forget", "max_late", "fresh_within")
        return StateOptions(folder=words["state"], **{name: words[name] for name in names})
    for name in ("plan", "restate", "rebuild", "forget", "max_late", "timeout", "fresh_within"):
        if words[name] not in {None, False, ()}:
            message = f"--{name.replace('_', '-')} goes with --state."
            raise click.UsageError(message)
    return None


def report_options_of(words: dict[str, Any]) -> ReportOptions:
    """Build the options object from a command's words.

    Raises:
        ConfigError: see arguments.settle.
    """
    return ReportOptions(
        logs=words["logs"],
        out=words.get("out"),
        by=words.get("by", "model,user"),
        since=words.get("since"),
        until=words.get("until"),
        timezone=words.get("timezone", "UTC"),
        where=words.get("where", ()),
        cost_source=words.get("cost_source", COST_SOURCES[0]),
        formats=words.get("formats", "parquet,csv"),
        calls=words.get("calls", False),
        table=words.get("table", TABLES[0]),
        max_unpriced=words.get("max_unpriced"),
        max_rejected=words.get("max_rejected"),
        strict=words.get("strict", False),
        prices=price_options_of(words),
        read=ReadOptions(**{field: words[field] for field in _READ_FIELDS if field in words}),
        count=CountOptions(item_timeout=words.get("item_timeout", 5.0)),
        work=WorkOptions(
            workers=words.get("workers"), threads=words.get("threads", 1),
            executor=words.get("executor", EXECUTORS[0]), spark_remote=words.get("spark_remote"),
            work_dir=words.get("work_dir"),
        ),
    )  # fmt: skip


def price_options_of(words: dict[str, Any]) -> PriceOptions:
    """Build the options of prices from a command's words."""
    prices, override = words.get("prices", "as-of"), words.get("prices_override")
    return PriceOptions(prices=prices, override=override, force=words.get("force", False))
