"""What single calls can tell about a difference: who was near midnight, who is there twice, what runs were hidden.

Charges of the run lie in files and are only read as far as a question needs. All figures come out as vectors: class of
tokens -> quantity and cost, in the cells that the bill has. Vectors stand under the key of a day, provider and model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from callcost.logs.bills.lines import DAY
from callcost.prices.rates import Terms
from callcost.stages.reconcile.bill_tables import Rates
from callcost.stages.reconcile.cells import NOTHING, CellKey, Part, Vector
from callcost.stages.reconcile.grain import BillGrain
from callcost.stages.tables.facts import UID

_TERMS = (
    "day", "paid", "model", "unit", "token_class", "provider", "requested", "region", "service_tier",
    "data_residency", "inference_geo", "speed", "batch", "price_version", "rate",
)  # fmt: skip
_CHANCE = 2 / 100  # twice the pairs of one second that so many calls of these counts have by chance, in the log's time
_SLOT = DAY // 48  # time zones differ by half hours
_SHIFTS = tuple(half * _SLOT for half in range(-28, 29) if half)  # up to 14 hours


class Evidence:
    """Questions about the charges of a run.

    Args:
        paths: files with the columns of ``charge_lines.charge_classes``.
        fx: what a US dollar bought of the bill's currency.
        without: columns ``piece`` and ``record`` of calls that are explained already.
    """

    def __init__(self, paths: Sequence[Path], fx: Rates, without: pl.DataFrame | None = None) -> None:
        self._paths, self._fx, self._without = list(paths), fx, without

    def _scan(self) -> pl.LazyFrame:
        charges = pl.scan_parquet(self._paths).with_columns(day=day_of_time("at"))
        if self._without is None or self._without.is_empty():
            return charges
        return charges.join(self._without.lazy(), on=UID, how="anti")

    def parts(self) -> list[Part]:
        """Return our charges per day, model, unit and terms."""
        if not self._paths:
            return []
        rows = (
            self._scan()
            .group_by(_TERMS)
            .agg(
                pl.col("quantity").sum(), pl.col("cost").sum(), priced=pl.col("cost").is_not_null().all(),
                prompt=pl.col("prompt").max(), moment=pl.col("started_at").min().dt.epoch("us"),
            )
            .collect()
        )  # fmt: skip
        return [part_of(row, self._fx) for row in rows.sort(rows.columns, nulls_last=True).iter_rows(named=True)]

    def by_owner(self, grain: BillGrain) -> dict[CellKey, Vector]:
        """Return key of a cell -> owner -> quantity and cost; charges have a column ``owner``."""
        found: dict[CellKey, Vector] = {}
        if not self._paths:
            return found
        rows = self._scan().group_by("day", "paid", "model", "token_class", "owner")
        for row in rows.agg(pl.col("quantity", "cost").sum()).collect().iter_rows(named=True):
            self._add(found, grain.key(row["day"], row["paid"], row["model"], row["token_class"]), row["owner"], row)
        return found

    # --- Calls near midnight ------------------------------------------------------------------------------------------

    def calls_by_time(self, grain: BillGrain, key: CellKey, *, late: bool) -> list[Vector]:
        """Return the calls of a model on a day (undated: none), nearest to its end (``late``) or beginning first."""
        rows = self._scan().filter(pl.col("day") == pl.lit(key.day, dtype=pl.Int64), pl.col("paid") == key.provider)
        rows = rows.select("at", *UID, "unit", "day", "model", "token_class", "quantity", "cost")
        rows = rows.sort("at", *UID, "unit", descending=[late, False, False, False])
        calls: dict[tuple[int, int], Vector] = {}
        for row in rows.collect().iter_rows(named=True):
            found = grain.key(key.day, key.provider, row["model"], row["token_class"])
            if found.model == key.model:
                self._add(calls, (row["piece"], row["record"]), found.token_class, row)
        return list(calls.values())

    def by_time_zone(self, grain: BillGrain, provider: str) -> dict[int, dict[CellKey, Vector]]:
        """Return shift in microseconds -> our figures, for each time zone in which days may have been cut."""
        rows = self._scan().filter(pl.col("paid") == provider)
        rows = rows.with_columns(slot=pl.col("at").dt.epoch("us") // _SLOT * _SLOT)
        slots = _sums(rows, "slot")
        cut = {shift: slots.with_columns(day=(pl.col("slot") + shift) // DAY * DAY) for shift in _SHIFTS}
        return {shift: self._in_cells(table, grain) for shift, table in cut.items()}

    # --- Copies and hidden runs ---------------------------------------------------------------------------------------

    def copies(self, grain: BillGrain) -> dict[CellKey, Vector]:
        """Return what calls hold that are in the logs a second time under another name.

        A copy has the provider's response id of another call, or its moment, model and counts: to the microsecond, or
        to the second where a pair of such calls is unlikely by chance.
        """
        return self._in_cells(_sums(self._copies(), "day"), grain) if self._paths else {}

    def _copies(self) -> pl.LazyFrame:
        charges = self._scan()
        calls = (
            charges.group_by(UID)
            .agg(
                pl.col("provider_response_id", "started_at", "paid", "call_id").first(),
                signature=pl.concat_str("model", "unit", pl.col("quantity").cast(pl.String)).sort().str.join(" "),
            )
            .sort("call_id", *UID)
        )
        by_id = calls.filter(
            pl.col("provider_response_id").is_not_null(),
            pl.int_range(pl.len()).over("provider_response_id", "signature") > 0,
        )
        seconds = (pl.col("started_at").max() - pl.col("started_at").min()).dt.total_seconds() + 1
        alike = pl.len().over("paid", "signature")
        by_time = calls.filter(  # in a log of whole seconds calls of one moment may be alike by chance
            (pl.col("started_at").dt.microsecond() != 0) | (alike * (alike - 1) < seconds * _CHANCE),
            pl.int_range(pl.len()).over("started_at", "paid", "signature") > 0,
        )
        return charges.join(pl.concat([by_id, by_time]), on=UID, how="semi")

    def aborted(self, grain: BillGrain) -> dict[CellKey, Vector]:
        """Return what calls hold whose answers broke off."""
        return self._in_cells(_sums(self._scan().filter("aborted"), "day"), grain) if self._paths else {}

    def aborted_prompts(self, grain: BillGrain) -> dict[CellKey, Decimal]:
        """Return how many prompt tokens they may have had at the most: each as many as any other call of its model."""
        if not self._paths:
            return {}
        calls = self._scan().group_by("paid", "model", "aborted", "day").agg(
            pl.struct(UID).n_unique().alias("calls"), pl.col("prompt").max()
        )  # fmt: skip
        found: dict[CellKey, Decimal] = defaultdict(Decimal)
        largest = calls.filter(~pl.col("aborted")).group_by("paid", "model").agg(pl.col("prompt").max())
        broken = calls.filter("aborted").drop("prompt").join(largest, on=["paid", "model"]).collect()
        for row in broken.iter_rows(named=True):
            key = grain.key(row["day"], row["paid"], row["model"], None)
            found[key._replace(token_class=None)] += Decimal(row["calls"] * row["prompt"])
        return found

    def runs(self, grain: BillGrain) -> list[dict[CellKey, Vector]]:
        """Return what further sampling runs of calls hold: first of all but the first run, then of the first."""
        if not self._paths:
            return []
        many = self._scan().filter(pl.col("lines") > 1)
        chosen = (pl.col("line") > 0, pl.col("line") == 0)
        return [self._in_cells(_sums(many.filter(lines), "day"), grain) for lines in chosen]

    def _in_cells(self, rows: pl.DataFrame, grain: BillGrain) -> dict[CellKey, Vector]:
        found: dict[CellKey, Vector] = {}
        for row in rows.iter_rows(named=True):
            key = grain.key(row["day"], row["paid"], row["model"], row["token_class"])
            self._add(found, key._replace(token_class=None), key.token_class, row)
        return found

    def _add(self, vectors: dict[Any, Vector], key: Any, token_class: str | None, row: Mapping[str, Any]) -> None:
        cost = self._fx.convert(row["cost"] or NOTHING, row["day"])
        add_to(vectors.setdefault(key, {}), token_class, row["quantity"], cost)


def day_of_time(name: str) -> pl.Expr:
    """Return the beginning of a time column's UTC day in microseconds since 1970."""
    return pl.col(name).dt.epoch("us") // DAY * DAY


