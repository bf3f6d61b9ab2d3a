"""A report's charges as a bill in FOCUS: priced once more class by class, at list prices beside those that are paid."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import polars as pl

from callcost.errors import ConfigError
from callcost.jobs.engine.map_reduce import Settled
from callcost.prices.book.book import Book
from callcost.settings import FOCUS_FORMATS, ReportOptions
from callcost.stages.pricing.charge_lines import charge_classes
from callcost.stages.pricing.price_facts import price_facts
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.report.focus_rows import focus_table, group_charges
from callcost.stages.report.pseudonyms import hide_names
from callcost.stages.report.publish import csv_bytes, parquet_bytes
from callcost.stages.report.spend import filter_calls, group_column
from callcost.stages.tables.facts import UID

_SHOWBACK = ("user", "team", "end_user")


def refuse_focus(options: ReportOptions, source: str) -> None:
    """Refuse a bill in FOCUS of what does not hold single charges.

    Raises:
        ConfigError: one is asked for.
    """
    asked = [kind for kind in options.formats if kind in FOCUS_FORMATS]
    if asked:
        raise ConfigError(f"--format {asked[0]} is made of logs, and not with {source}", hint="Give the logs alone")


def focus_documents(options: ReportOptions, settled: Settled, manifest: dict[str, Any]) -> dict[str, bytes]:
    """Return a report as bills in FOCUS, as far as they are asked for: name of a file -> content.

    Args:
        options: what the report was asked for.
        settled: its run; its facts are priced once more.
        manifest: record of the run; what is left out of the bill is added to it.
    """
    versions = [kind for kind in options.formats if kind in FOCUS_FORMATS]
    if not versions:
        return {}
    book, groups, left = book_of(options.prices), list[pl.DataFrame](), Counter[str]()
    listed = book.at_list_prices()
    for facts in settled.tables("facts"):
        rows = hide_names(filter_calls(settled.facts(facts, options.timezone), options), options.pseudonyms)
        charges = _charges(rows, options, book, listed)
        left.update(_left_out(charges))
        groups.append(group_charges(charges))
    files = {}
    for version in versions if groups else ():
        table = focus_table(
            pl.concat(groups), version, account=options.billing_account, sub_account_type=options.sub_account
        )
        manifest["focus"] = {"rows": table.height, **dict(sorted(left.items()))}
        files[f"{version}.csv"] = csv_bytes(table)
        files |= {f"{version}.parquet": parquet_bytes(table)} if "parquet" in options.formats else {}
    return files


def _charges(rows: pl.DataFrame, options: ReportOptions, book: Book, listed: Book) -> pl.DataFrame:
    """Return the charges of facts, each with its cost at list prices and whose it is."""
    charges = charge_classes(price_facts(rows, book), book)
    plain = charges if listed is book else charge_classes(price_facts(rows, listed), listed)
    charges = charges.with_columns(list_rate=plain["rate"], list_cost=plain["cost"])
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


def _left_out(charges: pl.DataFrame) -> dict[str, int]:
    """Return how many calls have charges without a price, which are left out, and without a day."""
    reasons = {"unpriced_calls": pl.col("cost").is_null(), "undated_calls": pl.col("at").is_null()}
    return {name: charges.filter(reason).select(UID).unique().height for name, reason in reasons.items()}


def check_focus(options: ReportOptions) -> None:
    """Refuse options that a bill in FOCUS cannot have.

    Raises:
        ConfigError: the costs are not computed, or an option of the bill is given and no bill asked for.
    """
    asked = any(kind in FOCUS_FORMATS for kind in options.formats)
    if asked and options.cost_source != "computed":
        raise ConfigError("--format focus needs --cost-source computed", hint="Logged costs have no classes of tokens")
    if not asked and (options.sub_account or options.billing_account):
        raise ConfigError("--sub-account and --billing-account need --format focus-1.4 or focus-1.2")
