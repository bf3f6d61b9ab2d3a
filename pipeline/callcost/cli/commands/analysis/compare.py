"""`callcost compare`: two intervals of one source, or two sources, and why one cost more."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from callcost.arguments import read_moment
from callcost.cli import options as shared
from callcost.cli.click_types import LogType, Verb, WordType
from callcost.cli.commands.analysis.query import show_answer
from callcost.cli.terminal.output import say

if TYPE_CHECKING:
    from callcost.jobs.analysis.compare import ComparedSpend
    from callcost.settings import ReportOptions

_RANGE = ".."


@click.command(cls=Verb)
@click.argument("sources", nargs=-1, required=True, metavar="A B | SOURCE [FROM..TO FROM..TO]", type=LogType())
@click.option("--period", type=WordType(["day", "week", "month"]),
              help="Compare the period of SOURCE's newest call with the one before.")  # fmt: skip
@shared.grouped_options
@shared.select_options
@shared.read_options
@shared.price_options
@shared.work_options
@shared.cache_option
def compare(**words: Any) -> int:
    """Say what B cost more or less than A, and why.

    A and B are sources (logs, the folder of a report made with --calls, or a --state), or two intervals FROM..TO of one
    SOURCE; or SOURCE with --period. The difference of each group is split, in this order of substitution, into volume
    (calls), mix (models, tiers, the share of caches), size (tokens a call) and price (what a token cost); a group that
    only one of them has is new or gone. The parts add up exactly.
    """
    from callcost.cli.terminal.summary import watched  # noqa: PLC0415 - loads rich and Polars
    from callcost.jobs.analysis.compare import compare_periods, compare_spend  # noqa: PLC0415

    sources, period, form, out, top = (words.pop(name) for name in ("sources", "period", "form", "out", "top"))
    quiet = words["quiet"]
    if period is not None:
        if len(sources) != 1:
            raise click.UsageError("--period compares two periods of one SOURCE.")
        found = watched(compare_periods, _options(words, sources[0]), period, quiet=quiet)
    elif len(sources) == 2 and _RANGE in sources[1] and "/" not in sources[1] and not Path(sources[1]).exists():
        raise click.UsageError(f"{sources[1]!r} is one interval; give two, FROM..TO FROM..TO, or --period.")
    elif len(sources) == 2:
        found = watched(compare_spend, *(_options(words, source) for source in sources), quiet=quiet)
    elif len(sources) == 3:
        if words["since"] or words["until"]:
            raise click.UsageError("--since and --until do not go with two intervals.")
        pair = [_options(words | _interval(text, words["timezone"]), sources[0]) for text in sources[1:]]
        found = watched(compare_spend, *pair, quiet=quiet)
    else:
        raise click.UsageError("Give two sources, one source and two intervals FROM..TO, or one with --period.")
    _show(found, form, out, top, quiet=quiet)
    return 0


def _options(words: dict[str, Any], source: str) -> ReportOptions:
    return shared.report_options_of(words | {"logs": (source,)})


def _interval(text: str, timezone: str) -> dict[str, Any]:
    """Read FROM..TO, either of which may be left out."""
    since, sign, until = text.partition(_RANGE)
    if not sign or Path(text).exists():
        raise click.UsageError(f"{text!r} is no interval; write FROM..TO, as 2026-10-01..2026-10-08.")
    edges = {"since": since, "until": until}
    return {name: read_moment(edge, name, timezone) if edge else None for name, edge in edges.items()}


def _show(found: ComparedSpend, form: str, out: str | None, top: int, *, quiet: bool) -> None:
    groups = found.groups
    if form != shared.TABLE or out is not None:
        show_answer(groups, form, out)
        return
    from callcost.cli.terminal.listing import show_rows  # noqa: PLC0415 - loads rich and Polars
    from callcost.cli.terminal.spend_table import shown  # noqa: PLC0415

    shown_names = [name for name in groups.columns if not name.endswith("unpriced_calls")]
    totals: dict[str, Any] = {name: groups[name].sum() for name in groups.columns if name.endswith(("_cost", "_calls"))}
    rows: list[dict[str, Any]] = [*groups.head(top).to_dicts(), totals]
    by = [name for name in groups.columns if not name.endswith(("_cost", "_calls"))]
    totals |= {by[0]: "total"}
    cells = [[_cell(name, row, shown) for name in shown_names] for row in rows]
    titles = [name.removesuffix("_cost") if name not in by else name for name in shown_names]
    show_rows(titles, cells, numbers=[title for title, name in zip(titles, shown_names, strict=True) if name not in by])
    if quiet:
        return
    left = groups.height - top
    missing = [f"{totals[f'{which}_unpriced_calls']:,} of {which}" for which in ("first", "second")]
    lines = [f"{left:,} more groups; --top shows more"] * (left > 0)
    if any(totals[f"{which}_unpriced_calls"] for which in ("first", "second")):
        lines.append(f"calls without a price, not compared: {', '.join(missing)}")
    say(*lines)


def _cell(name: str, row: dict[str, Any], shown: Any) -> str:
    value = row.get(name)
    if value is None:
        return "-" if name in row else ""
    if name in {"difference_cost", "volume_cost", "mix_cost", "size_cost", "price_cost", "new_cost", "gone_cost"}:
        return f"{'+' if value > 0 else ''}{shown(name, value)}" if value else "-"
    return str(shown(name, value)) if name.endswith(("_cost", "_calls")) else str(value)
