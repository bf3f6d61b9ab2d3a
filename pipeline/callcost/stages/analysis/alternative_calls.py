"""The same calls otherwise: other models, batches, caches, tiers or prices; what each group would have cost.

A call is moved whole or stays at its cost, with the reason. What is not asked to be otherwise keeps its cost to the
last digit. Tokens of another model are counted where the texts are there (target_models.py), else they are those that
the call has times a measured ratio (tokens/token_ratios.py); caches hold the same share of the prompt, and what the
other model does not price apart is plain input.
"""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Mapping, Sequence

import polars as pl

from callcost.prices.abilities import SUPPORTS
from callcost.prices.book.book import Book
from callcost.prices.rates import BATCH_FORMATS, tier_of
from callcost.settings import PriceOptions, WhatIfOptions
from callcost.stages.analysis.target_models import TargetModels
from callcost.stages.pricing.cost_parts import PARTS
from callcost.stages.pricing.price_facts import COSTS, price_facts, sum_stated
from callcost.stages.pricing.rate_cards import book_of
from callcost.stages.tables.facts import UID, widen_facts
from callcost.stages.tables.schemas import Alternatives, Facts
from callcost.tables import SESSION_SUM
from callcost.tokens.token_ratios import SHORT, SIDES

# Why a call stays as it is. What is not here is a reason of prices (prices/charges.py), of those that it would get.
REASONS = {
    "unpriced": "it has no price as it is",
    "partly_priced": "a part of it has no price as it is",
    "priced_otherwise": "its cost is not what these prices give, as with prices of your own or an unlisted surcharge",
    "other_kind": "one of the models chats, and the other does not",
    "no_ratio": "its text is not there, and no token ratio is measured between the two families",
    "media": "its tokens are of sound, pictures or video, and nothing tells what the other model would count",
    "timed_out": "counting its text took too long",
    "prompt_too_long": "the other model takes no prompt that long",
    "answer_too_long": "the other model gives no answer that long",
    "no_tools": "it uses tools, and the other model has none",
    "no_image": "it holds pictures, and the other model takes none",
    "no_audio": "it holds sound, and the other model takes none",
    "no_document": "it holds documents, and the other model takes none",
    "session_sum": "it sums several calls, and nobody knows how long their prompts are",
    "unknown_model": "no cost map lists the other model",
    "no_rate": "the other model has no rate",
    "missing_rate": "a part of what it used has no rate there",
    "rate_fallback": "a part of it, such as its tier or cache, has no rate of its own there",
    "placeholder_rate": "the cost map has only zeros for the other model",
    "suspect_rate": "a source contradicts a rate of the other model",
    "scheduled_change": "a change of a rate is announced, and nobody has confirmed it",
}
# Tokens of a prompt that is cached, where the map has none: https://platform.openai.com/docs/guides/prompt-caching
LEAST_CACHED, _LEAST = 1024, "prompt_cache_min_tokens"
_MILLION = 1_000_000
BATCHES = ("batch", "batches")
_CACHED = ("cache_read_input_tokens", "cache_write_5m_tokens", "cache_write_1h_tokens", "cache_creation_input_tokens")
_READS = tuple(f"cache_read_{kind}_tokens" for kind in ("text", "audio", "image", "video"))
_MEDIA = [f"line_{kind}_{side}_tokens" for kind in ("audio", "image", "video") for side in ("input", "output")]
_AXES = [*_MEDIA, "line_text_input_tokens", "line_text_output_tokens", *(f"line_{name}" for name in _READS)]
_PLACES = ("region", "data_residency", "inference_geo", "speed")  # terms of the provider's own
_PRICES = ("price_status", "price_reason", "price_basis", "price_rung", "price_version", *COSTS, *PARTS)
PRICED = pl.col("price_status").is_in(["priced", "free"])
_TARGETS = {
    "target": pl.String(), "target_provider": pl.String(), "same_provider": pl.Boolean(),
    "longest_prompt": pl.Int64(), "longest_answer": pl.Int64(), "lacks": pl.List(pl.String()),
    "other_kind": pl.Boolean(), "reads_cache": pl.Boolean(), "writes_cache": pl.Boolean(),
    **{f"{side}_{name}": pl.Int64() for side in SIDES for name in ("ratio", "error")},
}  # fmt: skip
_KEY = ["line_model", "provider"]
_FOUND = ("by_text", "by_ratio", "uncertain")  # how the tokens of a line were found
_TOKENS = ("line_prompt_tokens", "line_completion_tokens")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """What is asked to be otherwise, and how it is priced.

    Attributes:
        what: what is otherwise.
        prices: which rates the calls get.
        former: which rates gave the costs that calls came with; None: they came without.
    """

    what: WhatIfOptions
    prices: PriceOptions
    former: PriceOptions | None = None

    @property
    def targets(self) -> TargetModels:
        """Who answers instead."""
        return TargetModels(self.what, book_of(self.prices))


