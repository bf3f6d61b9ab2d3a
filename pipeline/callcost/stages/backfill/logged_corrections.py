"""Costs that LiteLLM and Langfuse hold otherwise than we compute them, and what puts ours there.

LiteLLM has no call for it (BerriAI/litellm#31835): it is a statement on its table LiteLLM_SpendLogs, whose key is
``request_id``. Langfuse takes a ``generation-update`` with ``costDetails``, in US dollars, over its ingestion API
(https://api.reference.langfuse.com/#tag/ingestion). How to apply either is in docs/repair.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

import polars as pl

from callcost.prices.charges import plain
from callcost.settings import CORRECTION_FORMATS
from callcost.stages.tables.facts import read_tables
from callcost.stages.tables.schemas import Dollars, Schema, Switch, Text

_SOURCES = dict(zip(CORRECTION_FORMATS, (("litellm_spend", "litellm_standard"), ("langfuse",)), strict=True))
_NOISE = 10**9  # a logged cost within a billionth of ours is ours: it went through a float
_BATCH = 500  # events of a request to Langfuse, which takes 3.5 MB
_READ = (
    "call_id", "source_format", "model", "started_at", "logged_cost", "input_cost", "output_cost", "other_cost",
    "total_cost", "cache_read_cost", "cache_write_cost", "reasoning_cost", "cache_savings_cost", "long_context_cost",
    "price_status", "price_reason", "price_basis", "usage_source",
)  # fmt: skip


class Corrections(Schema):
    """A call whose logged cost is not what we compute."""

    call_id = Text("of the record")
    source_format = Text("the dialect that read it")
    model = Text("that answered")
    logged_cost = Dollars("as it stands there")
    total_cost = Dollars("as we compute it; null: unpriced")
    difference = Dollars("total_cost - logged_cost")
    reason = Text("why they differ, as far as the call's own parts tell")
    price_status = Text("priced | free | unpriced | partly_priced")
    applied = Switch("whether the statement changes it: our price is whole, of reported usage, and its id is unique")


def correction_documents(
    formats: Sequence[str], paths: Sequence[str], manifest: dict[str, Any], *, write: Callable[[pl.DataFrame], bytes]
) -> dict[str, bytes]:
    """Return what corrects logged costs, as far as it is asked for: name of a file -> content.

    Args:
        formats: of the report.
        paths: tables of its calls.
        manifest: record of the run; how many calls are listed and corrected is added to it.
        write: writes a table as CSV.
    """
    files: dict[str, bytes] = {}
    for kind in (kind for kind in CORRECTION_FORMATS if kind in formats):
        parts = [_of_source(read_tables([path]), _SOURCES[kind]) for path in paths]
        calls = pl.concat(parts, how="vertical") if parts else pl.DataFrame(schema=dict.fromkeys(_READ, pl.String))
        table = find_corrections(calls)
        applied = table.filter("applied")
        manifest.setdefault("logged_corrections", {})[kind] = {"calls": table.height, "applied": applied.height}
        files[f"{kind}.csv"] = write(table.select(Corrections.names))
        rows = applied.iter_rows(named=True)
        if kind == CORRECTION_FORMATS[0]:
            files[f"{kind}.sql"] = "".join(_statements(rows)).encode()
        else:
            files[f"{kind}.jsonl"] = "".join(_requests(rows, calls["started_at"].max())).encode()  # type: ignore[arg-type]
    return files


def _of_source(calls: pl.DataFrame, sources: Iterable[str]) -> pl.DataFrame:
    return calls.filter(pl.col("source_format").is_in(list(sources))).select(_READ)


def find_corrections(calls: pl.DataFrame) -> pl.DataFrame:
    """Return the calls whose logged cost is another than ours, and why, in the order of their ids.

    Args:
        calls: columns _READ of Calls.

    Returns:
        Columns of Corrections, and the parts of our cost.
    """
    if calls.is_empty():
        return pl.DataFrame(schema={**Corrections.types, "input_cost": pl.Null, "output_cost": pl.Null})
    units = calls.with_columns(pl.col("^.*_cost$").to_physical().name.suffix("_units"))
    differs = ~_agrees(_units("total"))
    is_whole = pl.col("price_status").is_in(["priced", "free"]) & (pl.col("usage_source") == "reported")
    found = units.with_columns(
        difference=pl.col("total_cost") - pl.col("logged_cost"), reason=_reason(),
        applied=is_whole.fill_null(value=False) & pl.col("call_id").is_unique() & pl.col("call_id").is_not_null(),
    )  # fmt: skip
    return found.filter(pl.col("logged_cost").is_not_null(), differs).sort("call_id", "source_format", nulls_last=True)


def _units(part: str) -> pl.Expr:
    """Return a cost in units of 10**-18 dollars; a part that is not stated is none."""
    return pl.col(f"{part}_cost_units").fill_null(0)


def _agrees(cost: pl.Expr) -> pl.Expr:
    """Return whether the logged cost is a cost, exactly or but for the noise of a float."""
    return ((_units("logged") - cost).abs() <= cost.abs() // _NOISE) & pl.col("total_cost").is_not_null()


def _reason() -> pl.Expr:
    """Return why a logged cost differs: the first hypothesis that gives exactly what was logged."""
    total, logged = _units("total"), _units("logged")
    caches = _units("cache_read") + _units("cache_write")
    parts = [
        ("cached tokens at the rate of plain input", total + _units("cache_savings")),
        ("reads from a cache left out", total - _units("cache_read")),
        ("writes to a cache left out", total - _units("cache_write")),
        ("caches left out", total - caches),
        ("reasoning left out", total - _units("reasoning")),
        ("tools and fees left out", total - _units("other")),
        ("the rate of a short prompt", total - _units("long_context")),
        ("output alone", _units("output")),
        ("input alone", _units("input")),
        ("no discount of a batch or tier", 2 * total),
        ("half of the price", total // 2),
        *((f"{10**power:,} times too much", total * 10**power) for power in (1, 2, 3, 6)),
        *((f"{10**power:,} times too little", total // 10**power) for power in (1, 2, 3, 6)),
    ]
    status, reason = pl.col("price_status"), pl.col("price_reason")
    return pl.coalesce(
        pl.when(pl.col("total_cost").is_null()).then(pl.concat_str(pl.lit("unpriced: "), reason)),
        pl.when(status == "partly_priced").then(pl.concat_str(pl.lit("partly priced: "), reason)),
        pl.when(logged == 0).then(pl.lit("logged as free")),
        *(pl.when((cost != total) & (cost != 0) & _agrees(cost)).then(pl.lit(words)) for words, cost in parts),
        pl.when(pl.col("price_basis") == "corrected").then(pl.lit("the cost map of that day was wrong")),
        pl.lit("another price"),
    )


def _statements(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what LiteLLM's PostgreSQL takes; a row that says something else by then is left as it is."""
    yield "-- Costs by callcost: see docs/repair.md before you run it.\nBEGIN;\n"
    for row in rows:
        if not row["call_id"].isprintable():
            continue
        quoted = row["call_id"].replace("'", "''")
        where = f"request_id = '{quoted}' AND spend = {plain(row['logged_cost'])}::double precision"
        yield f'UPDATE "LiteLLM_SpendLogs" SET spend = {plain(row["total_cost"])} WHERE {where};\n'  # noqa: S608
    yield "COMMIT;\n"


def _requests(rows: Iterable[Mapping[str, Any]], newest: datetime | None) -> Iterator[str]:
    """Yield bodies of Langfuse's POST /api/public/ingestion, one a line; the later event of an observation holds."""
    moment = ((newest or datetime(2000, 1, 1)) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")  # noqa: DTZ001
    events = []
    for row in rows:
        parts = [f'"{name}":{plain(row[f"{name}_cost"])}' for name in ("input", "output", "total")
                 if row[f"{name}_cost"] is not None]  # fmt: skip
        event = blake2b(f"{row['call_id']} {plain(row['total_cost'])}".encode(), digest_size=16).hexdigest()
        head = json.dumps({"id": event, "type": "generation-update", "timestamp": moment})[:-1]
        body = f'"body":{{"id":{json.dumps(row["call_id"])},"costDetails":{{{",".join(parts)}}}}}'
        events.append(f"{head},{body}}}")
    for first in range(0, len(events), _BATCH):
        yield '{"batch":[' + ",".join(events[first : first + _BATCH]) + "]}\n"
