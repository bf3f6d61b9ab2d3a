"""What each charge line costs, class of tokens by class: the priced facts of a report, taken apart as bills are.

Quantities are those of ``token_quantities.py``, rates the cards of ``stages/pricing/rate_cards.py``, so that the
charges of a line add up to what ``stages/pricing/price_facts.py`` says it costs. Who is paid is said in one spelling
for logs and bills.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import polars as pl

from callcost.logs.bills.names import paid_provider
from callcost.models import PROVIDERS, provider_of
from callcost.prices.book.book import Book
from callcost.prices.charges import charge_for, money
from callcost.prices.rates import BATCH_FORMATS
from callcost.prices.units import unit_of
from callcost.stages.pricing.billed_units import extras_of, names_per_row
from callcost.stages.pricing.rate_cards import Dealt, deal_cards
from callcost.stages.pricing.token_quantities import quantities
from callcost.stages.tables.facts import MONEY, UID

# How prices/units.py cuts a usage, and how bills do: reasoning is part of the output, as everybody bills it.
CLASSES = {
    "text_input": "input", "audio_input": "audio_input", "image_input": "image_input", "video_input": "video_input",
    "cache_read": "cache_read", "cache_read_audio": "cache_read", "cache_read_image": "cache_read",
    "cache_write_5m": "cache_write_5m", "cache_write_1h": "cache_write_1h", "text_output": "output",
    "reasoning": "output", "audio_output": "audio_output", "image_output": "image_output",
    "video_output": "video_output", "cache_write_12h_tokens": "cache_write_1h",
    "cache_write_audio_tokens": "cache_write_5m", "explicit_cache_read_tokens": "cache_read",
}  # fmt: skip
TERMS = ("region", "service_tier", "data_residency", "inference_geo", "speed")
_CARRIED = (
    *UID, "line", "lines", "call_id", "provider_response_id", "started_at", "provider", "status", "usage_source",
    "price_version", *TERMS,
)  # fmt: skip


def charge_classes(facts: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Take priced facts apart into charges.

    Args:
        facts: columns of FACT_COLUMNS, settled and priced; hits of a gateway's cache are left out, nobody bills them.
        book: that priced them.

    Returns:
        One row per charge line and unit: lineage, terms, ``at`` (when the provider counts it), ``paid`` (provider),
        ``model``, ``requested``, ``stated_rates``, ``batch``, ``prompt``, ``unit``, ``token_class``, ``quantity``,
        ``rate`` and ``cost`` (null: unpriced).
    """
    facts = facts.filter(pl.col("status") != "cache_hit")
    extras = extras_of(facts)
    cards = _deal(facts, extras, book)
    of_call = pl.col("line_model") == pl.col("model")
    rows = facts.select(
        *_CARRIED,
        at=pl.coalesce("ended_at", "started_at"),
        model=pl.col("line_model"),
        requested=pl.when(of_call).then("model_requested"),
        stated_rates=pl.when(of_call).then("stated_rates"),
        batch=pl.any_horizontal(pl.col("source_format").str.ends_with(end) for end in BATCH_FORMATS),
        prompt=pl.col("line_prompt_tokens").fill_null(0),
        unpriced=pl.col("total_cost").is_null(),
    )
    rows = rows.hstack([_paid(rows, book)])
    charged = [*_token_charges(facts, rows, cards), _extra_charges(rows, extras, cards)]
    return pl.concat(charged).drop("unpriced")


class _Cards(NamedTuple):
    """Which card each row has.

    Attributes:
        of_rows: its number.
        dealt: the cards by number; None: the model is unknown.
    """

    of_rows: pl.Series
    dealt: Sequence[Dealt]


def _deal(facts: pl.DataFrame, extras: pl.DataFrame, book: Book) -> _Cards:
    deal = deal_cards(facts, names_per_row(extras, facts.height), book)
    numbers = pl.int_range(len(deal.cards.values), dtype=pl.UInt32, eager=True)
    return _Cards(deal.cards.to_rows(numbers, facts.height), deal.cards.values)