def alternative_spend(
    facts: pl.DataFrame, counts: pl.DataFrame, alternative: Alternative, groups: Mapping[str, pl.Expr]
) -> pl.DataFrame:
    """Sum what calls cost, and what they would cost otherwise.

    Args:
        facts: priced facts.
        counts: columns of COUNTS, of those that move and have their text.
        alternative: what is otherwise.
        groups: name -> expression over calls, of each column of the groups.

    Returns:
        Columns of the groups, ``reason`` (why these calls stay; null: they do not) and Alternatives.
    """
    facts = facts.drop("place", strict=False).with_row_index("place")
    lines = _change(facts, counts, alternative)
    kept = lines.filter(pl.col("changed") & pl.col("reason").is_null())
    fresh = price_again(kept, book_of(alternative.prices))
    found = fresh.select(kept["place"], fresh_cost="total_cost", refused=pl.when(~PRICED).then("price_reason"))
    if alternative.former is not None and kept.height:
        then = facts[kept["place"]]
        before = price_again(then, book_of(alternative.former))["total_cost"]
        differs = pl.lit(before.ne_missing(then["total_cost"]))
        found = found.with_columns(refused=pl.when(differs).then(pl.lit("priced_otherwise")).otherwise("refused"))
    known = lines.select(*UID, "place", "changed", "reason", *_FOUND, *_TOKENS)
    settled = known.join(found, on="place", how="left", maintain_order="left").select(
        pl.coalesce("reason", "refused").drop_nulls().first().over(UID).alias("reason"),
        pl.col("changed").any().over(UID).alias("touched"),
        pl.col("changed", "fresh_cost", *_FOUND),
        fresh_tokens=_tokens(), line_model=facts["line_model"],
    )  # fmt: skip
    return _sum_lines(pl.concat([facts.drop("line_model"), settled], how="horizontal"), groups)


def price_again(facts: pl.DataFrame, book: Book) -> pl.DataFrame:
    """Price facts whatever they cost before; columns that are none of Facts go."""
    bare = widen_facts(facts).with_columns(pl.lit(None, Facts.types[name]).alias(name) for name in _PRICES)
    return price_facts(bare, book)


def _tokens() -> pl.Expr:
    return pl.sum_horizontal(pl.col(_TOKENS).fill_null(0))


# --- What is otherwise ------------------------------------------------------------------------------------------------


def _change(facts: pl.DataFrame, counts: pl.DataFrame, alternative: Alternative) -> pl.DataFrame:
    """Return the facts as they would be, with ``changed``, ``reason`` and how the tokens were found."""
    what = alternative.what
    lines = _move(_with_targets(facts, alternative).join(counts, on=UID, how="left", maintain_order="left"))
    terms = _tiers(lines, what)
    lines = lines.with_columns(_cache(lines, alternative) if what.cache else [])
    changed = [pl.col("target").is_not_null(), pl.lit(terms["changed"]), pl.lit(value=what.prices is not None)]
    if what.cache:
        changed.append(pl.any_horizontal(_differs(name, facts) for name in (*_CACHED, *_READS)))
    lines = lines.with_columns(terms["service_tier"], changed=pl.any_horizontal(changed).fill_null(value=False))
    return lines.with_columns(pl.when("changed").then(_reason(what)).alias("reason"))


