"""The batch reader of prices: a table of facts becomes a priced table of facts.

Rates are settled once per distinct model, moment and terms by the same ``Book`` that the scalar reader asks
(``rate_cards.py``); what is done per row is arithmetic on whole columns (``token_quantities.py``), exact, in whole
numbers of 10**-18 dollars. What makes a row priced, partly priced, free or unpriced are the rules of
``prices/charges.py``; what is billed beside tokens is charged by ``billed_units.py``.
"""

from __future__ import annotations

import polars as pl

from callcost.prices import charges
from callcost.prices.book.book import Book
from callcost.prices.units import TOKEN_UNITS
from callcost.stages.pricing.billed_units import COUNTS, Charged, Side, add_extras, extras_of, names_per_row
from callcost.stages.pricing.rate_cards import Deal, deal_cards
from callcost.stages.pricing.token_quantities import exact_costs, quantities
from callcost.stages.tables.masks import Flag, any_of, both, but_not, flag
from callcost.tables import MONEY_SCALE

MONEY = pl.Decimal(38, MONEY_SCALE)

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
_EXEMPT, _UNPRICED = 2, 5  # verdicts below the one leave the costs at 0, the others below the other leave none


def price_facts(facts: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Fill the price and cost columns of facts.

    Args:
        facts: columns of FACT_COLUMNS; each row is charged for what its line_ columns say, unless it comes priced.
        book: opened with the options of the run.

    Returns:
        The same rows in the same order.
    """
    if facts["price_status"].null_count() == facts.height:
        return _priced(facts, book) if facts.height else facts
    placed = facts.with_row_index("place")
    lacking = placed.filter(pl.col("price_status").is_null())
    priced = _priced(lacking.drop("place"), book).with_columns(lacking["place"]) if lacking.height else lacking
    stays = placed.filter(pl.col("price_status").is_not_null())
    return pl.concat([stays, priced.select(stays.columns)]).sort("place").drop("place")


def _priced(facts: pl.DataFrame, book: Book) -> pl.DataFrame:
    extras = extras_of(facts)
    deal = deal_cards(facts, names_per_row(extras, facts.height), book)
    charged = _token_charges(facts, deal)
    add_extras(charged, extras, deal, facts.height)
    verdict = _verdict(facts, charged, deal)
    status, reason = (pl.Series(words)[verdict] for words in zip(*_VERDICTS, strict=True))
    words = [status.alias("price_status"), reason.alias("price_reason")]
    return facts.with_columns(*words, *_sources(deal, verdict), *_costs(facts, charged, verdict))


def _token_charges(facts: pl.DataFrame, deal: Deal) -> Charged:
    columns = quantities(facts)
    prices = {unit: deal.prices(unit) for unit in columns}
    costs = exact_costs(columns, {unit: prices[unit].rates for unit in columns}, deal.cards) if columns else {}
    charged = Charged(total=costs.get("total"))
    for side, count in COUNTS.items():
        own = [unit for unit in columns if TOKEN_UNITS[unit].side == side]
        missing = {unit: _where(columns[unit], prices[unit].missing, deal) for unit in own}
        held, lacking = flag(facts[count] > 0), any_of(*missing.values())
        with_rate = (but_not(flag(columns[unit] > 0), missing[unit]) for unit in own)
        priced = held if lacking is None else any_of(*with_rate)
        charged.sides[side] = Side(cost=costs.get(side), held=held, missing=lacking, priced=priced)
    charged.weak = any_of(*(_where(columns[unit], prices[unit].weak, deal) for unit in columns))
    charged.zeros = any(prices[unit].has_zero for unit in columns)
    return charged


def _where(column: pl.Series, of_cards: list[bool], deal: Deal) -> Flag:
    """Return the rows that hold some of a unit and whose card has a flag."""
    return both(flag(column > 0), deal.flag(of_cards)) if any(of_cards) else None


def _verdict(facts: pl.DataFrame, charged: Charged, deal: Deal) -> pl.Series:
    """Return the number of the verdict on each row."""
    sides = charged.sides.values()
    missing, held = any_of(*(side.missing for side in sides)), any_of(*(side.held for side in sides))
    no_usage = but_not(both(_null(facts, "input"), _null(facts, "output")), charged.extras)
    cache_hit, failure = _holding(facts["status"], "cache_hit", "failure")
    absent, timed_out = _holding(facts["usage_source"], "absent", charges.TIMED_OUT)
    conditions = (
        cache_hit,
        both(failure, no_usage),
        any_of(no_usage, absent),
        deal.unpriced(charges.UNKNOWN_MODEL),
        any_of(deal.unpriced(charges.NO_RATE), but_not(missing, any_of(*(side.priced for side in sides)))),
        missing,
        timed_out,
        _half(facts, charged, deal),
        charged.weak,
        _costs_nothing(charged, held, deal),
    )
    last = len(_VERDICTS) - 1
    verdict = pl.lit(last, dtype=pl.UInt8)
    for number, condition in reversed(list(enumerate(conditions))):
        if condition is not None:
            verdict = pl.when(pl.lit(condition)).then(pl.lit(number, dtype=pl.UInt8)).otherwise(verdict)
    if all(condition is None for condition in conditions):
        return pl.repeat(last, facts.height, dtype=pl.UInt8, eager=True)
    return pl.select(verdict).to_series()


def _holding(column: pl.Series, *words: str) -> list[Flag]:
    """Return the rows that hold each word; in a column of one other word only, looking once is enough."""
    first = column[0]
    if first is not None and first not in words and not column.null_count() and (column == first).all():
        return [None for _ in words]
    return [flag(column == word) for word in words]


def _null(facts: pl.DataFrame, side: str) -> Flag:
    column = facts[COUNTS[side]]
    return column.is_null() if column.null_count() else None


def _half(facts: pl.DataFrame, charged: Charged, deal: Deal) -> Flag:
    """Return the rows that state only one side's tokens, while the other side's cost something."""
    no_input, no_output = _null(facts, "input"), _null(facts, "output")
    unstated = any_of(
        both(but_not(no_input, no_output), _lacking(deal, "input") if no_input is not None else None),
        both(but_not(no_output, no_input), _lacking(deal, "output") if no_output is not None else None),
    )
    return but_not(unstated, charged.extras)


def _lacking(deal: Deal, side: str) -> Flag:
    return deal.flags(lambda card: charges.lacking_rate(card, side) > 0)


def _costs_nothing(charged: Charged, held: Flag, deal: Deal) -> Flag:
    may = any_of(held if charged.zeros else None, deal.flags(lambda card: card.free))
    total = charged.total
    return may if total is None else both(may, flag(total == 0))


def _sources(deal: Deal, verdict: pl.Series) -> list[pl.Series]:
    """Return where each row's price is from; what is exempt or unpriced has none but the rung."""
    rung = deal.say(lambda found: found.rung).alias("price_rung")
    sources = [
        deal.say(lambda found: found.basis).alias("price_basis"),
        deal.say(lambda found: found.version).alias("price_version"),
    ]
    none = flag(verdict < _UNPRICED)
    if none is not None:
        blank = (pl.when(~none).then(pl.lit(column)).alias(column.name) for column in sources)
        sources = pl.select(blank).get_columns()
    return [rung, *sources]


def _costs(facts: pl.DataFrame, charged: Charged, verdict: pl.Series) -> list[pl.Series]:
    exempt = flag(verdict < _EXEMPT)
    unpriced = but_not(flag(verdict < _UNPRICED), exempt)
    columns = []
    for name, side in charged.sides.items():
        unstated = but_not(_null(facts, name), side.held) if name in COUNTS else None
        null = any_of(but_not(side.held, side.priced), unstated, unpriced, exempt)
        if name in COUNTS:
            columns.append(_money(f"{name}_cost", side.cost, null, exempt, facts.height))
        elif side.priced is None:
            columns.append(pl.Series(f"{name}_cost", [None], dtype=MONEY).new_from_index(0, facts.height))
        else:
            columns.append(_money(f"{name}_cost", side.cost, any_of(null, ~side.priced), None, facts.height))
    return [*columns, _money("total_cost", charged.total, any_of(unpriced, exempt), exempt, facts.height)]


def _money(name: str, cost: pl.Series | None, null: Flag, zero: Flag, height: int) -> pl.Series:
    """Return costs as decimals: null where they are unknown, 0 where there are none."""
    if cost is None:
        cost = pl.zeros(height, dtype=pl.Int128, eager=True)
    value = pl.lit(cost)
    if null is not None:
        value = pl.when(~null).then(value)
    if zero is not None:
        value = pl.when(zero).then(pl.lit(0, dtype=pl.Int128)).otherwise(value)
    return pl.select(value.reinterpret(dtype=MONEY).alias(name)).to_series()
