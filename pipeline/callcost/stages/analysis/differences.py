"""Two sets of calls compared: what each group cost more or less, split exactly into the reasons.

The cost of a group is calls x how they spread over models and tiers x tokens a call x rates. One after the other, each
of these takes the value of the second set, in the order of STEPS, and what the cost moves by is its part: volume (how
many charge lines, of which a call has one but for iterations), mix (models, tiers, and the share of the prompt that
caches hold), size (tokens a call, and what a call pays beside tokens), price (what a token cost on average, by model,
tier and class). What the first set knows nothing of takes the second one's value, so that a new model is mix and never
price. Steps are rounded to 18 digits and parts are differences of steps, so that they add up to the last digit in any
grouping. A group of one set alone is new or gone.
"""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction
from typing import Any

import polars as pl

from callcost.stages.tables.published_calls import priced_lines
from callcost.stages.tables.schemas import Comparison
from callcost.tables import LAST_PLACE

STEPS = ("volume", "mix", "size", "price")  # in the order in which they are put in the place of the first set's
SIDES = {"prompt": ("input", "cache_read", "cache_write"), "completion": ("output",), "beside": ("other",)}
_CELL = ("line_model", "service_tier")
_TOKENS = ("prompt", "completion", "cache_read_input", "cache_creation_input")
COLUMNS = (  # of calls, that are compared, beside those of the groups
    "model", "service_tier", "price_status", "billed_units", "iterations", "input_cost", "output_cost", "total_cost",
    "cache_read_cost", "cache_write_cost", *(f"{name}_tokens" for name in _TOKENS),
)  # fmt: skip
_EXACT = Context(prec=80)
_NONE = Fraction(0)


@dataclasses.dataclass(slots=True)
class Cell:
    """Charge lines of one model and tier in a group.

    Attributes:
        lines: how many there are.
        amounts: class -> tokens; of "other" the cost itself, in dollars.
        costs: class -> dollars.
    """

    lines: int = 0
    amounts: dict[str, Fraction] = dataclasses.field(default_factory=dict)
    costs: dict[str, Fraction] = dataclasses.field(default_factory=dict)

    def size(self, side: str) -> Fraction:
        """Return how much of a side a line has."""
        return sum((self.amounts[name] for name in SIDES[side]), _NONE) / self.lines

    def share(self, name: str, side: str) -> Fraction | None:
        """Return the share of a class in its side; None: there is nothing of the side."""
        whole = sum((self.amounts[each] for each in SIDES[side]), _NONE)
        return self.amounts[name] / whole if whole else None

    def rate(self, name: str) -> Fraction | None:
        """Return what one of a class cost; None: there is none."""
        return self.costs[name] / self.amounts[name] if self.amounts[name] else None


Group = dict[tuple[Any, ...], Cell]
Groups = Mapping[str, pl.Expr]


def compare_calls(first: pl.DataFrame, second: pl.DataFrame, groups: Groups) -> pl.DataFrame:
    """Split the difference between two sets of calls, group by group.

    Args:
        first: columns of Calls; only what has a cost is split, the others are counted.
        second: the same.
        groups: name -> expression over calls, of each column of the groups.

    Returns:
        Columns of the groups and Comparison, what moved most first.
    """
    lines = [priced_lines(calls, {}).with_columns(model=pl.col("line_model")) for calls in (first, second)]
    tables = [_grouped(each, groups) for each in lines]
    counts = [_counted(calls, each, groups) for calls, each in zip((first, second), lines, strict=True)]
    rows = []
    for key in {**counts[0], **counts[1]}:
        a, b = (table.get(key, {}) for table in tables)
        costs = [_decimal(_cost(cells)) for cells in (a, b)]
        parts = split_difference(a, b)
        numbers = [count.get(key, (0, 0)) for count in counts]
        rows.append(
            (*key, numbers[0][0], numbers[1][0], *costs, costs[1] - costs[0], *parts.values(), *(n[1] for n in numbers))
        )
    by = list(groups)
    kinds = pl.concat([calls.clear().select(**groups) for calls in (first, second)]).schema
    table = pl.DataFrame(rows, schema={**kinds, **Comparison.types}, orient="row")
    return table.sort(pl.col("difference_cost").abs(), *by, descending=[True, *[False] * len(by)], nulls_last=True)


def split_difference(first: Group, second: Group) -> dict[str, Decimal]:
    """Return what each reason adds to the cost of a group; the parts add up to the difference exactly."""
    parts = dict.fromkeys((*STEPS, "new", "gone"), Decimal(0))
    if not first or not second:
        parts["new" if second else "gone"] = _decimal(_cost(second)) - _decimal(_cost(first))
        return parts
    before = _decimal(_cost(first))
    for number, step in enumerate(STEPS):
        taken = frozenset(STEPS[: number + 1])
        after = _decimal(_cost(second) if step == STEPS[-1] else _mixed_cost(first, second, taken))
        parts[step], before = after - before, after
    return parts