def _with_targets(facts: pl.DataFrame, alternative: Alternative) -> pl.DataFrame:
    targets = alternative.targets if alternative.what.models else None
    pairs = facts.select(_KEY).unique(maintain_order=True)
    rows = []
    for model, provider in pairs.iter_rows() if targets else ():
        found = targets.target(model or "", provider) if targets else None
        if found is not None:
            *plain, ratios = found
            figures = [figure for side in SIDES for figure in (ratios[side] or (None, None, None))[1:]]
            rows.append((model, provider, *plain, *figures))
    table = pl.DataFrame(rows, schema={**dict.fromkeys(_KEY, pl.String()), **_TARGETS}, orient="row")
    short = pl.when(pl.col("line_prompt_tokens") < SHORT)
    return facts.join(table, on=_KEY, how="left", nulls_equal=True, maintain_order="left").with_columns(
        short.then(f"short_prompt_{name}").otherwise(f"prompt_{name}").alias(f"prompt_{name}")
        for name in ("ratio", "error")
    )


_MOVES = pl.col("target").is_not_null()


def _move(lines: pl.DataFrame) -> pl.DataFrame:
    """Let other models answer: their tokens, and what their providers know."""
    prompt, answer = pl.col("line_prompt_tokens"), pl.col("line_completion_tokens")
    hidden = pl.min_horizontal(pl.col("line_reasoning_tokens").fill_null(0), answer)
    single = _MOVES & (pl.col("lines") == 1)
    lines = lines.with_columns(
        text_prompt=pl.when(single).then("counted_prompt"), text_answer=pl.when(single).then("counted_completion"),
        old_prompt=prompt, old_shown=answer - hidden, old_hidden=hidden,
    )  # fmt: skip
    shown = pl.coalesce("text_answer", _scaled("old_shown", "answer_ratio"))
    reasoning = _scaled("old_hidden", "answer_ratio").fill_null(0)
    moved = {
        "line_prompt_tokens": pl.coalesce("text_prompt", _scaled("old_prompt", "prompt_ratio")),
        "line_completion_tokens": shown + reasoning,
        "line_reasoning_tokens": pl.when(pl.col("line_reasoning_tokens").is_not_null()).then(reasoning),
        "line_model": pl.col("target"),
        "model": pl.when(pl.col("model").eq_missing(pl.col("line_model"))).then("target").otherwise("model"),
        "provider": pl.col("target_provider"),
        **dict.fromkeys(("model_requested", "stated_rates", *_AXES), pl.lit(None)),
        **{name: pl.when("same_provider").then(name) for name in _PLACES},
    }
    by_text, by_ratio = pl.col("text_prompt").is_not_null(), _scales("prompt") | _scales("answer")
    lines = lines.with_columns(
        _held_media().alias("media"), (_MOVES & by_ratio).alias("by_ratio"),
        (single & by_text & ~by_ratio).alias("by_text"),
        *(pl.when(_MOVES).then(value).otherwise(name).alias(name) for name, value in moved.items()),
    )  # fmt: skip
    parts = [_part(name, "writes_cache" if "cache_read" not in name else "reads_cache") for name in _CACHED]
    uncertain = pl.sum_horizontal(_uncertain(side).fill_null(0) for side in ("prompt", "answer"))
    return lines.with_columns(*parts, _total(), pl.when(_MOVES).then(uncertain).otherwise(0).alias("uncertain"))