def _paid(rows: pl.DataFrame, book: Book) -> pl.Series:
    """Return who is paid for each row: the provider that the log states, else whose price the model has."""
    pairs = rows.select("provider", "model").unique(maintain_order=True)
    paid = [_who(book, provider, model or "") for provider, model in pairs.iter_rows()]
    known = pairs.with_columns(pl.Series("paid", paid, dtype=pl.String))
    return rows.select("provider", "model").join(
        known, on=["provider", "model"], how="left", nulls_equal=True, maintain_order="left"
    )["paid"]


def _who(book: Book, provider: str | None, model: str) -> str:
    stated = provider_of(provider, model)
    if stated in PROVIDERS:
        return paid_provider(stated)
    tariff = book.resolve(model, provider).tariff
    return paid_provider(tariff.provider if tariff and tariff.provider else stated) or "unknown"


def _token_charges(facts: pl.DataFrame, rows: pl.DataFrame, cards: _Cards) -> list[pl.DataFrame]:
    return [_of_unit(rows, unit, held, cards) for unit, held in quantities(facts).items()]


def _of_unit(rows: pl.DataFrame, unit: str, held: pl.Series, cards: _Cards) -> pl.DataFrame:
    lines = [pair[0].line(unit) if pair else None for pair in cards.dealt]
    spared = [pair is not None and unit in pair[1].replaced for pair in cards.dealt]
    scaled = [line.scaled if line and not free else 0 for line, free in zip(lines, spared, strict=True)]
    lacking = [line is None and not free for line, free in zip(lines, spared, strict=True)]
    rates = pl.Series("unit rate", scaled, dtype=pl.Int128).gather(cards.of_rows)
    missing = pl.Series("missing", lacking, dtype=pl.Boolean).gather(cards.of_rows)
    priced = ~pl.col("missing") & ~pl.col("unpriced")
    cost = (pl.col("held").cast(pl.Int128) * pl.col("unit rate")).reinterpret(dtype=MONEY)
    return (
        rows.hstack([held.alias("held"), rates, missing])
        .filter(pl.col("held") > 0)
        .select(
            *rows.columns,
            unit=pl.lit(unit),
            token_class=pl.lit(CLASSES[unit]),
            quantity=pl.col("held").cast(MONEY),
            rate=pl.when(priced).then(pl.col("unit rate").reinterpret(dtype=MONEY)),
            cost=pl.when(priced).then(cost),
        )
    )


def _extra_charges(rows: pl.DataFrame, extras: pl.DataFrame, cards: _Cards) -> pl.DataFrame:
    """Charge what rows state beside tokens, each distinct (card, unit, quantity) once."""
    table = extras.with_columns(card=cards.of_rows.gather(extras["row"]))
    distinct = table.select("card", "unit", "quantity").unique(maintain_order=True)
    charged = [_charged(cards, *row) for row in distinct.iter_rows()]
    known = distinct.with_columns(
        pl.Series("cost", [cost for _, cost in charged], dtype=MONEY),
        pl.Series("kept", [kept for kept, _ in charged], dtype=pl.Boolean),
        pl.Series("token_class", [class_of_unit(name) for name in distinct["unit"]], dtype=pl.String),
    )
    table = table.join(known, on=["card", "unit", "quantity"], maintain_order="left").filter("kept")
    carried = rows[table["row"]]
    return carried.hstack(table.select("unit", "token_class", "quantity", "cost")).select(
        *rows.columns, "unit", "token_class", "quantity", pl.lit(None, dtype=MONEY).alias("rate"),
        pl.when(~pl.col("unpriced")).then("cost").alias("cost"),
    )  # fmt: skip


def _charged(cards: _Cards, card: int, unit: str, quantity: Decimal) -> tuple[bool, Any]:
    pair = cards.dealt[card]
    if pair is None:
        return True, None
    line = pair[0].line(unit)
    return unit in pair[1].charged, money(charge_for(quantity, line)) if line else None


def class_of_unit(unit: str) -> str:
    """Return the class under which bills have a unit: its name without size and kind."""
    found = unit_of(unit)
    name = found[0].name if found else unit
    return CLASSES.get(name, name)
