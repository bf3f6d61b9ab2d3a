"""Published calls as facts: what is left of a log that is gone, where nobody can read the facts that it gave any more.

They keep the prices that they were published with. Their keys are made of their ids, so that a copy that comes later
is still known; charge lines are one a call.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate

import polars as pl

from callcost.logs.dialects import field_readers
from callcost.stages.tables.facts import bucket_of, widen_facts
from callcost.stages.tables.schemas import Calls, Facts
from callcost.tables import USAGE_COUNTS

# What a table of calls may say of them: what is published, further terms that rates depend on, and every count.
COLUMNS = {
    **Calls.types,
    **{name: Facts.types[name] for name in ("data_residency", "inference_geo", "speed")},
    **dict.fromkeys(USAGE_COUNTS, Calls.prompt_tokens.dtype),
}
_LAID = COLUMNS | {name: Facts.types[name] for name in ("key", "key_kind", "record_digest")}
_MADE = r"^x-(.+)-\d+$"  # a call_id of a call without its own: the digest of its record


def copy_key() -> pl.Expr:
    """Return the ``copy_key`` of facts with their keys; of calls that were published, it stays."""
    differs = pl.col("price_status").is_null() & (pl.col("key") != _usual_key())
    return pl.when(differs).then("key").otherwise("copy_key").alias("copy_key")


def full_key() -> pl.Expr:
    """Return what copies of a published call share, as the ``key`` of facts has it."""
    return pl.coalesce("copy_key", _usual_key())


def _usual_key() -> pl.Expr:
    families = {reader.dialect.name: reader.dialect.family for reader in field_readers()}
    family, digest = pl.col("source_format").replace(families), pl.col("call_id").str.extract(_MADE)
    by_id = pl.concat_str(pl.lit("by id "), family, pl.lit(" "), "call_id")
    by_bytes = pl.concat_str(pl.lit("by bytes "), family, pl.lit(" "), digest)
    return pl.when(digest.is_null()).then(by_id).otherwise(by_bytes)


def keyed_calls(calls: pl.DataFrame) -> pl.DataFrame:
    """Return published calls with the ``key`` and the ``key_kind`` that their facts had.

    Args:
        calls: columns of Calls, as far as there were any when they were published.
    """
    known = calls.select(pl.col(name).cast(kind) for name, kind in Calls.types.items() if name in calls.columns)
    known = known if "copy_key" in known.columns else known.with_columns(copy_key=pl.lit(None, pl.String))
    fine = pl.any_horizontal((pl.col("started_at", "ended_at").dt.microsecond() != 0).fill_null(value=False))
    kind = pl.when(pl.col("key").str.starts_with("by id ")).then(pl.lit("id")).when(fine).then(pl.lit("bytes"))
    return known.with_columns(key=full_key()).with_columns(key_kind=kind.otherwise(pl.lit("none")))


def facts_of_published(calls: pl.DataFrame, number: int, piece: int) -> pl.DataFrame:
    """Lay out published calls as facts that come priced.

    Args:
        calls: columns of Calls, as far as there were any when they were published.
        number: number of the input that they are of from now on.
        piece: number of the piece that they are of from now on.
    """
    known, digest = keyed_calls(calls), pl.col("call_id").str.extract(_MADE)
    counts = [pl.col(name).alias(f"line_{name}") for name in USAGE_COUNTS if name in known.columns]
    laid = known.with_columns(
        *counts,
        pl.coalesce(digest, pl.concat_str(pl.lit("published "), "call_id")).alias("record_digest"),
        pl.col("model").alias("line_model"),
        pl.col("billed_units").alias("line_units"),
        pl.lit(0).alias("line"), pl.lit(1).alias("lines"),
        pl.lit(number).alias("input"), pl.lit(piece).alias("piece"),
        pl.int_range(1, pl.len() + 1).alias("record") * 2**20,
    )  # fmt: skip
    return widen_facts(laid.with_columns(bucket_of(pl.col("key")).alias("bucket")))


def priced_lines(calls: pl.DataFrame, inputs: Mapping[str, int]) -> pl.DataFrame:
    """Lay out published calls as facts that come settled and priced, with a line for each run that a call states.

    Args:
        calls: columns of COLUMNS, as far as there are any; with keys (published_copies.py), copies are still to be
            settled.
        inputs: name of an input -> its number.
    """
    known = calls.select(pl.col(name).cast(kind) for name, kind in _LAID.items() if name in calls.columns)
    runs = pl.col("iterations") if "iterations" in known.columns else pl.lit(None, Calls.types["iterations"])
    number = pl.col("source_file").replace_strict(inputs, default=-1, return_dtype=pl.Int64) if inputs else pl.lit(-1)
    made = known.select(
        number.cast(pl.Int64).alias("input"),
        (pl.int_range(1, pl.len() + 1) * 2**20).alias("record"),
        *([] if "key" in calls.columns else [pl.int_range(pl.len()).cast(pl.String).alias("key")]),
    )
    numbered = known.with_columns(
        runs.alias("iterations"),
        *_cut_like(known, made),
        pl.lit(0, pl.Int64).alias("piece"),
        pl.lit(0, pl.Int64).alias("bucket"),
    )
    is_single = pl.col("iterations").is_null()
    if numbered["iterations"].null_count() == numbered.height:  # as most are: a filter would copy every column
        return _lines_of_single(numbered)
    return pl.concat([_lines_of_single(numbered.filter(is_single)), _lines_of_runs(numbered.filter(~is_single))])


def _cut_like(frame: pl.DataFrame, columns: pl.DataFrame) -> list[pl.Series]:
    """Return columns in chunks as long as those of a frame, which Polars would else copy whole to make them so."""
    ends = list(accumulate(map(len, frame.to_series(0).get_chunks())))
    cuts = list(zip([0, *ends], ends, strict=False))
    return [pl.concat([column[start:end] for start, end in cuts], rechunk=False) for column in columns] if cuts else []


def _lines_of_single(calls: pl.DataFrame) -> pl.DataFrame:
    counts = [pl.col(name).alias(f"line_{name}") for name in USAGE_COUNTS if name in calls.columns]
    return widen_facts(calls.with_columns(
        pl.lit(0, pl.Int64).alias("line"), pl.lit(1, pl.Int64).alias("lines"), pl.col("model").alias("line_model"),
        pl.col("billed_units").alias("line_units"), *counts,
    ))  # fmt: skip


def _lines_of_runs(calls: pl.DataFrame) -> pl.DataFrame:
    lines = calls.with_columns(
        pl.col("iterations").list.len().cast(pl.Int64).alias("lines"),
        pl.int_ranges(pl.col("iterations").list.len().cast(pl.Int64)).alias("line"),
    ).explode("iterations", "line")
    fields = Calls.types["iterations"].inner.fields  # type: ignore[attr-defined]
    found = [(field.name, pl.col("iterations").struct.field(field.name)) for field in fields]
    counted = {name: f"line_{name}" for name, _ in found if name == "model" or name.endswith("_tokens")}
    own = [value.alias(counted.get(name, name)) for name, value in found]
    nothing = pl.lit(None, Calls.types["iterations"]).alias("iterations")
    return widen_facts(lines.with_columns(own).with_columns(nothing))
