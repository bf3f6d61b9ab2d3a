"""What a call costs, with LiteLLM's names: cost_per_token and completion_cost.

Prices are those of the reports (``prices/``), returned as floats as LiteLLM does. Where LiteLLM is wrong, these are
right instead: an unknown model raises and never costs 0, a batch pays batch rates, every rate of the map is used
(tests/parity lists every difference with its reason). Both have, beside LiteLLM's parameters:

    at          when the call was made; default: now; without a zone it is UTC
    prices      a version's name, a date, "latest" or a mapping in LiteLLM's map format; default: in force then
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from pipeline.errors import PriceError
from pipeline.helpers.books import Prices, book_of, microseconds_of
from pipeline.helpers.counting import token_counter
from pipeline.helpers.registry import unknown_model
from pipeline.helpers.responses import field, fields, first_tier, served_tiers, texts_of, tools_of
from pipeline.logs.usage import read_usage
from pipeline.prices.book import Book
from pipeline.prices.charges import Bill, price_usage
from pipeline.prices.costmap import entry_of, rate
from pipeline.prices.rates import Case, RateCard, Terms
from pipeline.prices.tariffs import read_tariff
from pipeline.tables import MONEY_SCALE, Usage

_BATCHES = frozenset({"retrieve_batch", "aretrieve_batch"})
_SECOND = 1000  # milliseconds
_SECONDS = "output_seconds"  # what a rate of the caller's own by the second is laid on
_DOLLAR: int = 10**MONEY_SCALE


def cost_per_token(
    model: str = "",
    prompt_tokens: int = 0,
    completion_tokens: int = 0,
    response_time_ms: float | None = 0.0,
    custom_llm_provider: str | None = None,
    region_name: str | None = None,
    prompt_characters: int | None = None,
    completion_characters: int | None = None,
    cache_creation_input_tokens: int | None = 0,
    cache_read_input_tokens: int | None = 0,
    custom_cost_per_token: Mapping[str, Any] | None = None,
    custom_cost_per_second: float | None = None,
    number_of_queries: int | None = None,
    usage_object: Any = None,
    rerank_billed_units: Any = None,
    call_type: str = "completion",
    audio_transcription_file_duration: float = 0.0,
    service_tier: str | None = None,
    data_residency: str | None = None,
    vertex_location: str | None = None,
    response: Any = None,
    request_model: str | None = None,
    *,
    at: datetime | None = None,
    prices: Prices = None,
) -> tuple[float, float]:
    """Price the tokens of one call: US dollars for the prompt, and for the completion.

    ``prompt_tokens`` includes cache reads and writes; a ``usage_object`` of any provider replaces the counts.
    ``call_type`` "aretrieve_batch" prices a batch.

    Raises:
        UnknownModelError: nothing prices the model.
        PriceError: there is no such version, or more tokens are cached than the prompt has.
    """
    flat = (prompt_tokens, completion_tokens, cache_read_input_tokens or 0, cache_creation_input_tokens or 0)
    usage = _flat_usage(*flat) if usage_object is None else _read(usage_object, model)
    queries = number_of_queries or field(rerank_billed_units, "search_units")
    _add_units(usage, input_characters=prompt_characters, output_characters=completion_characters,
               input_queries=queries, input_seconds=audio_transcription_file_duration,
               seconds=(response_time_ms or 0) / _SECOND)  # fmt: skip
    terms = _terms(usage_object, usage, call_type, service_tier, data_residency, vertex_location, at)
    names = [model, *([request_model] if request_model else [])]
    own = _own_card(custom_cost_per_token, custom_cost_per_second)
    bill = _bill(names, custom_llm_provider, region_name, usage, terms, book_of(prices), own)
    return _dollars(bill.scaled[0]), _dollars(bill.scaled[1])


def completion_cost(
    completion_response: Any = None,
    model: str | None = None,
    prompt: str = "",
    messages: Sequence[Any] = (),
    completion: str = "",
    total_time: float | None = 0.0,
    call_type: str | None = None,
    custom_llm_provider: str | None = None,
    region_name: str | None = None,
    size: str | None = None,
    quality: str | None = None,
    n: int | None = None,
    custom_cost_per_token: Mapping[str, Any] | None = None,
    custom_cost_per_second: float | None = None,
    optional_params: Mapping[str, Any] | None = None,
    custom_pricing: bool | None = None,
    base_model: str | None = None,
    standard_built_in_tools_params: Any = None,
    litellm_model_name: str | None = None,
    router_model_id: str | None = None,
    litellm_logging_obj: Any = None,
    service_tier: str | None = None,
    data_residency: str | None = None,
    vertex_location: str | None = None,
    *,
    at: datetime | None = None,
    prices: Prices = None,
) -> float:
    """Price one call from its response, or from its texts where there is none: US dollars, tools included.

    Raises:
        UnknownModelError: nothing prices the model.
        PriceError: there is no such version, or neither usage nor text.
    """
    body = fields(completion_response)
    stated = field(body, "usage")
    names = [name for name in (base_model, field(body, "model"), model) if name]
    usage = _read(stated, names[0] if names else "") if stated else _counted(names, body, prompt, messages, completion)
    _add_units(usage, output_images=n, seconds=(total_time or 0) / _SECOND, **tools_of(body))
    tier = first_tier(service_tier, *served_tiers(body), field(optional_params, "service_tier"))
    terms = _terms(stated, usage, call_type, tier, data_residency, vertex_location, at)
    own = _own_card(custom_cost_per_token, custom_cost_per_second)
    bill = _bill(names, custom_llm_provider, region_name, usage, terms, book_of(prices), own)
    return _dollars(bill.scaled[3])


def _flat_usage(prompt: int, completion: int, read: int, written: int) -> Usage:
    """Return counts as LiteLLM's documentation means them: the prompt includes what was read and written."""
    if read + written > prompt:
        raise PriceError(
            f"{read + written} cached tokens in a prompt of {prompt}",
            hint="prompt_tokens includes cache reads and writes: add them to an API's exclusive input_tokens",
        )
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
    )


