"""What single calls can tell about a difference: who was near midnight, who is there twice, what runs were hidden.

Charges of the run lie in files and are only read as far as a question needs. All figures come out as vectors: class of
tokens -> quantity and cost, in the cells that the bill has. Vectors stand under the key of a day, provider and model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from callcost.logs.bills.labels import OUTPUT, TOKEN_CLASSES
from callcost.logs.bills.lines import DAY
from callcost.prices.rates import Terms
from callcost.stages.pricing.exchange_rates import ExchangeRates
from callcost.stages.reconcile.cells import NOTHING, CellKey, Part, Share, Vector
from callcost.stages.reconcile.grain import BillGrain
from callcost.stages.tables.facts import UID

_TERMS = (
    "day", "paid", "model", "unit", "token_class", "provider", "requested", "region", "service_tier",
    "data_residency", "inference_geo", "speed", "batch", "price_version", "rate",
)  # fmt: skip
_CHANCE = 1 / 100  # pairs of one second that so many calls of these counts have by chance, in the log's time
# Columns of calls that say who made them.
_OWNERS = frozenset(("user", "end_user", "team", "project", "api_key", "org"))
_MOST_OWNERS = 50  # of one kind that are looked at
_SLOT = DAY // 48  # time zones differ by half hours
SHIFTS = tuple(half * _SLOT for half in range(-28, 29) if half)  # up to 14 hours


class OwnerDays:
    """Tokens of each owner by half hours, to be cut into days of any zone.

    Args:
        rows: columns ``owner`` ("": all together), ``slot``, ``model`` (as the bill has it), ``answer``, ``quantity``.
    """

    def __init__(self, rows: pl.DataFrame) -> None:
        self._rows = rows

    def cut(self, shift: int) -> dict[str, set[tuple[int | None, str | None, Decimal, Decimal]]]:
        """Return owner -> day, model, prompt and answer tokens, with days that begin so many microseconds earlier."""
        found: dict[str, set[tuple[int | None, str | None, Decimal, Decimal]]] = defaultdict(set)
        days = self._rows.group_by("owner", (pl.col("slot") + shift) // DAY * DAY, "model").agg(
            prompts=pl.col("quantity").filter(~pl.col("answer")).sum(),
            answers=pl.col("quantity").filter("answer").sum(),
        )  # fmt: skip
        for owner, *day in days.iter_rows():
            found[owner].add(tuple(day))
        return found


class Evidence:
    """Questions about the charges of a run.

    Args:
        paths: files with the columns of ``charge_lines.charge_classes``.
        fx: what a US dollar bought of the bill's currency.
        without: columns ``piece`` and ``record`` of calls that are explained already.
        calls: files with one row per call, which state who made it.
    """

    def __init__(
        self, paths: Sequence[Path], fx: ExchangeRates, without: pl.DataFrame | None = None, calls: Sequence[Path] = ()
    ) -> None:  # fmt: skip
        self._paths, self._fx, self._without, self._calls = list(paths), fx, without, list(calls)
        self._copied: pl.DataFrame | None = None
        self.odds = ""  # of the copies that were found by their time alone
        self.shifts: dict[str, int] = {}  # provider -> microseconds by which the bill's days begin earlier

    def _scan(self, paths: Sequence[Path] = (), *, shifted: bool = False) -> pl.LazyFrame:
        charges = pl.scan_parquet(list(paths) or self._paths).with_columns(day=day_of_time("at"))
        if shifted and self.shifts:
            shift = pl.col("paid").replace_strict(self.shifts, default=0, return_dtype=pl.Int64)
            charges = charges.with_columns(day=(pl.col("at").dt.epoch("us") + shift) // DAY * DAY)
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

    def by_owner(self, grain: BillGrain, *, copies: bool = False) -> dict[CellKey, Vector]:
        """Return key of a cell -> owner -> quantity and cost, of ``copies`` alone; charges have a column ``owner``."""
        found: dict[CellKey, Vector] = {}
        if not self._paths:
            return found
        rows = self._scan(shifted=copies)
        if copies:
            rows = rows.join(self.copied().lazy(), on=UID, how="semi")
        sums = rows.group_by("day", "paid", "model", "token_class", "owner").agg(pl.col("quantity", "cost").sum())
        for row in sums.collect().iter_rows(named=True):
            self._add(found, grain.key(row["day"], row["paid"], row["model"], row["token_class"]), row["owner"], row)
        return found

    def owner_costs(self, grain: BillGrain, provider: str) -> dict[CellKey, dict[str, Share]]:
        """Return key of a cell -> owner ("user=ann") -> its kind and what its calls cost; of each kind the largest."""
        found: dict[CellKey, dict[str, Share]] = defaultdict(dict)
        if not self._paths:
            return found
        about = ("day", "paid", "model", "token_class")
        rows = self._scan().filter(pl.col("paid") == provider).drop("owner", strict=False)
        rows = rows.group_by(*UID, *about).agg(pl.col("cost").sum())
        for _, owners in self._owners():
            sums = rows.join(owners, on=UID).group_by("owner", *about).agg(pl.col("cost").sum()).collect()
            largest = sums.group_by("owner").agg(pl.col("cost").sum()).sort("cost", "owner").tail(_MOST_OWNERS)
            for row in sums.join(largest, on="owner", how="semi").sort("owner", *about).iter_rows(named=True):
                key = grain.key(row["day"], row["paid"], row["model"], row["token_class"])
                known = found[key].get(row["owner"], Share(row["owner"].rpartition("=")[0], NOTHING))
                cost = self._fx.convert(row["cost"] or NOTHING, row["day"])
                found[key][row["owner"]] = known._replace(part=known.part + cost)
        return found

    def owners_of(self, stated: Iterable[str]) -> dict[str, str | None]:
        """Return what calls state ("user=ann") -> their ``owner``, where all have one; charges have that column."""
        wanted = sorted(stated)
        found: dict[str, str | None] = {}
        for _, calls in self._owners() if wanted and self._paths else ():
            alike = calls.filter(pl.col("owner").is_in(wanted)).rename({"owner": "stated"})
            owners = self._scan().select(*UID, "owner").unique().join(alike, on=UID)
            owners = owners.group_by("stated").agg(pl.col("owner").first(), owners=pl.col("owner").n_unique())
            found |= dict(owners.filter(pl.col("owners") == 1).select("stated", "owner").collect().iter_rows())
        return found

    # --- Calls near midnight ------------------------------------------------------------------------------------------

    def calls_by_time(self, grain: BillGrain, key: CellKey, *, late: bool) -> list[Vector]:
        """Return the calls of a model on a day (undated: none), nearest to its end (``late``) or beginning first."""
        rows = self._scan(shifted=True)
        rows = rows.filter(pl.col("day") == pl.lit(key.day, dtype=pl.Int64), pl.col("paid") == key.provider)
        rows = rows.select("at", *UID, "unit", "day", "model", "token_class", "quantity", "cost")
        rows = rows.sort("at", *UID, "unit", descending=[late, False, False, False])
        calls: dict[tuple[int, int], Vector] = {}
        for row in rows.collect().iter_rows(named=True):
            found = grain.key(key.day, key.provider, row["model"], row["token_class"])
            if found.model == key.model:
                self._add(calls, (row["piece"], row["record"]), found.token_class, row)
        return list(calls.values())

    def by_time_zone(
        self, grain: BillGrain, provider: str, shifts: Iterable[int]
    ) -> dict[int, dict[CellKey, Vector]]:  # fmt: skip
        """Return shift in microseconds -> our figures, with days that begin so much earlier."""
        rows = self._scan().filter(pl.col("paid") == provider)
        rows = rows.with_columns(slot=pl.col("at").dt.epoch("us") // _SLOT * _SLOT)
        slots = _sums(rows, "slot")
        cut = {shift: slots.with_columns(day=(pl.col("slot") + shift) // DAY * DAY) for shift in shifts}
        return {shift: self._in_cells(table, grain) for shift, table in cut.items()}

    def owner_days(self, grain: BillGrain, provider: str) -> dict[bool, OwnerDays]:
        """Return tokens of each owner, copies in (True) or left out (False); where there are none, True alone."""
        if not self._paths:
            return {}
        tokens = pl.col("token_class").is_in(sorted(TOKEN_CLASSES))
        rows = self._scan().filter(pl.col("paid") == provider, tokens).drop("owner", strict=False)  # by all they state
        rows = rows.with_columns(
            slot=pl.col("at").dt.epoch("us") // _SLOT * _SLOT, answer=pl.col("token_class") == OUTPUT
        )
        found = {True: self._owner_days(rows, grain, provider)}
        copied = self.copied()
        if not copied.filter(pl.col("paid") == provider).is_empty():
            found[False] = self._owner_days(rows.join(copied.lazy(), on=UID, how="anti"), grain, provider)
        return found

    def _owner_days(self, rows: pl.LazyFrame, grain: BillGrain, provider: str) -> OwnerDays:
        about = ("slot", "model", "answer")
        whole = rows.group_by(about).agg(pl.col("quantity").sum()).with_columns(owner=pl.lit(""))
        frames = [whole]
        frames += [
            rows.join(owners, on=UID).group_by("owner", *about).agg(pl.col("quantity").sum())
            for _, owners in self._owners()
        ]
        table = pl.concat(frames, how="diagonal").collect()
        labels = {name: grain.key(None, provider, name, OUTPUT).model for name in table["model"].unique()}
        return OwnerDays(table.with_columns(pl.col("model").replace_strict(labels, return_dtype=pl.String)))

    def _owners(self) -> Iterator[tuple[str, pl.LazyFrame]]:
        """Yield name, and ``piece``, ``record``, ``owner`` ("user=ann") of the calls, for each thing they state."""
        calls = pl.scan_parquet(self._calls) if self._calls else pl.LazyFrame()
        names = calls.collect_schema().names()
        for name in [name for name in names if name in _OWNERS]:
            yield name, calls.select(*UID, owner=pl.lit(f"{name}=") + pl.col(name)).drop_nulls("owner")
        if "tags" in names:
            pairs = pl.concat_str(pl.col("tags").struct.field("key", "value"), separator="=")
            tags = calls.select(*UID, "tags").explode("tags").drop_nulls("tags")
            yield "tags", tags.select(*UID, owner=pairs).drop_nulls("owner")

    # --- Copies and hidden runs ---------------------------------------------------------------------------------------

    def copies(self, grain: BillGrain) -> dict[CellKey, Vector]:
        """Return what calls hold that are in the logs a second time under another name.

        A copy has the provider's response id of another call, or its moment, model and counts: to the microsecond, or
        to the second where a pair of such calls is unlikely by chance.
        """
        if not self._paths:
            return {}
        copies = self._scan(shifted=True).join(self.copied().lazy(), on=UID, how="semi")
        return self._in_cells(_sums(copies, "day"), grain)

    def copied(self) -> pl.DataFrame:
        """Return ``piece``, ``record`` and ``paid`` of the calls that are copies; say how likely they are by chance."""
        if self._copied is None:
            found = self._find_copies().collect()
            by_time = found.filter(pl.col("chance").is_not_null())
            if not by_time.is_empty():
                chance = by_time["chance"].sum()
                self.odds = f": {by_time.height:,} of one second and equal counts, {chance:.1g} by chance"
            self._copied = found.select(*UID, "paid").unique()
        return self._copied

    def _may_be_copies(self) -> pl.DataFrame:
        """Return ``piece``, ``record`` of calls of as many tokens as one that may be a copy, and ``seconds`` of all.

        They are few, so that only these are looked at unit by unit.
        """
        stated = pl.col("provider_response_id")
        response = pl.when(stated.is_not_null()).then(stated.hash())
        calls = [  # file by file, as each call is in one: all charges together would be several times as large
            self._scan([path]).with_columns(response=response).group_by(UID)
            .agg(pl.col("started_at", "paid", "response").first(), tokens=pl.col("quantity").sum()).collect()
            for path in self._paths
        ]  # fmt: skip
        times, same_id = pl.col("started_at").dt.epoch("s"), pl.col("response")
        found = pl.concat(calls).with_columns(seconds=times.max() - times.min() + 1)
        twice = pl.struct("started_at", "paid", "tokens").hash().is_duplicated() | (
            same_id.is_not_null() & same_id.is_duplicated()
        )
        like = found.join(found.filter(twice), on=["paid", "tokens"], how="semi", nulls_equal=True)
        return like.select(*UID, "seconds")

    def _find_copies(self) -> pl.LazyFrame:
        calls = (
            self._scan()
            .join(self._may_be_copies().lazy(), on=UID)
            .group_by(UID)
            .agg(
                pl.col("provider_response_id", "started_at", "paid", "call_id", "seconds").first(),
                signature=pl.concat_str("model", "unit", pl.col("quantity").cast(pl.String)).sort().str.join(" "),
            )
            .sort("call_id", *UID)
        )
        users = next((owners for name, owners in self._owners() if name == "user"), None)
        if users is None:
            calls = calls.with_columns(owner=pl.lit(None, pl.String))
        else:
            calls = calls.join(users, on=UID, how="left", maintain_order="left")
        by_id = calls.filter(
            pl.col("provider_response_id").is_not_null(),
            pl.int_range(pl.len()).over("provider_response_id", "signature") > 0,
        )
        alike, fine = pl.len().over("paid", "signature"), pl.col("started_at").dt.microsecond() != 0
        calls = calls.with_columns(  # pairs of one second by chance
            chance=alike * (alike - 1) / pl.col("seconds") / 2, fine=fine, owner=pl.when(~fine).then("owner")
        )
        by_time = calls.filter(
            pl.col("fine") | (pl.col("chance") < _CHANCE),
            pl.int_range(pl.len()).over("started_at", "paid", "signature", "owner") > 0,
        )
        rows = (by_id.with_columns(chance=pl.lit(None, pl.Float64)), by_time.drop("fine"))
        return pl.concat([one.select(*UID, "paid", "chance") for one in rows])

    def aborted(self, grain: BillGrain) -> dict[CellKey, Vector]:
        """Return what calls hold whose answers broke off."""
        return self._in_cells(_sums(self._scan(shifted=True).filter("aborted"), "day"), grain) if self._paths else {}

    def aborted_prompts(self, grain: BillGrain) -> dict[CellKey, Decimal]:
        """Return how many prompt tokens they may have had at the most: each as many as any other call of its model."""
        if not self._paths:
            return {}
        calls = self._scan(shifted=True).group_by("paid", "model", "aborted", "day").agg(
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
        many = self._scan(shifted=True).filter(pl.col("lines") > 1)
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


def part_of(row: Mapping[str, Any], fx: ExchangeRates) -> Part:
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
