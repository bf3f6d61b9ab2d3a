"""What would change a closed day: late and missing records, recounts, and other prices with what says them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from callcost.prices.book.archive import isoformat, microseconds
from callcost.prices.book.book import Book, Resolution
from callcost.prices.calls import price_line
from callcost.prices.charges import plain
from callcost.stages.pricing.price_facts import gather_calls
from callcost.stages.report.spend import CALL_ORDER
from callcost.stages.tables.schemas import Adjustments, Calls
from callcost.tables import USAGE_COUNTS, Call, Usage

LATE, MISSING, REPRICED, RECOUNTED = "late records", "missing records", "price correction", "recount"
NEW, ANY = "new calls", "calls and prices"
MOST_COMPARED = 2_000_000  # calls of a day, before and now, that are compared one by one
CAUSE = ("model", "field", "source", "effective_from")  # of another price, in Adjustments
ORDER = ("day", "reason", *CAUSE)
_TOKENS = ("prompt_tokens", "completion_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
COMPARED = {name: Calls.types[name] for name in ("call_id", *_TOKENS, "total_cost", "price_version")}
_COUNTS = tuple(name for name in USAGE_COUNTS if name in Calls.types)
_TERMS = ("provider", "model_requested", "service_tier", "region", "source_format", "status", "usage_source")
_PRICED_BY = ("price_version", "price_basis")  # now, and when the day was closed


def adjustments_of(
    day: date, frozen: pl.DataFrame, calls: pl.DataFrame, book: Book, closed_at: str = "1970-01-01"
) -> pl.DataFrame:
    """Return what would change a closed day: a row per reason and cause, whose differences add up to the whole.

    Args:
        day: date that was closed.
        frozen: facts of the day when it was closed.
        calls: calls of the day as they are now.
        book: what prices them now, and so says why they cost something else.
        closed_at: when the day was closed, ISO 8601.
    """
    old, new = (_numbered(table) for table in (gather_calls(frozen), calls))
    both = old.join(new, on=["call_id", "copy"], how="full", suffix="_now")
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name}_now")) for name in _TOKENS)
    reason = (
        pl.when(pl.col("copy").is_null()).then(pl.lit(LATE))
        .when(pl.col("copy_now").is_null()).then(pl.lit(MISSING))
        .when(~same).then(pl.lit(RECOUNTED))
        .when(~pl.col("total_cost").eq_missing(pl.col("total_cost_now"))).then(pl.lit(REPRICED))
    )  # fmt: skip
    changed = both.with_columns(reason.alias("reason")).filter(pl.col("reason").is_not_null())
    sums = _with_causes(changed, book, microseconds(closed_at)).group_by("reason", *CAUSE).agg(
        pl.len().cast(pl.Int64).alias("calls"),
        pl.col("total_cost").sum().alias("old_cost"),
        pl.col("total_cost_now").sum().alias("new_cost"),
    )  # fmt: skip
    difference = pl.col("new_cost") - pl.col("old_cost")
    rows = sums.with_columns(pl.lit(day).alias("day"), difference.alias("difference")).sort(ORDER)
    return rows.select(Adjustments.names).cast(Adjustments.types)  # type: ignore[arg-type]


def changes_of_day(before: pl.LazyFrame, now: pl.LazyFrame) -> list[dict[str, Any]]:
    """Say why a published day costs something else: a row per reason, whose differences add up to the whole.

    Args:
        before: calls as they were published, the columns COMPARED.
        now: calls as they are now.

    Returns:
        "reason", one of NEW, MISSING, REPRICED, RECOUNTED, or ANY where there are very many calls; "because": the price
        version of what is priced otherwise, where it was another one; "calls"; "difference" as plain decimal text.
    """
    (old, old_cost), (new, new_cost) = (
        calls.select(pl.len(), pl.col("total_cost").sum()).collect().row(0) for calls in (before, now)
    )
    if old + new > MOST_COMPARED:
        difference = plain(new_cost - old_cost)
        return [{"reason": ANY, "because": None, "calls": new - old, "difference": difference}]
    compared = (_compared(calls.collect()) for calls in (before, now))
    both = next(compared).join(next(compared), on=["call_id", "copy"], how="full", suffix="_now")
    is_repriced = ~pl.col("total_cost").eq_missing(pl.col("total_cost_now"))
    reason = (
        pl.when(pl.col("copy").is_null()).then(pl.lit(NEW))
        .when(pl.col("copy_now").is_null()).then(pl.lit(MISSING))
        .when(pl.col("tokens") != pl.col("tokens_now")).then(pl.lit(RECOUNTED))
        .when(is_repriced).then(pl.lit(REPRICED))
    )  # fmt: skip
    version = pl.when(pl.col("price_version").ne_missing(pl.col("price_version_now"))).then("price_version_now")
    named = both.select(
        reason.alias("reason"), "total_cost", "total_cost_now",
        pl.when(reason == REPRICED).then(version).alias("because"),
    )  # fmt: skip
    sums = named.drop_nulls("reason").group_by("reason", "because").agg(
        pl.len().alias("calls"), pl.col("total_cost_now").sum() - pl.col("total_cost").sum(),
    )  # fmt: skip
    rows = sums.sort("reason", "because", nulls_last=True).iter_rows()
    return [
        {"reason": reason, "because": because, "calls": calls, "difference": plain(difference)}
        for reason, because, calls, difference in rows
    ]


def cost_of(calls: pl.DataFrame) -> Decimal:
    """Return what calls cost together; what has no price adds nothing."""
    return Decimal(str(calls["total_cost"].sum() or 0))


def _compared(calls: pl.DataFrame) -> pl.DataFrame:
    """Return what tells calls from each other and one from what it was, in few bytes."""
    tokens = pl.struct(_TOKENS).hash().alias("tokens")
    ordered = calls.select("call_id", tokens, "total_cost", "price_version").sort("call_id", "tokens", "total_cost")
    return ordered.with_columns(pl.int_range(pl.len()).over("call_id").alias("copy"))


def _numbered(calls: pl.DataFrame) -> pl.DataFrame:
    """Number calls that share an id, so that each has a name."""
    ordered = calls.sort("call_id", *_TOKENS, *CALL_ORDER, nulls_last=True)
    copy = pl.int_range(pl.len()).over("call_id").alias("copy")
    models = pl.concat_list(
        pl.concat_list("model"), pl.col("iterations").list.eval(pl.element().struct.field("model")).fill_null([])
    )
    moment = pl.col("started_at").to_physical().alias("moment")
    return ordered.select(
        "call_id", copy, *_COUNTS, "total_cost", models.list.unique(maintain_order=True).alias("models"), moment,
        *_TERMS, *_PRICED_BY,
    )  # fmt: skip


def _with_causes(changed: pl.DataFrame, book: Book, closed_at: int) -> pl.DataFrame:
    """Add what says the new price, once per class of calls that one price is asked for."""
    eras = {moment: book.era(moment) for moment in changed["moment_now"].unique()}
    era = pl.col("moment_now").replace_strict(list(eras), list(eras.values()), return_dtype=pl.Int64)
    kind = pl.struct(
        "reason", "models_now", era.alias("era"), *(f"{name}_now" for name in (*_TERMS, *_PRICED_BY)), *_PRICED_BY,
        *((pl.col(f"{name}_now") > 0).alias(name) for name in _COUNTS),
    )  # fmt: skip
    numbered = changed.with_columns(kind=kind.rank("dense"))
    first = numbered.filter(pl.col("reason") == REPRICED).unique("kind", keep="first", maintain_order=True)
    causes = [{"kind": row["kind"], **_cause(row, book, closed_at)} for row in first.iter_rows(named=True)]
    words = pl.DataFrame(causes, {"kind": numbered.schema["kind"], **dict.fromkeys(CAUSE, pl.String)})
    return numbered.join(words, on="kind", how="left")


def _cause(row: dict[str, Any], book: Book, closed_at: int) -> dict[str, str | None]:
    """Return what says that a call costs something else than when its day was closed: the cells of CAUSE."""
    found, charged = zip(*_prices(row, book), strict=True)
    laid = [(each.key, cell) for each in found for cell in each.corrections]
    laid = [(key, cell) for key, cell in laid if cell.place in set().union(*charged)] or laid
    came = [(key, cell) for key, cell in laid if cell.recorded_on > closed_at]
    another = row["price_version"] != row["price_version_now"]
    if not came and not (another and row["price_basis"] == row["price_basis_now"]):
        came = laid
    if came:
        cells = [(key, cell.place, cell.source, isoformat(cell.begins)) for key, cell in came]
        return dict(zip(CAUSE, map(_joined, zip(*cells, strict=True)), strict=True))
    dated = {version.name: version for version in book.catalog.versions}
    named = [(each.key, each.version, dated.get(each.version)) for each in found if each.version and another]
    return {
        "model": _joined(key for key, _, _ in named),
        "field": None,
        "source": _joined(version.source if version else name for _, name, version in named),
        "effective_from": _joined(version.effective_text for _, _, version in named if version),
    }


def _prices(row: dict[str, Any], book: Book) -> Iterator[tuple[Resolution, set[str]]]:
    """Yield what prices each of a call's models now, and the fields of the map that it is charged by."""
    terms = {name: row[f"{name}_now"] for name in _TERMS}
    counts = {name: row[f"{name}_now"] for name in _COUNTS}
    for model in row["models_now"]:
        call = Call(family="", model=row["models_now"][0], started_at=row["moment_now"], **terms)
        found, bill = price_line(book, call, Usage(model=model, **counts))
        yield found, {charge.line.listed.field for charge in bill.charges if charge.line}


def _joined(words: Iterable[str | None]) -> str | None:
    return ", ".join(dict.fromkeys(filter(None, words))) or None
