"""The batch reader of prices: a table of facts becomes a priced table of facts.

Rates are settled once per distinct model, moment and terms by the same ``Book`` that the scalar reader asks
(``stages/cards.py``). What is done per row is expressions: the formulas of ``prices/units.py`` give the quantities, and
their product with the rates is exact, in whole numbers of 10**-18 dollars. What makes a row priced, partly priced, free
or unpriced are the rules of ``prices/charges.py``; what is billed beside tokens is charged by ``stages/extras.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from operator import add

import polars as pl

from pipeline.prices import charges
from pipeline.prices.book import Book
from pipeline.prices.units import COUNTS_READ, QUANTITIES, TOKEN_UNITS
from pipeline.stages.cards import MISSING, RATE, WEAK, Deal, deal_cards
from pipeline.stages.extras import add_extras, extras_of, names_per_row
from pipeline.tables import MONEY_SCALE

MONEY = pl.Decimal(38, MONEY_SCALE)
_COUNT = {"input": "line_prompt_tokens", "output": "line_completion_tokens"}
_NOTHING = pl.lit(0, dtype=pl.Int128)
_FALSE = pl.lit(value=False)


def price_facts(facts: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Fill the price and cost columns of facts.

    Args:
        facts: columns of FACT_COLUMNS; each row is charged for what its line_ columns say.
        book: opened with the options of the run.

    Returns:
        The same rows in the same order.
    """
    if facts.is_empty():
        return facts
    extras = extras_of(facts)
    deal = deal_cards(facts, names_per_row(extras, facts.height), book)
    rows = add_extras(_token_charges(facts, deal), extras, deal)
    return facts.with_columns(_settled(facts, rows, deal))


# --- Tokens -----------------------------------------------------------------------------------------------------------


def _less(left: pl.Expr, right: pl.Expr) -> pl.Expr:
    return (left - right).clip(lower_bound=0)


_OPERATIONS: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {"less": _less, "least": pl.min_horizontal, "add": add}


def _quantities(facts: pl.DataFrame) -> pl.DataFrame:
    """Return a column for each token unit of which any row holds some."""
    stated = [name for name in COUNTS_READ if _largest(facts[f"line_{name}"]) > 0]
    rows = facts.select(pl.col(f"line_{name}").fill_null(0).alias(name) for name in stated)
    same = {name: name for name in stated}  # what a name stands for: a column; what is not there is 0 in every row
    for name, operation, left, right in QUANTITIES:
        one, other = same.get(left), same.get(right)
        if one and other:
            rows = rows.with_columns(_OPERATIONS[operation](pl.col(one), pl.col(other)).alias(f"{name} of all"))
            same[name] = f"{name} of all"
        elif operation != "least" and (one or (other and operation == "add")):
            same[name] = one or other or ""
    return rows.select(pl.col(same[unit]).alias(unit) for unit in TOKEN_UNITS if unit in same)


def _largest(counts: pl.Series) -> int:
    most = counts.max()
    return most if isinstance(most, int) else 0


def _token_charges(facts: pl.DataFrame, deal: Deal) -> pl.DataFrame:
    """Return what the tokens of each side cost, and whether any has a rate, any has none, any has a weak one."""
    rows = _quantities(facts)
    live = [unit for unit in TOKEN_UNITS if unit in rows.columns]
    missing, weak = ([unit for unit in live if deal.any(kind, unit)] for kind in (MISSING, WEAK))
    flags = [*(MISSING.format(unit) for unit in missing), *(WEAK.format(unit) for unit in weak)]
    rows = facts.select(_COUNT.values()).hstack(rows)
    rows = rows.hstack(deal.dealt([*(RATE.format(unit) for unit in live), *flags]))
    columns = [_any(_held(unit) & pl.col(WEAK.format(unit)) for unit in weak).alias("weak")]
    for side, count in _COUNT.items():
        own = [unit for unit in live if TOKEN_UNITS[unit].side == side]
        lacking = [unit for unit in own if unit in missing]
        columns += [
            _sum(pl.col(unit).cast(pl.Int128) * pl.col(RATE.format(unit)) for unit in own).alias(f"{side} cost"),
            (pl.col(count).fill_null(0) > 0).alias(f"{side} held"),
            _any(_held(unit) & pl.col(MISSING.format(unit)) for unit in lacking).alias(f"{side} missing"),
            _any(_held(unit) & ~pl.col(MISSING.format(unit)) if unit in lacking else _held(unit) for unit in own).alias(
                f"{side} priced"
            ),
        ]
    none = [_NOTHING.alias("other cost"), *(_FALSE.alias(f"other {flag}") for flag in ("held", "missing", "priced"))]
    return rows.select(*columns, *none)