def _mixed_cost(first: Group, second: Group, taken: frozenset[str]) -> Fraction:
    """Return what a group would cost if some of what makes its cost were as in the second set."""
    lines = sum(cell.lines for cell in (second if "volume" in taken else first).values())
    spread = second if "mix" in taken else first
    whole = sum(cell.lines for cell in spread.values())
    cost = _NONE
    for key, cell in spread.items():
        for side, names in SIDES.items():
            pair = [group[key] for group in (first, second) if key in group]
            size = pair[-1 if "size" in taken else 0].size(side)
            for name in names:
                mix, rate = (_of_pair(pair, which in taken, value) for which, value in _values_of(name, side))
                cost += Fraction(lines * cell.lines, whole) * size * (mix or _NONE) * (rate or _NONE)
    return cost


def _values_of(name: str, side: str) -> Iterable[tuple[str, Any]]:
    return ("mix", lambda cell: cell.share(name, side)), ("price", lambda cell: cell.rate(name))


def _of_pair(pair: list[Cell], second: bool, value: Any) -> Fraction | None:
    """Return a value of the second or the first of two cells; where that has none, the other's."""
    found = [value(cell) for cell in (reversed(pair) if second else pair)]
    return next((each for each in found if each is not None), None)


def _cost(cells: Mapping[Any, Cell]) -> Fraction:
    return sum((cost for cell in cells.values() for cost in cell.costs.values()), _NONE)


def _decimal(amount: Fraction) -> Decimal:
    quotient = _EXACT.divide(Decimal(amount.numerator), Decimal(amount.denominator))
    return quotient.quantize(LAST_PLACE, ROUND_HALF_EVEN, context=_EXACT)


def _grouped(lines: pl.DataFrame, groups: Groups) -> dict[tuple[Any, ...], Group]:
    """Return group -> cell of its priced lines."""
    read, written, whole = (
        pl.col(f"line_{name}_tokens").fill_null(0) for name in ("cache_read_input", "cache_creation_input", "prompt")
    )
    known = [pl.col(name).fill_null(0) for name in ("cache_read_cost", "cache_write_cost", "input_cost", "output_cost")]
    other = pl.col("total_cost") - known[2] - known[3]
    amounts = {
        "input": (whole - read - written).clip(lower_bound=0), "cache_read": read, "cache_write": written,
        "output": pl.col("line_completion_tokens").fill_null(0), "other": other,
    }  # fmt: skip
    costs = {
        "input": known[2] - known[0] - known[1], "cache_read": known[0], "cache_write": known[1], "output": known[3],
        "other": other,
    }  # fmt: skip
    keys = [group.alias(f"by {n}") for n, group in enumerate(groups.values())]
    sums = lines.filter(pl.col("total_cost").is_not_null()).select(
        *keys, *_CELL, *(value.alias(f"amount {name}") for name, value in amounts.items()),
        *(value.alias(f"cost {name}") for name, value in costs.items()),
    ).group_by(*(f"by {n}" for n in range(len(groups))), *_CELL)  # fmt: skip
    found: dict[tuple[Any, ...], Group] = defaultdict(dict)
    for row in sums.agg(pl.len().alias("lines"), pl.exclude(*_CELL).sum()).iter_rows(named=True):
        key, cell = tuple(row[f"by {n}"] for n in range(len(groups))), tuple(row[name] for name in _CELL)
        found[key][cell] = Cell(
            row["lines"], *({name: Fraction(row[f"{kind} {name}"]) for name in costs} for kind in ("amount", "cost"))
        )
        _settle_unmeasured(found[key][cell])
    return found


def _settle_unmeasured(cell: Cell) -> None:
    """Count a cost of what has no tokens among what a call pays beside tokens."""
    for name in ("input", "cache_read", "cache_write", "output"):
        if not cell.amounts[name] and cell.costs[name]:
            for table in (cell.amounts, cell.costs):
                table["other"] += cell.costs[name]
            cell.costs[name] = _NONE


def _counted(
    calls: pl.DataFrame, lines: pl.DataFrame, groups: Groups
) -> dict[tuple[Any, ...], tuple[int, int]]:
    """Return group -> its calls, and those of them without a price; a model that only a line has counts none."""
    unpriced = pl.col("price_status") == "unpriced"
    keys = [group.alias(f"by {n}") for n, group in enumerate(groups.values())]
    heads = calls.select(*keys, lines=pl.lit(1), unpriced=unpriced)
    others = lines.select(*keys, lines=pl.lit(0), unpriced=pl.lit(value=False))
    names = [f"by {n}" for n in range(len(groups))]
    sums = pl.concat([heads, others], how="vertical_relaxed").group_by(names)
    counted = sums.agg(pl.col("lines").sum().cast(pl.Int64), pl.col("unpriced").sum().cast(pl.Int64))
    return {tuple(key): (calls, missing) for *key, calls, missing in counted.iter_rows()}
