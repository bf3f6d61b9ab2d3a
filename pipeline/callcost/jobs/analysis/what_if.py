"""`callcost what-if`: the same calls with other models, batches, caches, tiers or prices, and what they would cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from callcost.errors import ConfigError
from callcost.jobs.engine.held_calls import PLAIN_SOURCE, REPORT, SUMMED, HeldCalls, settle_held
from callcost.jobs.engine.map_reduce import Progress, map_logs, reduce_facts, working_folder
from callcost.jobs.report import open_source, read_source, settle_options
from callcost.jobs.state.read_once import map_once
from callcost.models import split_provider
from callcost.runners.protocol import ignore_progress
from callcost.settings import Moves, PriceOptions, ReportOptions, WhatIfOptions
from callcost.stages.analysis.alternative_calls import REASONS, Alternative, merge_alternatives
from callcost.stages.analysis.suggestions import suggest
from callcost.stages.pricing.price_facts import sum_stated
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.report.spend import share_of
from callcost.stages.tables.facts import read_tables
from callcost.stages.tables.schemas import FINGERPRINTS, Alternatives, WhatIf

_RECORDED = ("prices", "corrections", "as_known")  # of how the costs of a report were made


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AlternativeSpend:
    """What calls cost, and what they would cost otherwise.

    Attributes:
        groups: a row per group: the columns of ``by`` and those of schemas.WhatIf, most saved first.
        kept: calls that could not be moved and stay at their cost: model, reason (a key of REASONS, else of prices),
            calls, cost; dearest first.
        options: what was looked at.
        what: what is otherwise.
    """

    groups: pl.DataFrame
    kept: pl.DataFrame
    options: ReportOptions
    what: WhatIfOptions


def what_if(
    options: ReportOptions,
    *,
    models: Moves = (),
    batch: str | Iterable[str] = (),
    cache: str | None = None,
    tier: str | None = None,
    prices: str | date | None = None,
    progress: Progress = ignore_progress,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> AlternativeSpend:
    """Say what the same calls would have cost otherwise.

    Over logs, the texts of calls that move to another model are counted as that model counts them. Over a report or a
    state there are no texts: tokens are those that are stated times a ratio measured between the two families.

    Args:
        options: ``logs`` names the source: logs, a report that holds calls, or a state.
        models: {"gpt-4o": "gpt-4o-mini"}, or "A=B", or several: who answers instead; A is a glob.
        batch: globs of models, after ``models``, whose calls go by batch.
        cache: "none" or "all"; see WhatIfOptions.
        tier: "default", "flex" or "priority".
        prices: which rates apply, as in PriceOptions; None: those of ``options``.
        progress: see report_spend.
        planned: see report_spend.

    Raises:
        ConfigError: an option makes no sense, or a model is unknown.
        LogError: the source matches no file, or holds no calls.

    Example:
        >>> found = what_if(ReportOptions(logs="sample_logs"), models={"gpt-4o": "gpt-4o-mini"})
        >>> found.groups["saved_cost"].sum() > 0
        True
    """
    what = WhatIfOptions(models=models, batch=batch, cache=cache, tier=tier, prices=prices)
    if what == WhatIfOptions():
        raise ConfigError("nothing is to be otherwise", hint="Say models, batch, cache, tier or prices")
    options = settle_options(dataclasses.replace(options, formats=("csv",), calls=False, out=None, table="parquet"))
    if options.cost_source != PLAIN_SOURCE:
        raise ConfigError(f"what-if compares computed costs, not --cost-source {options.cost_source}")
    held = open_source(options, SUMMED)
    asked, alternative = _alternative(held, options, what)
    _check_models(alternative)
    by = options.by if "model" in options.by else (*options.by, "model")
    asked = dataclasses.replace(asked, by=by)
    parts = _sums(held, asked, alternative, progress=progress, planned=planned)
    kinds = {name: pl.Null() for name in by} | {"reason": pl.String(), **Alternatives.types}
    sums = merge_alternatives(parts or [pl.DataFrame(schema=kinds)], by)
    return AlternativeSpend(groups=_groups(sums, options.by), kept=_kept(sums), options=options, what=what)


def _sums(held: HeldCalls | None, asked: ReportOptions, alternative: Alternative, **how: Any) -> list[pl.DataFrame]:
    """Return the sums of each file of calls."""
    with working_folder(None) as folder:
        if held is not None:
            settled = settle_held(held, asked, folder, listed=False, alternative=alternative)
        else:
            counts = bool(alternative.what.models)  # for others, texts are looked at
            read = partial(map_logs, alternative=alternative) if counts else map_once
            found = read(asked, folder, **how)
            settled = reduce_facts(asked, found, listed=False, alternative=alternative)
        return [read_tables([path]) for path in settled.tables("alternative")]


def _alternative(
    held: HeldCalls | None, options: ReportOptions, what: WhatIfOptions
) -> tuple[ReportOptions, Alternative]:
    """Return how the calls are read, and what is otherwise: of a report, prices are those that it was made with."""
    former = _former_prices(held, options.prices)
    prices = former or options.prices
    if held is not None and held.kind == REPORT:
        options = dataclasses.replace(options, prices=PriceOptions())
    if what.prices is not None:
        prices = dataclasses.replace(prices, prices=what.prices)
        book_of(prices)
    asked = [None if each is None else _absolute(each) for each in (prices, former)]
    return options, Alternative(what=what, prices=asked[0] or prices, former=asked[1])


def _former_prices(held: HeldCalls | None, prices: PriceOptions) -> PriceOptions | None:
    """Return which rates gave the costs that calls came with: of a report, those that it was made with."""
    if held is None:
        return None
    if held.manifest["options"].get("cost_source", PLAIN_SOURCE) != PLAIN_SOURCE:
        message = f"the costs of {held.place} are --cost-source {held.manifest['options']['cost_source']}"
        raise ConfigError(message, hint="Give the logs, or a report of computed costs")
    if held.kind != REPORT:
        return prices
    recorded, plain = held.manifest["options"].get("prices", {}), PriceOptions()
    own = {name: getattr(prices, name) for name in _RECORDED if getattr(prices, name) != getattr(plain, name)}
    return dataclasses.replace(prices, **{name: recorded[name] for name in _RECORDED if name in recorded} | own)


def _absolute(prices: PriceOptions) -> PriceOptions:
    """Return options that mean the same wherever a process works."""
    override = prices.override and str(Path(prices.override).absolute())
    return dataclasses.replace(prices, override=override)


def _check_models(alternative: Alternative) -> None:
    """Refuse models that nobody can price."""
    book = book_of(alternative.prices)
    for name in (to for glob, to in alternative.what.models if to != glob):
        if book.resolve(name).key is None and not split_provider(name)[0]:
            near = book.suggest(name)
            raise ConfigError(f"unknown model {name!r}", hint=f"Did you mean {' or '.join(near)}?" if near else "")


def _groups(sums: pl.DataFrame, by: tuple[str, ...]) -> pl.DataFrame:
    """Sum over the reasons, which become a list of each group."""
    stays = pl.col("reason").is_not_null()
    listed, cost = pl.struct("reason", "calls", cost="old_cost").filter(stays), pl.col("old_cost").filter(stays)
    counts = [name for name in Alternatives.names if name.endswith("calls")]
    stated = [name for name in Alternatives.names if name not in counts]
    per_reason = merge_alternatives([sums], by).sort(*by, "reason", nulls_last=True)
    table = per_reason.group_by(by, maintain_order=True).agg(
        *(pl.col(name).sum() for name in counts), *map(sum_stated, stated), kept=listed,
        kept_calls=pl.col("calls").filter(stays).sum(), kept_cost=pl.when(cost.count() > 0).then(cost.sum()),
    )  # fmt: skip
    shown = table.with_columns(
        saved_cost=pl.col("old_cost") - pl.col("new_cost"), whole=pl.col("new_tokens") * 1000
    ).with_columns(share_of("uncertain_tokens", "whole").alias("token_error"))
    shown = shown.select(*by, *WhatIf.names).cast(WhatIf.types)  # type: ignore[arg-type]
    return shown.sort("saved_cost", *by, descending=[True, *[False] * len(by)], nulls_last=True)


def _kept(sums: pl.DataFrame) -> pl.DataFrame:
    stays = sums.filter(pl.col("reason").is_not_null())
    found = stays.group_by("model", "reason").agg(pl.col("calls").sum(), pl.col("old_cost").sum().alias("cost"))
    return found.sort("cost", "model", "reason", descending=[True, False, False], nulls_last=True)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedSavings:
    """What could be saved.

    Attributes:
        savings: columns of suggestions.SAVINGS, most a month first; they overlap.
        days: that the calls were made in.
        fingerprinted: whether it is known which prompts repeat.
    """

    savings: pl.DataFrame
    days: int
    fingerprinted: bool


def suggest_savings(
    options: ReportOptions,
    *,
    progress: Progress = ignore_progress,
    planned: Callable[[int], None] = lambda _bytes: None,
) -> SuggestedSavings:
    """List what could be saved on the calls of a source, in dollars a month.

    Args:
        options: ``logs`` names the source: logs, a report that holds calls, or a state.
        progress: see report_spend.
        planned: see report_spend.

    Raises:
        ConfigError: an option makes no sense.
        LogError: the source matches no file, or holds no calls.

    Example:
        >>> suggest_savings(ReportOptions(logs="sample_logs")).savings.columns[:3]
        ['kind', 'model', 'calls']
    """
    options = settle_options(options)
    held = open_source(options)
    prices = _former_prices(held, options.prices) or options.prices
    if held is not None and held.kind == REPORT:
        options = dataclasses.replace(options, prices=PriceOptions())
    calls = read_source(options, progress=progress, planned=planned).calls
    times = calls["started_at"].drop_nulls().dt.date()
    first, last = times.min(), times.max()
    days = (last - first).days + 1 if isinstance(first, date) and isinstance(last, date) else 1
    known = FINGERPRINTS[0] in calls.columns and calls[FINGERPRINTS[0]].count() > 0
    savings = suggest(calls, book_of(_absolute(prices)), days)
    return SuggestedSavings(savings=savings, days=days, fingerprinted=known)


def reason_text(reason: str) -> str:
    """Return why calls stay, in words; a reason of prices that has none is shown as it is."""
    return REASONS.get(reason, reason)
