"""Options that several verbs share: one decorator per group, the same spelling everywhere."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import click

from callcost import settings
from callcost.arguments import read_text
from callcost.cli.click_types import LogType, PathType, WordType
from callcost.logs.io.store_access import use_storage_options

F = TypeVar("F", bound=Callable[..., Any])
_KEY = f"{settings.ENVIRONMENT_PREFIX}_FINGERPRINT_KEY"  # no option: those are seen by whoever lists processes
further = partial(click.option, hidden=True)  # an option that --help-all shows


def _stack(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Return one decorator for several; the first stands first in the help."""

    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def _use_store_options(_context: click.Context, _option: click.Parameter, pairs: tuple[str, ...]) -> None:
    use_storage_options(read_text(pair, "storage_option") for pair in pairs)


def hours(_context: click.Context, _option: click.Parameter, text: str | None) -> float | None:
    """Read an age as hours.

    Raises:
        click.BadParameter: it is none.
    """
    if text is None:
        return None
    number, unit = text[:-1], text[-1:]
    if not number.replace(".", "", 1).isdecimal() or unit not in {"h", "d"}:
        raise click.BadParameter(f"{text!r} is not an age; write 26h or 2d")
    return float(number) * (24 if unit == "d" else 1)


# What is read: files, folders, globs or - for stdin.
logs_argument = click.argument("logs", nargs=-1, required=True, metavar="LOGS...", type=LogType())
# What is asked: logs, or the folders of reports or states.
source_argument = click.argument("logs", nargs=-1, required=True, metavar="SOURCE...", type=LogType())
# How results are shown, of verbs that print them.
form_option = click.option("--format", "form", type=WordType(["text", "json"]), default="text", show_default=True)
# How tables are answered with; grouped ones with their groups, and as long as a screen.
TABLE = "table"  # the format of rows for reading
answer_options = _stack(
    click.option("--format", "form", type=WordType([TABLE, *settings.FORMATS]), default=TABLE, show_default=True,
                 help="How the answer is written."),
    click.option("--out", metavar="FILE", type=PathType(dir_okay=False), help="Write it to a file.  [default: stdout]"),
)  # fmt: skip
grouped_options = _stack(
    click.option("--by", default="model", show_default=True, metavar="LIST", help="Columns to group by, as of report."),
    answer_options,
    click.option("--top", type=click.IntRange(1), default=20, show_default=True, help="Rows of a table."),
)  # fmt: skip
# How object stores are reached.
storage_option = further(
    "--storage-option", multiple=True, metavar="KEY=VALUE", expose_value=False, callback=_use_store_options,
    help="Of object stores (s3://, gs://, az://): endpoint, region, access_key_id, allow_http ... Repeatable.",
)  # fmt: skip
# How logs are read.
read_options = _stack(
    click.option("--dialect", metavar="NAME", help="Read every record as this dialect."),
    click.option("--mapping", metavar="FILE", type=PathType(exists=True, dir_okay=False),
                 help="Read logs of your own shape as this TOML file says."),
    further("--host", metavar="NAME", help="Machine that the logs are of, where they name none (column host)."),
    further("--max-record", type=click.IntRange(1), default=settings.ReadOptions().max_record, show_default=True,
                 metavar="MIB", help="Reject a record that is larger, or takes four times that in memory."),
    further("--max-rows", type=click.IntRange(1), default=settings.ReadOptions().max_rows, show_default=True,
                 metavar="N", help="Refuse a Parquet file with more rows."),
    storage_option,
)  # fmt: skip
# What lies over the cost maps.
corrections_option = click.option(
    "--corrections", type=WordType(settings.CORRECTIONS), default=settings.PriceOptions().corrections,
    show_default=True, help="Lay corrections over the cost maps: those that a source states or two independent ones "
    "say, all, or none.",
)  # fmt: skip
# What lies over the rates.
own_price_options = _stack(
    click.option("--prices-override", metavar="FILE", type=PathType(exists=True, dir_okay=False),
                 help="TOML or JSON with your own rates, discounts and aliases."),
    corrections_option,
    further("--as-known", metavar="TIME", help="Price with what was known then: no later version or correction."),
    further("--force", is_flag=True, help="Take rates of --prices-override above 1 dollar a token."),
)  # fmt: skip
# Which rates apply.
price_options = _stack(
    click.option("--prices", default="as-of", show_default=True, metavar="WHICH",
                 help="as-of (each call with the rates of its day), latest, a version's name, or a date."),
    own_price_options,
)  # fmt: skip
# Which calls are looked at.
select_options = _stack(
    click.option("--since", metavar="TIME",
                 help="Only calls from then on: an ISO date or time, a month as 2026-11, 7d (the day seven days "
                 "ago), today, yesterday, this-month, last-month. A day or a month is its first moment."),
    click.option("--until", metavar="TIME",
                 help="Only calls made before then: --since last-month --until this-month is all of last month."),
    click.option("--timezone", default="UTC", show_default=True, metavar="IANA",
                 help="Zone of --since, --until and of hour, day, week and month."),
    click.option("--where", multiple=True, metavar="COLUMN=VALUE",
                 help="Only calls whose column matches (globs). Repeatable."),
)  # fmt: skip
# Where work runs; never changes a result.
work_options = _stack(
    click.option("--workers", type=int, help="Processes at the most.  [default: the cores]"),
    further("--threads", type=int, default=1, show_default=True, help="Threads per process."),
    further("--item-timeout", type=float, default=5.0, show_default=True, metavar="SECONDS",
                 help="Counting a large text may take this long, then it counts 0 and is flagged; 0: no limit."),
    further("--reasoning", type=WordType(settings.REASONINGS), default=settings.REASONINGS[0], show_default=True,
                 help="Of counted answers that hide their reasoning: fill in what the log's other calls of the same "
                 "kind state, or nothing."),
    further("--calibration", metavar="FILE", type=PathType(exists=True, dir_okay=False),
                 help="What inspect --calibrate --write kept of your own recordings, for what the log does not tell."),
    click.option("--quiet", is_flag=True, help="No progress and no summary."),
)  # fmt: skip
# Of verbs that answer and write nothing.
cache_option = further(
    "--no-cache", is_flag=True,
    help="Read the logs again, and keep nothing of them in the cache folder for the next question.",
)  # fmt: skip
# Which calls say what suspicious prices mean in money, of verbs that judge a map.
money_options = _stack(
    click.option("--logs", multiple=True, metavar="LOGS", type=LogType(),
                 help="Say what suspicious prices mean in money for these calls. Repeatable."),
    read_options,
    work_options,
)  # fmt: skip
# On which machines work runs, and where it is kept.
place_options = _stack(
    further("--executor", type=WordType(settings.EXECUTORS), default=settings.EXECUTORS[0], show_default=True,
                 help="Work in processes of this machine, or on Spark."),
    further("--spark-remote", metavar="URL",
                 help="sc://HOST:PORT of a Spark Connect server.  [default: the session that is there]"),
    further("--work-dir", metavar="DIR", type=PathType(file_okay=False),
                 help="Keep here what is done, so that the same command goes on after a kill. Spark needs it: a "
                 "folder or URL that all its workers reach."),
)  # fmt: skip
# How a report that remembers what it read goes on.
state_options = _stack(
    click.option("--state", metavar="DIR", type=PathType(file_okay=False),
                 help="Remember here what was read: later runs read only what is new, and replace only days that "
                 "changed, as DIR/day=YYYY-MM-DD/calls.parquet under --out."),
    further("--plan", is_flag=True, help="Say what would be read and replaced, and do none of it."),
    further("--restate", is_flag=True, help="Rewrite closed days too."),
    further("--rebuild", is_flag=True,
                 help="Where the folder of --state is damaged, leave out what cannot be read again, and name it."),
    further("--forget", multiple=True, metavar="PATH", type=LogType(),
                 help="Drop the calls that this log gave and does not hold any more. Repeatable."),
    further("--run-id", metavar="NAME", help="Name of the run in its manifest, lock and log."),
    further("--timeout", type=float, metavar="SECONDS",
                 help="End after this long; what was read is kept (exit 4)."),
    further("--max-late", type=float, metavar="PCT",
                 help="Exit 3 when more than this percent of the new calls fall on days published before."),
    further("--fresh-within", metavar="AGE", callback=hours,
                 help="Exit 3 when the newest call is older than this, as 26h or 2d."),
)  # fmt: skip


