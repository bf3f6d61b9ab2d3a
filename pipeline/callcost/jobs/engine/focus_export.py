"""A report's charges as a bill in FOCUS: priced once more class by class, at list prices beside those that are paid."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import polars as pl

from callcost.errors import ConfigError
from callcost.jobs.engine.held_calls import PLAIN_SOURCE, REPORT, HeldCalls, check_held, prices_of_held
from callcost.jobs.engine.map_reduce import Settled
from callcost.prices.book.book import Book
from callcost.settings import FOCUS_FORMATS, ReportOptions
from callcost.stages.analysis.call_charges import cut_charges
from callcost.stages.pricing.charge_lines import charge_classes, charge_rows
from callcost.stages.pricing.price_facts import price_facts
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.report.focus_rows import focus_table, group_charges
from callcost.stages.report.pseudonyms import hide_names
from callcost.stages.report.publish import csv_bytes, parquet_bytes
from callcost.stages.report.spend import filter_calls, group_column
from callcost.stages.tables.facts import UID
from callcost.stages.tables.published_calls import priced_lines
from callcost.stages.tables.schemas import MONEY

_SHOWBACK = ("user", "team", "end_user")
_UNITS = {"input": "text_input", "output": "text_output"}  # class of a published call -> unit; others have one name


def focus_documents(
    options: ReportOptions, settled: Settled, manifest: dict[str, Any], held: HeldCalls | None = None
) -> dict[str, bytes]:
    """Return a report as bills in FOCUS, as far as they are asked for: name of a file -> content.

    Args:
        options: what the report was asked for.
        settled: its run; its facts are priced once more.
        manifest: record of the run; what is left out of the bill is added to it.
        held: the calls that it is a report on; None: its facts are of logs.

    Raises:
        ConfigError: the calls were charged what their logs say.
    """
    versions = [kind for kind in options.formats if kind in FOCUS_FORMATS]
    if not versions:
        return {}
    if held is not None and held.manifest["options"]["cost_source"] != PLAIN_SOURCE:
        raise ConfigError(f"the costs of {held.place} are logged ones, which have no classes of tokens")
    book = book_of(prices_of_held(held, options) if held is not None else options.prices)
    asked = check_held(held, options) if held is not None else options
    listed, groups, left = book.at_list_prices(), list[pl.DataFrame](), Counter[str]()
    for rows, sign in _billed(settled, held, options.timezone):
        charges = _charges(hide_names(filter_calls(rows, asked), asked.pseudonyms), options, book, listed)
        if sign is None:
            left.update(_left_out(charges))
        groups.append(group_charges(charges, sign))
    if held is not None and held.kind == REPORT and (adjustments := held.manifest.get("adjustments")):
        left["adjustments"] = len(adjustments)  # which only its state can take apart
    files = {}
    for version in versions if groups else ():
        table = focus_table(
            pl.concat(groups), version, account=options.billing_account, sub_account_type=options.sub_account
        )
        manifest["focus"] = {"rows": table.height, **dict(sorted(left.items()))}
        files[f"{version}.csv"] = csv_bytes(table)
        files |= {f"{version}.parquet": parquet_bytes(table)} if "parquet" in options.formats else {}
    return files


def _billed(settled: Settled, held: HeldCalls | None, timezone: str) -> Iterator[tuple[pl.DataFrame, int | None]]:
    """Yield facts and how they count: None as usage; of closed days, -1 as they were and 1 as they are now."""
    for path in settled.tables("facts"):
        yield settled.facts(path, timezone), None
    for calls, sign in zip(held.restated, (-1, 1), strict=True) if held is not None and held.restated else ():
        yield priced_lines(calls, {}), sign


def _charges(rows: pl.DataFrame, options: ReportOptions, book: Book, listed: Book) -> pl.DataFrame:
    """Return the charges of facts, each with its cost at list prices and whose it is."""
    lacking = rows["price_status"].null_count()
    priced = price_facts(rows, book) if lacking else rows
    charges = charge_classes(priced, book)
    plain = charges if listed is book else charge_classes(price_facts(rows, listed) if lacking else rows, listed)
    charges = charges.with_columns(list_rate=plain["rate"], list_cost=plain["cost"])
    charges = _as_published(charges, priced, book) if lacking < rows.height else charges
    sub_account = group_column(options.sub_account, "UTC") if options.sub_account else pl.lit(None, dtype=pl.String)
    showback = [*_SHOWBACK, *(name for name in options.by if name.startswith("tag:"))]
    columns = rows.select(group_column(name, "UTC").cast(pl.String) for name in showback)
    tags = [
        json.dumps(known, ensure_ascii=False)
        if (known := {name.removeprefix("tag:"): value for name, value in row.items() if value is not None})
        else None
        for row in columns.iter_rows(named=True)
    ]
    owners = rows.select(
        *UID, "line", sub_account.cast(pl.String).alias("sub_account"), pl.Series("tags", tags, pl.String)
    )
    return charges.join(owners, on=[*UID, "line"], how="left", maintain_order="left")


def _as_published(charges: pl.DataFrame, rows: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Put what lines were published with in the place of charges that the book makes otherwise: it knows more by now.

    What they cost at list prices then, nobody wrote down: it is taken to be what they cost.
    """
    line = [*UID, "line"]
    sums = charges.group_by(line).agg(pl.col("cost").sum().alias("now"))
    known = rows.select(*line, "total_cost").join(sums, on=line, how="left", maintain_order="left")
    other = known.filter(pl.col("total_cost").fill_null(0) != pl.col("now").fill_null(0)).select(line)
    if other.is_empty():
        return charges
    otherwise = rows.join(other, on=line, how="semi", maintain_order="left")
    parts = cut_charges(otherwise).select(
        *line, unit=pl.col("token_class").replace(_UNITS),
        token_class=pl.col("token_class").replace("reasoning", "output"),
        quantity=pl.max_horizontal("tokens", 1).cast(MONEY), rate=pl.lit(None, MONEY), cost="cost",
        list_rate=pl.lit(None, MONEY), list_cost="cost",
    )  # fmt: skip
    whole = charge_rows(otherwise, book).drop("unpriced").join(parts, on=line, how="inner", maintain_order="left")
    kept = charges.join(other, on=line, how="anti", maintain_order="left")
    return pl.concat([kept, whole.select(kept.columns)])


def _left_out(charges: pl.DataFrame) -> dict[str, int]:
    """Return how many calls have charges without a price, which are left out, and without a day."""
    reasons = {"unpriced_calls": pl.col("cost").is_null(), "undated_calls": pl.col("at").is_null()}
    return {name: charges.filter(reason).select(UID).unique().height for name, reason in reasons.items()}


def asks_for_focus(options: ReportOptions) -> bool:
    """Tell whether a bill in FOCUS is asked for."""
    return any(kind in FOCUS_FORMATS for kind in options.formats)


def check_focus(options: ReportOptions) -> None:
    """Refuse options that a bill in FOCUS cannot have.

    Raises:
        ConfigError: the costs are not computed, or an option of the bill is given and no bill asked for.
    """
    asked = asks_for_focus(options)
    if asked and options.cost_source != "computed":
        raise ConfigError("--format focus needs --cost-source computed", hint="Logged costs have no classes of tokens")
    if not asked and (options.sub_account or options.billing_account):
        raise ConfigError("--sub-account and --billing-account need --format focus-1.4 or focus-1.2")
