"""A reconciliation for reading: its causes by provider, model and owner, its days, and what to do about it.

All sums are exact and add up to the whole difference. What the causes are is for stages/reconcile; how they are shown
is for the terminal, pages and workbooks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal, localcontext
from typing import Any

import polars as pl

from callcost.stages.tables.schemas import Amount, CallCount, Date, Ratio, Schema, Text
from callcost.tables import EXACT, UNATTRIBUTED

LEAST = Decimal("0.01")  # of the currency: what is less is summed
_NOTHING = Decimal(0)
CAUSES = {
    "billed_not_logged": "billed, but not in the logs",
    "logged_not_billed": "in the logs, but not billed",
    "duplicates": "calls counted twice",
    "day_shift": "on another day of the bill",
    "unit_error": "in another unit",
    "cache": "cached tokens counted differently",
    "missing_iterations": "further runs of a call missing",
    "aborted_stream": "answers that broke off",
    "own_key": "paid with a key of one's own",
    "server_tools": "server tools",
    "tier_or_batch": "another service tier, or batch",
    "region_uplift": "regional uplift",
    "price_version": "prices of another date",
    "discount": "discounts and credits",
    "unpriced_model": "models without a price",
    "fee": "capacity, taxes and other fees",
    "unmapped_line_item": "lines of the bill that nobody knows",
    "rounding": "rounding, and what is less than a cent",
    "unexplained": "unexplained",
}
_TO_DO = {
    "billed_not_logged": "Log the calls{whose}: the bill has them and no log does.",
    "logged_not_billed": "Find out who pays for these calls{whose}: they may be refused ones, or of another account.",
    "day_shift": "Log times with their zone, if these are days of another one than the bill's.",
    "duplicates": "Log each call once: copies stand in the logs under other ids.",
    "unit_error": "Compare the unit of the bill's lines with the logs: one is a power of ten of the other.",
    "cache": "Log the cached tokens of each answer: what was read, and what was written by its lifetime.",
    "missing_iterations": "Log the usage of every run of a call, not that of the last alone.",
    "aborted_stream": "Log answers that break off, with the usage that came: the provider bills them.",
    "server_tools": "Log the use of server tools (searches, code) beside the tokens.",
    "tier_or_batch": "Log the service tier of each call{whose}, and which calls are of a batch.",
    "region_uplift": "Log the region in which a call was answered.",
    "price_version": "Correct the rate{times}: see `callcost prices history {model}`, set it with --prices-override.",
    "discount": "If it is agreed, write it into [[discounts]] of --prices-override{percent}.",
    "unpriced_model": "Add a rate with --prices-override, or fetch the published ones with `callcost prices pull`.",
    "unmapped_line_item": "Say what these lines are for: no call has them.",
}  # fmt: skip


class GapCauses(Schema):
    """Why a bill, or what the log states, is not what our calls cost: a row per provider, model, cause and owner."""

    against = Text("bill | log")
    provider = Text("who is paid; null: several")
    model = Text("as the bill names it; null: several")
    cause = Text("one of CAUSES")
    words = Text("the cause in words")
    owner = Text("whose it is; null: it was not asked")
    amount = Amount("of the difference; null: no amounts are stated")
    share = Ratio("amount by the whole bill")
    factor = Ratio("what a price is multiplied by; null: it is not about prices")
    tokens = Amount("how many tokens it moves")
    first_day = Date("UTC")
    last_day = Date("UTC")
    days = CallCount("days on which it is so")
    currency = Text("of the amount")
    evidence = Text("what tells so, for the largest part of it")


class GapDays(Schema):
    """One day of a reconciliation."""

    against = Text("bill | log")
    day = Date("UTC; null: the bill names no day")
    stated = Amount("what the bill asks, or the log states")
    computed = Amount("what our calls cost")
    difference = Amount("stated - computed")
    unexplained = Amount("of it")
    status = Text("final | open")
    currency = Text("of the amounts")


class _Group:
    """Causes that are one row."""

    def __init__(self) -> None:
        self.amount: Decimal | None = None
        self.tokens = self.base = self.moved = self.gross = self.largest = _NOTHING
        self.days: set[date] = set()
        self.evidence = ""

    @property
    def factor(self) -> Decimal | None:
        """What prices are multiplied by; None: it is not about prices."""
        return round((self.base + self.moved) / self.base, 6) if self.base else None

    def add(self, row: Mapping[str, Any]) -> None:
        """Add one cause of a cell."""
        amount = row["amount"]
        self.tokens += row["tokens"] or _NOTHING
        self.days |= {row["day"]} if row["day"] is not None else set()
        if amount is not None:
            self.amount = (self.amount or _NOTHING) + amount
            self.gross += abs(amount)
        if row["base"] is not None:
            self.base, self.moved = self.base + row["base"], self.moved + (amount or _NOTHING)
        weight = abs(row["tokens"] or _NOTHING) if amount is None else abs(amount)
        if not self.evidence or weight > self.largest:
            self.evidence, self.largest = row["evidence"], weight


def group_causes(rows: pl.DataFrame, causes: pl.DataFrame) -> pl.DataFrame:
    """Return causes by provider, model, cause and owner, the largest first; what is less than a cent is one row.

    Args:
        rows: columns of Reconciliation.
        causes: columns of Causes.
    """
    with localcontext(EXACT):
        return _group(rows, causes)


def _group(rows: pl.DataFrame, causes: pl.DataFrame) -> pl.DataFrame:
    found: dict[tuple[Any, ...], _Group] = {}
    for row in causes.iter_rows(named=True):
        key = row["against"], row["currency"], row["provider"], row["model"], row["cause"], row["owner"]
        found.setdefault(key, _Group()).add(row)
    wholes = {row["against"]: abs(row["stated"] or _NOTHING) for row in _sums(rows, "against").iter_rows(named=True)}
    listed, small = list[dict[str, Any]](), dict[tuple[Any, ...], list[_Group]]()
    for key, group in found.items():
        if group.amount is not None and (group.gross < LEAST or key[4] == "rounding"):
            small.setdefault((*key[:2], None, None, "rounding", None), []).append(group)
        else:
            listed.append(_row_of(key, group, wholes))
    rest = [_row_of(key, _together(groups), wholes) for key, groups in small.items()]
    listed.sort(key=lambda row: (-abs(row["amount"] or _NOTHING), -abs(row["tokens"]), str(row["provider"]),
                                 str(row["model"]), row["cause"], str(row["owner"])))  # fmt: skip
    kept = [row for row in rest if row["amount"] or row["tokens"]]
    return pl.DataFrame([*listed, *kept], schema=GapCauses.types, orient="row")


def _row_of(key: tuple[Any, ...], group: _Group, wholes: Mapping[str, Decimal]) -> dict[str, Any]:
    against, currency, provider, model, cause, owner = key
    whole, amount = wholes.get(against), group.amount
    return {
        "against": against, "provider": provider, "model": model, "cause": cause,
        "words": CAUSES.get(cause, cause), "owner": owner, "amount": amount,
        "share": round(amount / whole, 6) if amount is not None and whole else None,
        "factor": group.factor, "tokens": group.tokens,
        "first_day": min(group.days, default=None), "last_day": max(group.days, default=None),
        "days": len(group.days), "currency": currency, "evidence": group.evidence,
    }  # fmt: skip


def _together(groups: Iterable[_Group]) -> _Group:
    whole = _Group()
    for group in groups:
        whole.amount = (whole.amount or _NOTHING) + (group.amount or _NOTHING)
        whole.tokens += group.tokens
        whole.days |= group.days
    whole.evidence = "what is less than a cent of the currency"
    return whole


def sum_days(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the days of a reconciliation in order, those of the bill first."""
    return _sums(rows, "against", "day").select(GapDays.names)


