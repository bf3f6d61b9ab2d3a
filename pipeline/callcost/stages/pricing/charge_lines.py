"""What each charge line costs, class of tokens by class: the priced facts of a report, taken apart as bills are.

Quantities are those of ``charged_units.py``, rates the cards of ``stages/pricing/rate_cards.py``, so that the
charges of a line add up to what ``stages/pricing/price_facts.py`` says it costs. Who is paid is said in one spelling
for logs and bills.
"""

from __future__ import annotations

import polars as pl

from callcost.logs.bills.names import paid_provider
from callcost.models import PROVIDERS, provider_of
from callcost.prices.book.book import Book
from callcost.prices.rates import BATCH_FORMATS
from callcost.prices.units import unit_of
from callcost.stages.pricing.charged_units import charge_extras, extras_of, names_per_row, quantities
from callcost.stages.pricing.rate_cards import RowCards, find_cards
from callcost.stages.tables.facts import UID
from callcost.stages.tables.schemas import MONEY
from callcost.tables import ABORTED

# How prices/units.py cuts a usage, and how bills do: reasoning is part of the output, as everybody bills it.
CLASSES = {
    "text_input": "input", "audio_input": "audio_input", "image_input": "image_input", "video_input": "video_input",
    "cache_read": "cache_read", "cache_read_audio": "cache_read", "cache_read_image": "cache_read",
    "cache_read_video": "cache_read",
    "cache_write_5m": "cache_write_5m", "cache_write_1h": "cache_write_1h", "text_output": "output",
    "reasoning": "output", "audio_output": "audio_output", "image_output": "image_output",
    "video_output": "video_output", "cache_write_12h_tokens": "cache_write_1h",
    "cache_write_audio_tokens": "cache_write_5m", "explicit_cache_read_tokens": "cache_read",
}  # fmt: skip
_OF_ABORTED = "text_output"
TERMS = ("region", "service_tier", "data_residency", "inference_geo", "speed")
_CARRIED = (
    *UID, "line", "lines", "call_id", "provider_response_id", "started_at", "provider", "status", "usage_source",
    "price_version", *TERMS,
)  # fmt: skip


def charge_classes(facts: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Take priced facts apart into charges.

    Args:
        facts: columns of Facts, settled and priced; hits of a gateway's cache are left out, nobody bills them.
        book: that priced them.

    Returns:
        One row per charge line and unit: lineage, terms, ``at`` (when the provider counts it), ``paid`` (provider),
        ``model``, ``requested``, ``stated_rates``, ``batch``, ``prompt``, ``aborted``, ``unit``, ``token_class``,
        ``quantity``, ``rate`` and ``cost`` (null: unpriced). An answer that broke off has one of its output in any
        case, be it of 0 tokens.
    """
    facts = facts.filter(pl.col("status") != "cache_hit")
    extras = extras_of(facts)
    cards = find_cards(facts, names_per_row(extras, facts.height), book)
    rows = charge_rows(facts, book)
    charges = [_charges_of(rows, unit, held, cards) for unit, held in quantities(facts).items()]
    return pl.concat([*charges, _extra_charges(rows, extras, cards)]).drop("unpriced")


def charge_rows(facts: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Return what the charges of each line share: see charge_classes.

    Args:
        facts: columns of Facts, settled and priced, of lines that are billed.
        book: that priced them.
    """
    of_call = pl.col("line_model") == pl.col("model")
    rows = facts.select(
        *_CARRIED,
        at=pl.coalesce("ended_at", "started_at"),
        model=pl.col("line_model"),
        requested=pl.when(of_call).then("model_requested"),
        stated_rates=pl.when(of_call).then("stated_rates"),
        batch=pl.any_horizontal(pl.col("source_format").str.ends_with(end) for end in BATCH_FORMATS),
        prompt=pl.col("line_prompt_tokens").fill_null(0),
        aborted=pl.col("flags").list.contains(ABORTED).fill_null(value=False),
        unpriced=pl.col("total_cost").is_null(),
    )
    return rows.hstack([_paid(rows, book)])


def _paid(rows: pl.DataFrame, book: Book) -> pl.Series:
    """Return who is paid for each row: the provider that the name or the log states, else whose price the model has."""
    pairs = rows.select("provider", "model").unique(maintain_order=True)
    paid = [_who(book, provider, model or "") for provider, model in pairs.iter_rows()]
    known = pairs.with_columns(pl.Series("paid", paid, dtype=pl.String))
    return rows.select("provider", "model").join(
        known, on=["provider", "model"], how="left", nulls_equal=True, maintain_order="left"
    )["paid"]


def _who(book: Book, provider: str | None, model: str) -> str:
    stated, found = provider_of(provider, model), book.resolve(model, provider)
    if found.key and found.named:
        return paid_provider(found.named)
    if stated in PROVIDERS:
        return paid_provider(stated)
    return paid_provider(found.tariff.provider if found.tariff and found.tariff.provider else stated) or "unknown"


def _charges_of(rows: pl.DataFrame, unit: str, held: pl.Series, cards: RowCards) -> pl.DataFrame:
    prices = cards.prices(unit)
    rates = pl.Series("unit rate", prices.rates, dtype=pl.Int128).gather(cards.numbers)
    missing = pl.Series("missing", prices.missing, dtype=pl.Boolean).gather(cards.numbers)
    priced = ~pl.col("missing") & ~pl.col("unpriced")
    cost = (pl.col("held").cast(pl.Int128) * pl.col("unit rate")).reinterpret(dtype=MONEY)
    return (
        rows.hstack([held.alias("held"), rates, missing])
        .filter((pl.col("held") > 0) | (pl.col("aborted") if unit == _OF_ABORTED else False))
        .select(
            *rows.columns,
            unit=pl.lit(unit),
            token_class=pl.lit(CLASSES[unit]),
            quantity=pl.col("held").cast(MONEY),
            rate=pl.when(priced).then(pl.col("unit rate").reinterpret(dtype=MONEY)),
            cost=pl.when(priced | (pl.col("held") == 0)).then(cost),
        )
    )


def _extra_charges(rows: pl.DataFrame, extras: pl.DataFrame, cards: RowCards) -> pl.DataFrame:
    charges = charge_extras(extras, cards)
    classes = {unit: class_of_unit(unit) for unit in charges["unit"].unique()}
    return rows[charges["row"]].hstack(charges.select("unit", "quantity", "cost", "priced")).select(
        *rows.columns, "unit", pl.col("unit").replace_strict(classes, return_dtype=pl.String).alias("token_class"),
        "quantity", pl.lit(None, dtype=MONEY).alias("rate"),
        pl.when(pl.col("priced") & ~pl.col("unpriced")).then(pl.col("cost").reinterpret(dtype=MONEY)),
    )  # fmt: skip


def class_of_unit(unit: str) -> str:
    """Return the class under which bills have a unit: its name without size and kind."""
    found = unit_of(unit)
    name = found[0].name if found else unit
    return CLASSES.get(name, name)