def _read(stated: Any, model: str) -> Usage:
    return read_usage(fields(stated), model).usage or Usage()


def _counted(
    names: list[str], body: Mapping[str, Any], prompt: str, messages: Sequence[Any], completion: str
) -> Usage:
    """Return the counts of a call that states none."""
    model, answer = names[0] if names else "", completion or texts_of(body)
    if not (prompt or messages or answer):
        raise PriceError("neither usage nor text to price", hint="Give a response with usage, or prompt or messages")
    asked = token_counter(model, messages=messages) if messages else token_counter(model, text=prompt)
    return Usage(prompt_tokens=asked, completion_tokens=token_counter(model, text=answer))


def _add_units(usage: Usage, **quantities: Any) -> None:
    stated = {unit: rate(number) for unit, number in quantities.items() if number}
    if stated:
        usage.billed_units = stated | (usage.billed_units or {})


def _terms(
    stated: Any,
    usage: Usage,
    call_type: str | None,
    tier: str | None,
    residency: str | None,
    location: str | None,
    at: datetime | None,
) -> Terms:
    return Terms(
        tier=tier,
        batch=call_type in _BATCHES,
        prompt_tokens=usage.prompt_tokens or 0,
        region=location,
        data_residency=residency,
        geo=field(stated, "inference_geo"),
        speed=field(stated, "speed"),
        moment=microseconds_of(at),
    )


def _own_card(per_token: Mapping[str, Any] | None, per_second: float | None) -> RateCard | None:
    """Return the card of the caller's own rates, which hold in every tier and for every size."""
    if per_token is None and per_second is None:
        return None
    own = dict(per_token) if per_token is not None else {"output_cost_per_second": per_second}
    return RateCard(read_tariff(entry_of(own)), Case())


def _bill(
    names: list[str],
    provider: str | None,
    region: str | None,
    usage: Usage,
    terms: Terms,
    book: Book,
    own: RateCard | None,
) -> Bill:
    """Charge a usage at the caller's own rates, else at those of the first of the names that has any.

    Raises:
        UnknownModelError: none has.
    """
    for name in names:
        card = book.rates(book.resolve(name, provider, terms.moment, region=region), terms)
        if own is not None:
            return _own_bill(own, card, usage)
        bill = price_usage(usage, card) if card else None
        if bill is not None and bill.status != "unpriced":
            return bill
    if own is not None:
        return _own_bill(own, None, usage)
    raise unknown_model(names[0] if names else "", book)


def _own_bill(own: RateCard, card: RateCard | None, usage: Usage) -> Bill:
    """Charge tokens, or seconds, at the caller's own rates, and tools at the map's."""
    units = usage.billed_units or {}
    if own.line(_SECONDS) is not None:
        return price_usage(Usage(billed_units={_SECONDS: units.get("seconds", Decimal(0))}), own)
    tokens = price_usage(msgspec.structs.replace(usage, billed_units=None), own)
    if card is None or not units:
        return tokens
    extras = price_usage(Usage(billed_units=units), card).scaled[2]
    inputs, outputs, _, total = tokens.scaled
    return tokens._replace(scaled=(inputs, outputs, extras, (total or 0) + (extras or 0)))


def _dollars(scaled: int | None) -> float:
    return (scaled or 0) / _DOLLAR