def _sums(rows: pl.DataFrame, *by: str) -> pl.DataFrame:
    stated = pl.coalesce("billed_cost", "logged_cost")
    has_one = stated.is_not_null()
    sums = {name: pl.col(column).filter(has_one).sum() for name, column in
            (("computed", "computed_cost"), ("difference", "difference"), ("unexplained", "unexplained"))}  # fmt: skip
    is_open = (pl.col("status") == "open").any()
    return (
        rows.group_by(by)
        .agg(
            stated=pl.when(has_one.any()).then(stated.sum()), **sums, currency=pl.col("currency").first(),
            status=pl.when(is_open).then(pl.lit("open")).otherwise(pl.lit("final")),
        )
        .sort(by, nulls_last=True)
    )


def unmapped_lines(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the lines of a bill that no call has, by provider and label, the largest first."""
    lines = rows.filter(pl.col("token_class").is_in(["unmapped", "fee", "credit"]))
    summed = lines.group_by("provider", "line_item", "token_class", "currency").agg(
        amount=pl.col("billed_cost").sum(), first_day=pl.col("day").min(), last_day=pl.col("day").max()
    )
    ordered = summed.sort(pl.col("amount").abs(), "provider", "line_item", descending=[True, False, False])
    return ordered.rename({"token_class": "kind"})


def next_steps(gap: pl.DataFrame, rows: pl.DataFrame, owners: bool) -> list[dict[str, Any]]:
    """Return what to do next, what moves the most money first.

    Args:
        gap: columns of GapCauses.
        rows: columns of Reconciliation.
        owners: whether causes are split by owner.

    Returns:
        ``provider``, ``models``, ``amount`` that it is about, and ``what`` to do.
    """
    billed = rows.filter(pl.col("against") == "bill")
    counts = _states(billed, "billed_tokens")
    amounts = _states(billed, "billed_cost")
    steps: dict[tuple[str | None, str], dict[str, Any]] = {}
    for row in gap.filter(pl.col("against") == "bill").iter_rows(named=True):
        provider = row["provider"]
        is_credit = row["cause"] == "discount" and row["factor"] is None
        what = "" if is_credit else _TO_DO.get(row["cause"], "")
        if row["cause"] == "unexplained" and provider not in counts:
            what = f"Add the usage report of {provider}: this bill states no counts.{_fetched(provider)}"
        if row["amount"] is None and row["tokens"] and provider not in amounts:
            what = f"Add the cost report of {provider}: this bill states no amounts.{_fetched(provider)}"
        known = row["owner"] not in {None, UNATTRIBUTED}
        hint = "" if owners or "{whose}" not in what else " Say --by api_key to see whose they are."
        factor, model = row["factor"], row["model"] or "MODEL"
        times, percent = ("", "") if factor is None else (
            f" (factor {factor.normalize():f})", f" (percent = {(100 - 100 * factor).normalize():f})"
        )  # fmt: skip
        whose = f" of {row['owner']}" if known else ""
        words = what.format(whose=whose, times=times, percent=percent, model=model) + hint
        if words:
            step = steps.setdefault((provider, words), {"provider": provider, "models": [], "amount": _NOTHING,
                                                        "what": words})  # fmt: skip
            step["amount"] += row["amount"] or _NOTHING
            step["models"] += [row["model"]] if row["model"] not in {None, *step["models"]} else []
    return sorted(steps.values(), key=lambda step: -abs(step["amount"]))


def _states(rows: pl.DataFrame, column: str) -> set[str | None]:
    """Return the providers whose bill states a column."""
    return set(rows.filter(pl.col(column).is_not_null())["provider"])


def _fetched(provider: str | None) -> str:
    return f" `callcost bills pull {provider}` fetches it." if provider in {"openai", "anthropic"} else ""
