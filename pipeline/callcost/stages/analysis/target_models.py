"""Which model answers a call instead, what it cannot take, and what the call's texts come to there.

A target that names no provider is served by the call's own where that lists it, else by whoever the name says. How long
prompts and answers may be is what the cost map in force now says of it; what it takes beside text, prices/abilities.py.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import polars as pl
from msgspec import structs

from callcost.models import split_provider
from callcost.prices.abilities import SUPPORTS, abilities_of
from callcost.prices.book.book import Book, Resolution
from callcost.prices.units import RateKey
from callcost.settings import WhatIfOptions
from callcost.stages.count.missing_usage import TIMED_OUT, count_missing
from callcost.stages.tables.facts import UID
from callcost.tables import Call
from callcost.tokens.engines.text_counter import TextCounter
from callcost.tokens.model_families import choose
from callcost.tokens.requests.bodies import read_prompt
from callcost.tokens.requests.types import CALL, RESULT
from callcost.tokens.token_ratios import SIDES, Ratio, ratio_between

_CHATS = frozenset({"chat", "completion", "responses"})
# What of a request is kept by the provider: https://platform.openai.com/docs/guides/conversation-state
_KEPT_ELSEWHERE = ("previous_response_id", "conversation")
_MILLION = 1_000_000
COUNTS = {
    **dict.fromkeys(UID, pl.Int64()),
    "counted_prompt": pl.Int64(),
    "counted_completion": pl.Int64(),
    "counted_error": pl.Int64(),  # expected, relative, in millionths
    "timed_out": pl.Boolean(),
    "needs": pl.List(pl.String()),  # keys of SUPPORTS
}


class Target(NamedTuple):
    """Who answers a call instead.

    Attributes:
        model: name of the model.
        provider: who is asked; None: whoever the name says.
        same_provider: whether the call's own provider is.
        longest_prompt: tokens at the most; None: not known.
        longest_answer: likewise.
        lacks: keys of SUPPORTS that it is known not to take.
        other_kind: whether one of the two models chats, and the other does something else.
        reads_cache: whether tokens read from a cache have a price of their own.
        writes_cache: whether tokens written to one have.
        ratios: tokens for a token of the call's own model, by side; None: not measured.
    """

    model: str
    provider: str | None
    same_provider: bool
    longest_prompt: int | None
    longest_answer: int | None
    lacks: list[str]
    other_kind: bool
    reads_cache: bool
    writes_cache: bool
    ratios: dict[str, Ratio | None]


class TargetModels:
    """Finds the target of each model, once."""

    def __init__(self, what: WhatIfOptions, book: Book) -> None:
        self._what, self._book = what, book
        self._known: dict[tuple[str, str | None], Target | None] = {}

    def target(self, model: str, provider: str | None) -> Target | None:
        """Return who answers calls of a model instead; None: it stays."""
        key = (model, provider)
        if key not in self._known:
            self._known[key] = self._find(model, provider)
        return self._known[key]

    def moving(self, facts: pl.DataFrame) -> pl.Series:
        """Say which calls are answered by another model.

        Args:
            facts: columns of Facts, as far as they say something.
        """
        names = [name for name in ("model", "provider") if name in facts.columns]
        moves = [
            pl.all_horizontal(pl.col(name).eq_missing(pl.lit(value)) for name, value in pair.items())
            for pair in facts.select(names).unique().iter_rows(named=True)
            if self.target(pair.get("model") or "", pair.get("provider")) is not None
        ]
        none = pl.Series([False]).new_from_index(0, facts.height)
        return facts.select(pl.any_horizontal(moves)).to_series() if moves else none

    def _find(self, model: str, provider: str | None) -> Target | None:
        own = {model, f"{provider}/{model}"}
        globs = self._what.models
        name = next((to for glob, to in globs if any(fnmatch.fnmatchcase(each, glob) for each in own)), None)
        if name is None or name in own:
            return None
        found = self._book.resolve(name, provider)
        stays = not split_provider(name)[0] and found.tariff is not None and not found.tariff.empty
        if not stays:
            found = self._book.resolve(name)
        before = self._book.resolve(model, provider)
        entry: Mapping[str, Any] = found.entry or {}
        takes = abilities_of(entry, found.key)
        kinds = [_kind_of(each) for each in (before, found)]
        families = choose(model, provider), choose(name, provider if stays else None)
        return Target(
            model=name,
            provider=provider if stays else split_provider(name)[0] or None,
            same_provider=stays,
            longest_prompt=_whole(entry.get("max_input_tokens")),
            longest_answer=_whole(entry.get("max_output_tokens")),
            lacks=[] if takes is None else [need for need in SUPPORTS if need not in takes],
            other_kind=None not in kinds and kinds[0] != kinds[1],
            reads_cache=has_rate(found, "cache_read"),
            writes_cache=has_rate(found, "cache_write_5m"),
            ratios={side: ratio_between(side, *families) for side in SIDES},
        )


def _kind_of(found: Resolution) -> str | None:
    mode = found.tariff.mode if found.tariff else ""
    return "chat" if mode in _CHATS else mode or None


def _whole(value: Any) -> int | None:
    try:
        return int(value) or None
    except (TypeError, ValueError):
        return None


def has_rate(found: Resolution, unit: str) -> bool:
    """Say whether an entry has a rate of its own for a unit, or its provider documents one."""
    tariff = found.tariff
    if tariff is None:
        return False
    tables = (tariff.rates, *(rates for _, rates in tariff.bands))
    return unit in tariff.documented or any(RateKey(unit) in rates for rates in tables)


def count_moved(calls: Sequence[Call], targets: TargetModels, counter: TextCounter, piece: int) -> pl.DataFrame:
    """Count the texts of a window's calls as the models that answer instead count them.

    Args:
        calls: of one window, with their text.
        targets: who answers instead.
        counter: of this worker.
        piece: number of the piece of input.

    Returns:
        Columns of COUNTS: a row per call that moves and whose texts are all there; null: a side has no text.
    """
    pairs = [(call, targets.target(call.model, call.provider)) for call in calls if not call.iterations]
    moved = [(call, target) for call, target in pairs if target is not None]
    copies = [
        structs.replace(
            call, model=target.model, provider=target.provider, usage=None, usage_source=None, count_method=None,
            count_error=None, flags=list(call.flags),
        )
        for call, target in moved
    ]  # fmt: skip
    count_missing(copies, counter)
    rows = [
        (
            piece, copy.record, *_sides_of(copy), round((copy.count_error or 0) * _MILLION),
            copy.usage_source == TIMED_OUT, needs_of(copy),
        )
        for copy in copies
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=COUNTS, orient="row")


def _sides_of(call: Call) -> tuple[int | None, int | None]:
    """Return the tokens of a counted call; of a prompt that the provider keeps a part of, none."""
    usage = call.usage
    if usage is None:
        return None, None
    body = call.request if isinstance(call.request, dict) else {}
    whole = not any(body.get(name) for name in _KEPT_ELSEWHERE)
    return usage.prompt_tokens if whole else None, usage.completion_tokens


def needs_of(call: Call) -> list[str]:
    """Return what a request holds beside text: keys of SUPPORTS."""
    prompt = read_prompt(call.endpoint, call.request)
    blocks = [block for message in prompt.messages for block in message.blocks]
    kinds = {block.media.kind for block in blocks if block.media is not None}
    if prompt.tools or any(block.kind in {CALL, RESULT} for block in blocks):
        kinds.add("tools")
    return [need for need in SUPPORTS if need in kinds]