def _scaled(count: str, ratio: str) -> pl.Expr:
    """Return a count times a ratio in millionths, rounded half up; none stays none, whatever the ratio."""
    scaled = (pl.col(count).cast(pl.Int128) * pl.col(ratio) + _MILLION // 2) // _MILLION
    return pl.when(pl.col(count) == 0).then(pl.lit(0)).otherwise(scaled.cast(pl.Int64))


def _scales(side: str) -> pl.Expr:
    """Say whether tokens of a side are known by a ratio alone."""
    shown = {"prompt": "old_prompt", "answer": "old_shown"}[side]
    some = (pl.col(f"text_{side}").is_null() & (pl.col(shown) > 0)).fill_null(value=False)
    return some | (pl.col("old_hidden") > 0).fill_null(value=False) if side == "answer" else some


def _uncertain(side: str) -> pl.Expr:
    """Return by how many thousandths of a token the tokens of a side may be off."""
    count = pl.col({"prompt": "line_prompt_tokens", "answer": "line_completion_tokens"}[side])
    error = pl.when(_scales(side)).then(f"{side}_error").otherwise("counted_error")
    return (count.cast(pl.Int128) * error // 1000).cast(pl.Int64)


def _held_media() -> pl.Expr:
    """Say whether a call holds tokens of sound, pictures or video that nobody can count for another model."""
    recounted = {"line_image_input_tokens": pl.col("text_prompt").is_null()}
    held = [(pl.col(name) > 0).fill_null(value=False) & recounted.get(name, True) for name in _MEDIA]
    return pl.any_horizontal(held)


def _part(name: str, priced: str) -> pl.Expr:
    """Return a cached part of the prompt: the same share as before, none where the model does not price it apart."""
    own = pl.col(f"line_{name}")
    share = own.cast(pl.Int128) * pl.col("line_prompt_tokens") // pl.col("old_prompt")
    part = pl.when(pl.col("old_prompt") > 0).then(share.cast(pl.Int64)).otherwise(own)
    part = pl.when(pl.col(priced)).then(part).otherwise(own * 0)
    return pl.when(_MOVES).then(part).otherwise(own).alias(own.meta.output_name())


def _total() -> pl.Expr:
    total = pl.col("line_prompt_tokens") + pl.col("line_completion_tokens")
    return pl.when(_MOVES).then(total).otherwise("line_total_tokens").alias("line_total_tokens")


def _tiers(lines: pl.DataFrame, what: WhatIfOptions) -> pl.DataFrame:
    """Return the tier of each line, and whether it is another than before."""
    before = pl.col("service_tier")
    ends = [pl.col("source_format").str.ends_with(end) for end in BATCH_FORMATS]
    batch = pl.any_horizontal(*ends, before.str.to_lowercase().is_in(BATCHES)).fill_null(value=False)
    models = lines["line_model"].unique().drop_nulls()
    batched = [model for model in models if any(fnmatch.fnmatchcase(model, glob) for glob in what.batch)]
    away = (_MOVES & ~pl.col("same_provider")).fill_null(value=False)
    after = (
        pl.when(batch).then(before)
        .when(pl.col("line_model").is_in(batched)).then(pl.lit(BATCHES[0]))
        .otherwise(pl.lit(what.tier) if what.tier else pl.when(~away).then(before))
    )  # fmt: skip
    words = {word: tier_of(word) for word in (*lines["service_tier"].unique(), BATCHES[0], what.tier) if word}
    same = [each.replace(words).fill_null("") for each in (before, pl.col("after"))]
    found = lines.select("service_tier", after.alias("after"))
    return found.select(pl.col("after").alias("service_tier"), changed=same[0] != same[1])


def _cache(lines: pl.DataFrame, alternative: Alternative) -> list[pl.Expr]:
    """Return the cached parts of prompts without any caches, or with all of each prompt in one."""
    if alternative.what.cache == "none":
        return [(pl.col(f"line_{name}") * 0).alias(f"line_{name}") for name in (*_CACHED, *_READS)]
    book = book_of(alternative.prices)
    entries = {model: book.resolve(model).entry or {} for model in lines["line_model"].unique().drop_nulls()}
    known = {model: int(entry[_LEAST]) for model, entry in entries.items() if entry.get(_LEAST)}
    named = pl.col("line_model")
    least = named.replace_strict(known, default=LEAST_CACHED, return_dtype=pl.Int64) if known else LEAST_CACHED
    long = (pl.col("line_prompt_tokens") >= least).fill_null(value=False)
    whole = {"cache_read_input_tokens": pl.col("line_prompt_tokens")}
    parts = {name: whole.get(name, pl.col(f"line_{name}") * 0) for name in (*_CACHED, *_READS)}
    return [pl.when(long).then(part).otherwise(f"line_{name}").alias(f"line_{name}") for name, part in parts.items()]


def _differs(name: str, facts: pl.DataFrame) -> pl.Expr:
    return pl.col(f"line_{name}").fill_null(0) != pl.lit(facts[f"line_{name}"].fill_null(0))


def _reason(what: WhatIfOptions) -> pl.Expr:
    """Return why a changed line stays as it is, as far as that is known before it is priced; null: it does not."""
    is_sum = pl.col("flags").list.contains(SESSION_SUM).fill_null(value=False)
    unknown = [_scales(side) & pl.col(f"{side}_ratio").is_null() for side in ("prompt", "answer")]
    lacks = {need: pl.col("needs").list.contains(need) & pl.col("lacks").list.contains(need) for need in SUPPORTS}
    tests = {
        "unpriced": (pl.col("price_status") == "unpriced") | pl.col("total_cost").is_null(),
        "partly_priced": pl.col("price_status") == "partly_priced",
        "session_sum": is_sum & pl.lit(what.cache == "all"),
        "other_kind": pl.col("other_kind"),
        "timed_out": pl.col("timed_out"),
        "media": _MOVES & pl.col("media"),
        **{f"no_{need}": test for need, test in lacks.items()},
        "no_ratio": _MOVES & pl.any_horizontal(unknown),
        "prompt_too_long": ~is_sum & (pl.col("line_prompt_tokens") > pl.col("longest_prompt")),
        "answer_too_long": ~is_sum & (pl.col("line_completion_tokens") > pl.col("longest_answer")),
    }
    return pl.coalesce(pl.when(test.fill_null(value=False)).then(pl.lit(name)) for name, test in tests.items())


# --- What it comes to -------------------------------------------------------------------------------------------------


def _sum_lines(lines: pl.DataFrame, groups: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """Sum per group and reason; a line's money and tokens go to its model, the call itself to its main one."""
    moves, goes = (pl.col(name) & pl.col("reason").is_null() for name in ("changed", "touched"))
    figures = {
        "calls": pl.lit(value=True), "changed_calls": goes, "recounted_calls": goes & pl.col("by_text"),
        "scaled_calls": goes & pl.col("by_ratio"),
    }  # fmt: skip
    sums = {
        "old_cost": pl.col("total_cost"), "new_cost": pl.when(moves).then("fresh_cost").otherwise("total_cost"),
        "old_tokens": _tokens(),
        "new_tokens": pl.when(moves).then("fresh_tokens").otherwise(_tokens()),
        "uncertain_tokens": pl.when(moves).then("uncertain").otherwise(0),
    }  # fmt: skip
    heads = lines.filter(pl.col("line") == 0)
    counted = [figure.cast(pl.Int64).alias(name) for name, figure in figures.items()]
    keys = [*groups, "reason"]
    calls = heads.select(*groups.values(), "reason", *counted).group_by(keys).agg(pl.all().sum())
    own = lines.with_columns(model=pl.col("line_model")).select(
        *groups.values(), "reason", *(value.alias(name) for name, value in sums.items())
    )
    money = own.group_by(keys).agg(sum_stated(name) for name in sums)
    return merge_alternatives([calls, money], list(groups))


def merge_alternatives(parts: Sequence[pl.DataFrame], by: Sequence[str]) -> pl.DataFrame:
    """Add up parts of sums per group and reason; the order of the parts does not matter."""
    rows = pl.concat(parts, how="diagonal_relaxed")
    counts = [name for name in Alternatives.names if name.endswith("calls")]
    rest = [name for name in Alternatives.names if name not in counts]
    sums = rows.group_by(*by, "reason").agg(*(pl.col(name).sum() for name in counts), *map(sum_stated, rest))
    return sums.cast(Alternatives.types)  # type: ignore[arg-type]