def _held(unit: str) -> pl.Expr:
    return pl.col(unit) > 0


def _any(flags: Iterable[pl.Expr]) -> pl.Expr:
    listed = list(flags)
    return reduce(pl.Expr.or_, listed) if listed else _FALSE


def _sum(products: Iterable[pl.Expr]) -> pl.Expr:
    listed = list(products)
    return reduce(add, listed) if listed else _NOTHING


# --- What is said of a row --------------------------------------------------------------------------------------------

# The first that holds decides; numbered, so that a row holds a number and the words are dealt at the end.
_VERDICTS = (
    ("free", charges.CACHE_HIT),
    ("free", charges.FAILED_CALL),
    ("unpriced", charges.NO_USAGE),
    ("unpriced", charges.UNKNOWN_MODEL),
    ("unpriced", charges.NO_RATE),
    ("partly_priced", charges.MISSING_RATE),
    ("partly_priced", charges.TIMED_OUT),
    ("partly_priced", charges.HALF_USAGE),
    ("partly_priced", charges.RATE_FALLBACK),
    ("free", charges.FREE_MODEL),
    ("priced", None),
)
_EXEMPT = 2  # verdicts before this one leave the costs at 0
_UNPRICED = 5  # verdicts before this one, and from _EXEMPT on, leave no cost


def _settled(facts: pl.DataFrame, rows: pl.DataFrame, deal: Deal) -> pl.DataFrame:
    """Return the price and cost columns."""
    said = ["unpriced", "free card", "lacks input", "lacks output"]
    rows = rows.hstack(deal.dealt(said)).hstack(
        facts.select("status", "usage_source", *_COUNT.values())
    )
    rows = rows.with_columns(_verdict().alias("verdict"))
    words = pl.DataFrame(_VERDICTS, schema=["price_status", "price_reason"], orient="row")[rows["verdict"]]
    unpriced = pl.col("verdict").is_between(_EXEMPT, _UNPRICED - 1)
    exempt = pl.col("verdict") < _EXEMPT
    kept = rows.select(kept=~(unpriced | exempt))["kept"]
    places = deal.dealt(["price_rung", "price_basis", "price_version"])
    if not kept.all():
        places = places.with_columns(pl.when(kept).then(pl.col("price_basis", "price_version")))
    costs = rows.select(
        *(
            pl.when(exempt & (side != "other")).then(_NOTHING)
            .when(~unpriced & ~exempt & ~_unstated(side)).then(pl.col(f"{side} cost"))
            .reinterpret(dtype=MONEY).alias(f"{side}_cost")
            for side in charges.SIDES
        ),
        total_cost=pl.when(exempt).then(_NOTHING).when(~unpriced).then(_total()).reinterpret(dtype=MONEY),
    )  # fmt: skip
    return words.hstack(places).hstack(costs)


def _total() -> pl.Expr:
    return _sum(pl.col(f"{side} cost") for side in charges.SIDES)


def _over_sides(flag: str) -> pl.Expr:
    return _any(pl.col(f"{side} {flag}") for side in charges.SIDES)


def _unstated(side: str) -> pl.Expr:
    """Say whether nothing of a side is stated, or nothing of what is stated has a rate."""
    nothing = pl.col(_COUNT[side]).is_null() if side in _COUNT else pl.lit(value=True)
    held = pl.col(f"{side} held")
    return (held & ~pl.col(f"{side} priced")) | (~held & nothing)


def _verdict() -> pl.Expr:
    prompt, completion = (pl.col(count) for count in _COUNT.values())
    no_usage = prompt.is_null() & completion.is_null() & ~pl.col("extras")
    half = ~pl.col("extras") & (
        (prompt.is_null() & completion.is_not_null() & pl.col("lacks input"))
        | (completion.is_null() & prompt.is_not_null() & pl.col("lacks output"))
    )
    missing = _over_sides("missing")
    conditions = (
        pl.col("status") == "cache_hit",
        (pl.col("status") == "failure") & no_usage,
        no_usage | (pl.col("usage_source") == "absent"),
        pl.col("unpriced") == charges.UNKNOWN_MODEL,
        (pl.col("unpriced") == charges.NO_RATE) | (missing & ~_over_sides("priced")),
        missing,
        pl.col("usage_source") == charges.TIMED_OUT,
        half,
        pl.col("weak"),
        (_total() == 0) & (_over_sides("held") | pl.col("free card")),
    )
    verdict = pl.lit(len(_VERDICTS) - 1, dtype=pl.UInt8)
    for number, condition in reversed(list(enumerate(conditions))):
        verdict = pl.when(condition).then(pl.lit(number, dtype=pl.UInt8)).otherwise(verdict)
    return verdict
