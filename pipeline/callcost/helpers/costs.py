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

from callcost.errors import ArgumentError, PriceError
from callcost.helpers.books import Prices, book_of, microseconds_of, sound_entry
from callcost.helpers.counting import token_counter
from callcost.helpers.parameters import (
    amount_if_given,
    check_numbers,
    count,
    count_if_given,
    mapping,
    text,
    text_if_given,
)
from callcost.helpers.registry import unknown_model
from callcost.helpers.responses import field, fields, first_tier, texts_of, tools_of
from callcost.logs.usage.usage import read_usage
from callcost.logs.values.json import Refusal
from callcost.models import PROVISIONED
from callcost.prices.book.book import Book
from callcost.prices.book.cost_map import rate
from callcost.prices.charges import Bill, price_usage
from callcost.prices.rates import Case, RateCard, Terms
from callcost.prices.tariffs import read_tariff
from callcost.tables import MONEY_SCALE, Usage

_Text = str | None  # an argument that need not be given
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
        PriceError: there is no such version, more tokens are cached than the prompt has, or a rate is no price.
        ArgumentError: an argument is no count, no amount, or of the wrong type; names it.
    """
    names = [text("model", model), *filter(None, [text("request_model", request_model)])]
    flat = _flat_usage(prompt_tokens, completion_tokens, cache_read_input_tokens, cache_creation_input_tokens)
    usage = flat if usage_object is None else _read(usage_object, names[0])
    searches = amount_if_given("rerank_billed_units.search_units", field(rerank_billed_units, "search_units"))
    characters = _characters(prompt_characters, completion_characters)
    seconds = amount_if_given("audio_transcription_file_duration", audio_transcription_file_duration)
    queries = count_if_given("number_of_queries", number_of_queries) or searches
    time = _seconds("response_time_ms", response_time_ms)
    _add_units(usage, **characters, input_queries=queries, input_seconds=seconds, seconds=time)
    terms = _terms(usage_object, usage, call_type, service_tier, data_residency, vertex_location, at)
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
        PriceError: there is no such version, neither usage nor text, or a rate is no price.
        ArgumentError: an argument is no count, no amount, or of the wrong type; names it.
    """
    body = fields("completion_response", completion_response)
    stated, answered = field(body, "usage"), field(body, "model")
    found = (text("base_model", base_model), answered if isinstance(answered, str) else "", text("model", model))
    names = [*filter(None, found)]
    usage = _read(stated, names[0] if names else "") if stated else _count(names, body, prompt, messages, completion)
    time = _seconds("total_time", total_time)
    _add_units(usage, output_images=count_if_given("n", n), seconds=time, **tools_of(body))
    tier = first_tier(service_tier, *(field(each, "service_tier") for each in (body, stated, optional_params)))
    terms = _terms(stated, usage, call_type, tier, data_residency, vertex_location, at)
    own = _own_card(custom_cost_per_token, custom_cost_per_second)
    bill = _bill(names, custom_llm_provider, region_name, usage, terms, book_of(prices), own)
    return _dollars(bill.scaled[3])


def _flat_usage(prompt: Any, completion: Any, read: Any, written: Any) -> Usage:
    """Return counts as LiteLLM's documentation means them: the prompt includes what was read and written."""
    prompt, completion = count("prompt_tokens", prompt), count("completion_tokens", completion)
    read = count_if_given("cache_read_input_tokens", read) or 0
    written = count_if_given("cache_creation_input_tokens", written) or 0
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
    body = fields("usage", stated)
    check_numbers("usage", body)  # a log's NaN is an empty cell of its table; here nobody would hear of it
    try:
        return read_usage(body, model).usage or Usage()
    except Refusal as refusal:
        raise ArgumentError(f"usage: {refusal.detail} ({refusal.reason})") from refusal


def _characters(prompt: Any, completion: Any) -> dict[str, int | None]:
    asked, answered = count_if_given("prompt_characters", prompt), count_if_given("completion_characters", completion)
    return {"input_characters": asked, "output_characters": answered}


def _seconds(name: str, milliseconds: Any) -> int | float | Decimal:
    return (amount_if_given(name, milliseconds) or 0) / _SECOND


def _count(names: list[str], body: Mapping[str, Any], prompt: str, messages: Sequence[Any], completion: str) -> Usage:
    """Return the counts of a call that states none."""
    model, answer = names[0] if names else "", text("completion", completion) or texts_of(body)
    if not (prompt or messages or answer):
        raise PriceError("neither usage nor text to price", hint="Give a response with usage, or prompt or messages")
    asked = token_counter(model, messages=messages) if messages else token_counter(model, text=prompt)
    return Usage(prompt_tokens=asked, completion_tokens=token_counter(model, text=answer))


def _add_units(usage: Usage, **quantities: Any) -> None:
    stated = {unit: rate(number) for unit, number in quantities.items() if number}
    if stated:
        usage.billed_units = stated | (usage.billed_units or {})


def _terms(
    stated: Any, usage: Usage, call_type: _Text, tier: _Text, residency: _Text, location: _Text, at: datetime | None
) -> Terms:
    return Terms(
        tier=text_if_given("service_tier", tier),
        batch=text_if_given("call_type", call_type) in _BATCHES,
        prompt_tokens=usage.prompt_tokens or 0,
        region=text_if_given("vertex_location", location),
        data_residency=text_if_given("data_residency", residency),
        geo=text_if_given("inference_geo of the usage", field(stated, "inference_geo")),
        speed=text_if_given("speed of the usage", field(stated, "speed")),
        moment=microseconds_of(at),
    )


def _own_card(per_token: Mapping[str, Any] | None, per_second: float | None) -> RateCard | None:
    """Return the card of the caller's own rates, which hold in every tier and for every size.

    Raises:
        PriceError: one of them is no price, or there is none.
    """
    if per_token is None and per_second is None:
        return None
    if per_token is not None:
        name, own = "custom_cost_per_token", mapping("custom_cost_per_token", per_token)
    else:
        name, own = "custom_cost_per_second", {"output_cost_per_second": per_second}
    card = RateCard(read_tariff(sound_entry(name, own)), Case())
    if card.empty:
        raise PriceError(f"{name} holds no rate, such as input_cost_per_token")
    return card


def _bill(
    names: list[str], provider: _Text, region: _Text, usage: Usage, terms: Terms, book: Book, own: RateCard | None
) -> Bill:
    """Charge a usage at the caller's own rates, else at those of the first of the names that has any.

    Raises:
        UnknownModelError: none has.
        PriceError: the tier is not charged by tokens.
    """
    provider, region = text_if_given("custom_llm_provider", provider), text_if_given("region_name", region)
    for name in names:
        card = book.rates(book.resolve(name, provider, terms.moment, region=region), terms)
        if own is not None:
            return _own_bill(own, card, usage)
        bill = price_usage(usage, card)
        if bill.reason == PROVISIONED:
            raise PriceError(f"service tier {terms.tier!r} is paid for by the hour or the month, not by tokens")
        if bill.status != "unpriced":
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
