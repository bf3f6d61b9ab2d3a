"""`callcost what-if`: the same calls with other models, batches, caches, tiers or prices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from callcost.cli import options as shared
from callcost.cli.click_types import Verb, WordType
from callcost.cli.commands.analysis.query import show_answer
from callcost.cli.terminal.events import counted
from callcost.cli.terminal.output import say
from callcost.settings import CACHES, TIERS

if TYPE_CHECKING:
    from callcost.jobs.analysis.what_if import AlternativeSpend, SuggestedSavings

_SHOWN = ("calls", "changed_calls", "kept_calls", "old_cost", "new_cost", "saved_cost")


@click.command("what-if", cls=Verb)
@shared.source_argument
@click.option("--model", "models", multiple=True, metavar="A=B", help="B answers the calls of A (a glob). Repeatable.")
@click.option("--batch", multiple=True, metavar="MODEL", help="Calls of this model (a glob) go by batch. Repeatable.")
@click.option("--cache", type=WordType(CACHES),
              help="No caches, or each prompt that is long enough for one read from it whole.")  # fmt: skip
@click.option("--tier", type=WordType(TIERS), help="All calls but those by batch are served in this tier.")
@click.option("--prices", metavar="WHICH", help="latest, a version's name, or a date, instead of the rates of its day.")
@click.option("--suggest", is_flag=True, help="List instead what could be saved, in dollars a month.")
@shared.grouped_options
@shared.select_options
@shared.read_options
@shared.own_price_options
@shared.work_options
@shared.cache_option
def what_if(**words: Any) -> int:
    """Say what the same calls would have cost otherwise.

    SOURCE is logs, the folder of a report made with --calls, or a --state; several such folders are one source. Over
    logs, texts, tools and pictures are counted again as B counts them; over a report or a state, the tokens of B are
    those of A times a measured ratio.
    Calls that B cannot take, or that have no rate there, stay at their cost and are listed. --suggest lists batches,
    prompts that repeat uncached, calls made twice, prompts just over a threshold, and hour-long caches read once.
    """
    from callcost.cli.terminal.summary import watched  # noqa: PLC0415 - loads rich and Polars
    from callcost.jobs.analysis import what_if as job  # noqa: PLC0415

    form, out, top = (words.pop(name) for name in ("form", "out", "top"))
    what = {name: words.pop(name) for name in ("models", "batch", "cache", "tier", "prices")}
    suggesting, options = words.pop("suggest"), shared.report_options_of(words)
    if suggesting:
        if any(what.values()):
            raise click.UsageError("--suggest goes without --model, --batch, --cache, --tier and --prices.")
        _suggest(watched(job.suggest_savings, options, quiet=words["quiet"]), form, out, top, quiet=words["quiet"])
        return 0
    found = watched(job.what_if, options, quiet=words["quiet"], **what)
    if form != shared.TABLE or out is not None:
        show_answer(found.groups, form, out)
    else:
        _show(found, top)
    if not words["quiet"]:
        say(*_lines(found))
    return 0


def _show(found: AlternativeSpend, top: int) -> None:
    from callcost.cli.terminal.listing import show_block, show_rows  # noqa: PLC0415 - loads rich and Polars
    from callcost.cli.terminal.spend_table import label, shown  # noqa: PLC0415
    from callcost.jobs.analysis.what_if import reason_text  # noqa: PLC0415

    groups, by = found.groups, list(found.options.by)
    totals: dict[str, Any] = {name: groups[name].sum() for name in _SHOWN} | {by[0]: "total"}
    names = [*by, *_SHOWN]
    cells = [
        [
            label(row.get(name, "")) if name in by else "-" if row[name] is None else shown(name, row[name])
            for name in names
        ]
        for row in (*groups.head(top).to_dicts(), totals)
    ]
    titles = [*by, *(name.removesuffix("_cost") for name in _SHOWN)]
    show_rows(titles, cells, numbers=titles[len(by) :])
    kept = [
        (label(row["model"]), f"{row['calls']:,}", shown("_cost", row["cost"]), reason_text(row["reason"]))
        for row in found.kept.head(top).to_dicts()
    ]
    show_block("calls that stay at their cost", ("model", "calls", "cost", "why"), kept, ("calls", "cost"))


def _suggest(found: SuggestedSavings, form: str, out: str | None, top: int, *, quiet: bool) -> None:
    from callcost.cli.terminal.listing import show_rows  # noqa: PLC0415 - loads rich and Polars
    from callcost.cli.terminal.spend_table import label, shown  # noqa: PLC0415
    from callcost.stages.analysis.suggestions import MONTH, SUGGESTIONS  # noqa: PLC0415
    from callcost.stages.tables.schemas import FINGERPRINTS  # noqa: PLC0415

    if form != shared.TABLE or out is not None:
        show_answer(found.savings, form, out)
    else:
        names, titles = ("month_cost", "saved_cost", "cost"), ("a month", "saved", "of", "calls", "model", "how")
        rows = []
        for row in found.savings.head(top).to_dicts():
            money = [shown("_cost", row[name]) for name in names]
            rows.append((*money, f"{row['calls']:,}", label(row["model"]), SUGGESTIONS[row["kind"]]))
        show_rows(titles, rows, numbers=titles[:4])
    if quiet:
        return
    say(f"the calls are of {counted(found.days, 'day')}, and a month is {MONTH}; suggestions overlap")
    if not found.fingerprinted:
        say(f"nothing tells which prompts repeat ({', '.join(FINGERPRINTS)}): read logs with CALLCOST_FINGERPRINT_KEY")


def _lines(found: AlternativeSpend) -> list[str]:
    """Say how the tokens were found, and how far off they may be."""
    groups = found.groups
    lines = []
    for name, how in (
        ("recounted_calls", "their texts counted again as the other model counts them"),
        ("scaled_calls", "tokens by a measured ratio between the two families"),
    ):
        if calls := int(groups[name].sum()):
            lines.append(f"{counted(calls, 'call')}: {how}")
    if not groups["changed_calls"].sum() and not groups["kept_calls"].sum():
        named = [*(glob for glob, _ in found.what.models), *found.what.batch]
        whose = f"none is of {' or '.join(map(repr, named))}" if named else "there is none"
        lines.append(f"no call is otherwise: {whose}, or all are so already; report --by model lists the models")
    errors = [error for error in groups["token_error"] if error]
    if errors and lines:
        lines.append(f"nine of ten calls are within {max(errors):.1%} of what the provider would count, by group")
    return lines
