"""A report as a workbook for Excel: summary, spend, days, models and quality, each a sheet with formats of numbers.

A cell of a workbook is a double, so that money has 15 digits there; the other formats have all of them. The same
report gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl
import polars.selectors as cs

from callcost.arguments import needs_extra
from callcost.stages.report.publish import WRITERS, flat_table
from callcost.stages.report.spend import merge_spend, share_of, sort_spend
from callcost.stages.tables.schemas import MONEY

VIEWS = ("day", "model")  # what the sheets days and models are grouped by, whatever the report is
_MONEY_FORMAT, _COUNT_FORMAT, _SHARE_FORMAT = "#,##0.00####;[Red]-#,##0.00####", "#,##0", "0.0%"
_MADE = datetime(2000, 1, 1)  # noqa: DTZ001 - so that the same report is the same bytes
_WIDEST = 40  # signs of a column


def workbook_bytes(
    spend: pl.DataFrame, whole: pl.DataFrame, manifest: Mapping[str, Any]
) -> bytes:
    """Return a report as a workbook.

    Args:
        spend: rows of the report, in their order.
        whole: partial spend, by VIEWS at least.
        manifest: record of the run.

    Raises:
        ConfigError: the library that writes it is not installed.
    """
    views = {f"{view}s": merge_spend([whole], (view,)) for view in VIEWS}
    sheets = {
        "summary": listed_figures(_summary_of(manifest)),
        "spend": _with_ratios(spend),
        "days": _with_ratios(views["days"].sort("day", nulls_last=True)),
        "models": _with_ratios(sort_spend(views["models"], ("model",))),
        "quality": listed_figures(_quality_of(manifest)),
    }
    return sheets_bytes(sheets)


def sheets_bytes(sheets: Mapping[str, pl.DataFrame]) -> bytes:
    """Return tables as a workbook, a sheet each; text is text, also where it looks like a formula or an address.

    Raises:
        ConfigError: the library that writes it is not installed.
    """
    sink = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with excel_module().Workbook(sink, options) as book:
        book.set_properties({"created": _MADE})
        for name, table in sheets.items():
            plain = flat_table(table).with_columns(cs.datetime().dt.replace_time_zone(None))
            formats = {column: _format_of(column, kind) for column, kind in plain.schema.items()}
            plain.write_excel(
                book, name, header_format={"bold": True}, autofilter=plain.height > 0, freeze_panes=(1, 0),
                column_formats={column: form for column, form in formats.items() if form},
                column_widths={column: _width_of(plain[column]) for column in plain.columns},
            )  # fmt: skip
    return sink.getvalue()


def table_bytes(kind: str, table: pl.DataFrame) -> bytes:
    """Return one table in a format: "parquet", "csv", "json", "markdown" or "xlsx"."""
    if kind == "xlsx":
        return sheets_bytes({"answer": table})
    return WRITERS[kind](table if kind in {"parquet", "json"} else flat_table(table))


def _format_of(name: str, kind: pl.DataType) -> str | None:
    if name.endswith(("_rate", "share")):
        return _SHARE_FORMAT
    if isinstance(kind, pl.Decimal):
        return None if name == "figure" else _MONEY_FORMAT
    return _COUNT_FORMAT if kind.is_integer() else None


def _width_of(column: pl.Series) -> int:
    """Return the width of a column in pixels, by its longest cell."""
    longest = column.cast(pl.String, strict=False).str.len_chars().max() if column.dtype == pl.String else 14
    return 7 * min(max(int(str(longest or 0)), len(column.name)) + 3, _WIDEST)


def _with_ratios(spend: pl.DataFrame) -> pl.DataFrame:
    """Put share and cost per call after the sums of a group."""
    cost = pl.col("total_cost")
    rows = spend.with_columns(whole=cost.sum())
    return rows.with_columns(
        share_of("total_cost", "whole").alias("share"),
        (cost.to_physical() // pl.col("calls").cast(pl.Int128)).reinterpret(dtype=MONEY).alias("cost_per_call"),
    ).drop("whole")


def listed_figures(rows: Iterable[tuple[str, Any]]) -> pl.DataFrame:
    """Return named figures as a table: numbers in one column, words in another."""
    found = [(name, value, None) if isinstance(value, int | Decimal) else (name, None, value) for name, value in rows]
    return pl.DataFrame(found, schema={"what": pl.String, "figure": MONEY, "words": pl.String}, orient="row")


def _summary_of(manifest: Mapping[str, Any]) -> list[tuple[str, Any]]:
    versions = ", ".join(version["name"] for version in manifest["price_versions"])
    asked = {name: manifest["options"][name] for name in ("since", "until", "timezone", "where")}
    return [
        *((name, value and Decimal(value)) for name, value in manifest["totals"].items()),
        *((f"currency: {name}", value) for name, value in (manifest.get("currency") or {}).items()),
        ("first call", manifest["first_at"]), ("last call", manifest["last_at"]),
        *((f"asked: {name}", str(value)) for name, value in asked.items() if value),
        ("price versions", versions), ("callcost", manifest["callcost"]["version"]),
    ]  # fmt: skip


def _quality_of(manifest: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return what became of every record, how usage was found, and what has no full price."""
    unpriced = [
        (f"{row['price_status']}: {row['model']} ({row['price_reason']}, first: {row['first']})", row["calls"])
        for row in manifest["unpriced"]
    ]
    reasons = manifest["reject_reasons"]
    rejects = [(f"rejected: {row['reason']} (first: {row['first']})", row["records"]) for row in reasons]
    tallies = [
        (f"{kind}: {name}", count)
        for kind in ("usage_source", "count_method", "price_status", "price_basis", "flags")
        for name, count in manifest[kind].items()
    ]
    repeated = manifest["repeated_rows"]
    return [
        *manifest["records"].items(), *tallies, *rejects, *unpriced, ("undated calls", manifest["undated_calls"]),
        ("repeated rows", repeated["calls"]), ("cost of repeated rows", Decimal(repeated["total_cost"] or 0)),
    ]  # fmt: skip


def excel_module() -> Any:
    """Return the library that writes workbooks.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import xlsxwriter  # noqa: PLC0415 - an extra, and only where it is asked for
    except ImportError:
        raise needs_extra("--format xlsx", "excel") from None
    return xlsxwriter
