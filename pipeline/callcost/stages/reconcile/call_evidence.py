"""What single calls can tell about a difference: who was near midnight, who is there twice, what runs were hidden.

Charges of the run lie in files and are only read as far as a question needs. All figures come out as vectors: class of
tokens -> quantity and cost, in the cells that the bill has.
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
from callcost.stages.reconcile.cells import EXACT, NOTHING, Fold, Part, Place, quantized
from callcost.stages.tables.facts import UID

Vector = dict[str | None, tuple[Decimal, Decimal]]  # class -> quantity, cost
_PRICED_BY = (
    "day", "paid", "model", "unit", "token_class", "provider", "requested", "region", "service_tier",
    "data_residency", "inference_geo", "speed", "batch", "price_version", "rate",
)  # fmt: skip
_SHIFTS = tuple(half * DAY // 48 for half in range(-28, 29) if half)  # time zones: half hours up to 14


class Evidence:
    """Questions about the charges of a run.

    Args:
        paths: files with the columns of ``charges.charge_classes``.
        fx: what a dollar bought.
        without: UID of calls that are settled already.
    """

    def __init__(self, paths: Sequence[Path], fx: Rates, without: pl.DataFrame | None = None) -> None:
        self._paths, self._fx, self._without = list(paths), fx, without
        self._copies: dict[Place, Vector] | None = None

    def _scan(self) -> pl.LazyFrame:
        charges = pl.scan_parquet(self._paths)
        if self._without is None or self._without.is_empty():
            return charges
        return charges.join(self._without.lazy().select(UID), on=UID, how="anti")

    def parts(self) -> list[Part]:
        """Return our charges per day, model, unit and terms."""
        if not self._paths:
            return []
        rows = (
            self._scan()
            .with_columns(day=_day(0))
            .group_by(_PRICED_BY)
            .agg(
                pl.col("quantity").sum(), pl.col("cost").sum(), priced=pl.col("cost").is_not_null().all(),
                prompt=pl.col("prompt").max(), moment=pl.col("started_at").min().dt.epoch("us"),
            )
            .collect()
        )  # fmt: skip
        return [part_of(row, self._fx) for row in rows.sort(rows.columns, nulls_last=True).iter_rows(named=True)]

    def names(self) -> list[tuple[str, str]]:
        """Return the (provider, model) pairs of the logs."""
        if not self._paths:
            return []
        pairs = self._scan().select("paid", "model").drop_nulls().unique().collect()
        return sorted(pairs.iter_rows())

    def _money(self, cost: Decimal | None, day: int | None) -> Decimal:
        return _converted(cost, self._fx.at(day))

    # --- Calls near midnight ------------------------------------------------------------------------------------------

    def near(self, fold: Fold, place: Place, day: int, *, late: bool) -> list[Vector]:
        """Return the calls of a model on a day, those nearest to its end (``late``) or beginning first."""
        rows = self._of_day(day).filter(pl.col("paid") == place.provider).collect()
        rows = rows.sort("at", *UID, "unit", descending=[late, False, False, False])
        calls: dict[tuple[int, int], Vector] = {}
        for piece, record, model, token_class, quantity, cost in rows.select(
            *UID, "model", "token_class", "quantity", "cost"
        ).iter_rows():
            found = fold.place(day, place.provider, model, token_class)
            if found.model == place.model:
                add_to(calls.setdefault((piece, record), {}), found.token_class, quantity, self._money(cost, day))
        return list(calls.values())

    def _of_day(self, day: int) -> pl.LazyFrame:
        return self._scan().filter(_day(0) == day)

    def shifted(self, fold: Fold, provider: str) -> dict[int, dict[Place, tuple[Decimal, Decimal]]]:
        """Return our quantities and costs per cell under each time zone that the days may have been cut in."""
        table = self._scan().filter(pl.col("paid") == provider)
        slots = (
            table.with_columns(slot=pl.col("at").dt.epoch("us") // (DAY // 48) * (DAY // 48))
            .group_by("slot", "model", "token_class")
            .agg(pl.col("quantity").sum(), pl.col("cost").sum())
            .collect()
        )
        found: dict[int, dict[Place, tuple[Decimal, Decimal]]] = {}
        for shift in _SHIFTS:
            cells: dict[Place, tuple[Decimal, Decimal]] = {}
            for slot, model, token_class, quantity, cost in slots.iter_rows():
                day = None if slot is None else (slot + shift) // DAY * DAY
                place = fold.place(day, provider, model, token_class)
                held = cells.get(place, (NOTHING, NOTHING))
                cells[place] = (held[0] + quantity, held[1] + self._money(cost, day))
            found[shift] = cells
        return found

    # --- Copies and hidden runs ---------------------------------------------------------------------------------------

    def copies(self, fold: Fold) -> dict[Place, Vector]:
        """Return per (day, model) what calls hold that are in the logs a second time under another name.

        A copy has the provider's response id of another call, or its moment to the microsecond, model and counts.
        """
        if self._copies is None:
            self._copies = self._vectors(self._copied(), fold) if self._paths else {}
        return self._copies

    def _copied(self) -> pl.LazyFrame:
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
        by_time = calls.filter(
            pl.col("started_at").is_not_null() & (pl.col("started_at").dt.microsecond() != 0),
            pl.int_range(pl.len()).over("started_at", "paid", "signature") > 0,
        )
        twice = pl.concat([by_id, by_time]).select(UID).unique()
        return charges.join(twice, on=UID, how="semi")

    def runs(self, fold: Fold) -> list[dict[Place, Vector]]:
        """Return what further sampling runs of calls hold: first of all but the first run, then of the first."""
        if not self._paths:
            return []
        many = self._scan().filter(pl.col("lines") > 1)
        return [self._vectors(many.filter(chosen), fold) for chosen in (pl.col("line") > 0, pl.col("line") == 0)]

    def calls_of(self, fold: Fold, place: Place, day: int) -> list[Vector]:
        """Return the calls of a model on a day, each as a vector."""
        return self.near(fold, place, day, late=True)

    def _vectors(self, rows: pl.LazyFrame, fold: Fold) -> dict[Place, Vector]:
        summed = (
            rows.with_columns(day=_day(0))
            .group_by("day", "paid", "model", "token_class")
            .agg(pl.col("quantity").sum(), pl.col("cost").sum())
            .collect()
        )
        found: dict[Place, Vector] = defaultdict(dict)
        for day, paid, model, token_class, quantity, cost in summed.iter_rows():
            place = fold.place(day, paid, model, token_class)
            vector = found[place._replace(token_class=None)]
            add_to(vector, place.token_class, quantity, self._money(cost, day))
        return dict(found)


def part_of(row: Mapping[str, Any], fx: Rates) -> Part:
    """Return a row of charges as a part of a cell, in the currency of the bill."""
    terms = Terms(
        tier=row["service_tier"], batch=bool(row["batch"]), prompt_tokens=row["prompt"] or 0, region=row["region"],
        data_residency=row["data_residency"], geo=row["inference_geo"], speed=row["speed"], moment=row["moment"],
    )  # fmt: skip
    rate = fx.at(row["day"])
    return Part(
        day=row["day"], paid=row["paid"], model=row["model"] or "", unit=row["unit"], token_class=row["token_class"],
        quantity=row["quantity"], cost=_converted(row["cost"], rate) if row["priced"] else None, fx=rate,
        provider=row["provider"], requested=row["requested"], terms=terms,
        stated_rates=row.get("stated_rates"),
    )  # fmt: skip


def _converted(cost: Decimal | None, rate: Decimal) -> Decimal:
    return (cost or NOTHING) if rate == 1 else quantized(EXACT.multiply(cost or NOTHING, rate))


def _day(shift: int) -> pl.Expr:
    return (pl.col("at").dt.epoch("us") + shift) // DAY * DAY


def add_to(vector: Vector, token_class: str | None, quantity: Decimal, cost: Decimal) -> None:
    """Add a quantity and a cost to a vector."""
    held = vector.get(token_class, (NOTHING, NOTHING))
    vector[token_class] = (held[0] + quantity, held[1] + cost)


def fits_in(vector: Mapping[str | None, tuple[Decimal, Decimal]], room: Mapping[str | None, Decimal]) -> bool:
    """Say whether every quantity of a vector fits into the room that there is."""
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