def _sums(rows: pl.LazyFrame, day: str) -> pl.DataFrame:
    return rows.group_by(day, "paid", "model", "token_class").agg(pl.col("quantity", "cost").sum()).collect()


def part_of(row: Mapping[str, Any], fx: Rates) -> Part:
    """Return a row of charges as a part of a cell, in the currency of the bill."""
    terms = Terms(
        tier=row["service_tier"], batch=bool(row["batch"]), prompt_tokens=row["prompt"] or 0, region=row["region"],
        data_residency=row["data_residency"], geo=row["inference_geo"], speed=row["speed"], moment=row["moment"],
    )  # fmt: skip
    return Part(
        day=row["day"], paid=row["paid"], model=row["model"] or "", unit=row["unit"], token_class=row["token_class"],
        quantity=row["quantity"], cost=fx.convert(row["cost"] or NOTHING, row["day"]) if row["priced"] else None,
        fx=fx.at(row["day"]), provider=row["provider"], requested=row["requested"], terms=terms,
        stated_rates=row.get("stated_rates"), line=row.get("line", 0), aborted=row.get("aborted", False),
    )  # fmt: skip


def add_to(vector: Vector, token_class: str | None, quantity: Decimal, cost: Decimal) -> None:
    """Add a quantity and a cost to a vector."""
    known = vector.get(token_class, (NOTHING, NOTHING))
    vector[token_class] = (known[0] + quantity, known[1] + cost)


def fits_in(vector: Vector, room: Mapping[str | None, Decimal]) -> bool:
    """Tell whether every quantity of a vector fits into the room that there is."""
    return all(quantity <= room.get(name, NOTHING) for name, (quantity, _) in vector.items() if quantity)


def first_prefix(vectors: Iterable[Vector], fits: Callable[[Vector], bool]) -> Vector | None:
    """Return the sum of the first so many vectors that fits; None: no sum does."""
    total: Vector = {}
    for vector in vectors:
        for name, (quantity, cost) in vector.items():
            add_to(total, name, quantity, cost)
        if fits(total):
            return total
    return None