def state_options_of(words: Mapping[str, Any]) -> settings.StateOptions | None:
    """Build the options of a report that remembers; None where it does not.

    Raises:
        click.UsageError: an option needs --state.
    """
    if words["state"] is not None:
        return settings.StateOptions(folder=words["state"], **_given(settings.StateOptions, words))
    for name in ("plan", "restate", "rebuild", "forget", "max_late", "timeout", "fresh_within", "notify", "metrics"):
        if words[name] not in {None, False, ()}:
            raise click.UsageError(f"--{name.replace('_', '-')} goes with --state.")
    return None


def report_options_of(words: Mapping[str, Any]) -> settings.ReportOptions:
    """Build the options object from a command's words.

    Raises:
        ConfigError: see arguments.settle.
    """
    key = os.environ.get(_KEY) or None
    parts = {
        "prices": price_options_of(words),
        "read": settings.ReadOptions(**_given(settings.ReadOptions, words), fingerprint_key=key),
        "count": settings.CountOptions(**_given(settings.CountOptions, words)),
        "work": settings.WorkOptions(**_given(settings.WorkOptions, words), cache=not words.get("no_cache", False)),
    }
    return settings.ReportOptions(**_given(settings.ReportOptions, words) | parts)


def price_options_of(words: Mapping[str, Any]) -> settings.PriceOptions:
    """Build the options of prices from a command's words."""
    return settings.PriceOptions(**_given(settings.PriceOptions, words), override=words.get("prices_override"))


def _given(kind: type, words: Mapping[str, Any]) -> dict[str, Any]:
    """Return the words of a command that are options of a kind; what it does not take has its default there."""
    return {field.name: words[field.name] for field in dataclasses.fields(kind) if field.name in words}
