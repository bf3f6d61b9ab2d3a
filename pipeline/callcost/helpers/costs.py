"""What a call costs, with LiteLLM's names: cost_per_token and completion_cost.

Prices are those of the reports (``prices/``), returned as floats as LiteLLM does. Where LiteLLM is wrong, these are
right instead: an unknown model raises and never costs 0, a batch pays batch rates, every rate of the map is used
(tests/parity lists every difference with its reason). Both have, beside LiteLLM's parameters:

    at          when the call was made; default: now; without a zone it is UTC
    prices      a version's name, a date, "latest" or a mapping in LiteLLM's map format; default: in force then
    corrections "stated" (default), "all" or "none": which corrections lie over the maps; none over one that is named
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from callcost.errors import ArgumentError, PriceError
from callcost.helpers.books import CORRECTED, Prices, book_of, microseconds_of
from callcost.helpers.charging import Asked, bill_of, own_card, picture_bill
from callcost.helpers.counting import count_answer, token_counter
from callcost.helpers.measures import NOT_COUNTED, Picture, kind_of
from callcost.helpers.parameters import (
    amount_if_given,
    check_numbers,
    count,
    count_if_given,
    items,
    mapping,
    text,
    text_if_given,
)
from callcost.helpers.responses import endpoint_of, field, fields, first_tier, read_body, read_call
from callcost.logs.responses.bodies import api_of
from callcost.logs.usage.usage import has_tokens, read_usage
from callcost.logs.values.json import Refusal
from callcost.prices.book.book import Book
from callcost.prices.book.cost_map import rate
from callcost.prices.charges import Bill
from callcost.prices.rates import RateCard, Terms
from callcost.prices.units import is_measure
from callcost.tables import MONEY_SCALE, USAGE_COUNTS, Call, Usage

_Text = str | None  # an argument that need not be given
_BATCHES = frozenset({"retrieve_batch", "aretrieve_batch"})
_SECOND = 1000  # milliseconds
_TIER = "service_tier"
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
    corrections: str = CORRECTED,
) -> tuple[float, float]:
    """Price the tokens of one call: US dollars for the prompt, and for the completion.

    ``prompt_tokens`` includes cache reads and writes; a ``usage_object`` of any provider replaces the counts.
    ``call_type`` "aretrieve_batch" prices a batch.

    Raises:
        UnknownModelError: nothing prices the model.
        PriceError: there is no such version, more tokens are cached than the prompt has, or a rate is no price.
        ArgumentError, ConfigError: an argument is no count, no amount, none of its words, or of a wrong type; names it.
    """
    names = [text("model", model), *filter(None, [text("request_model", request_model)])]
    flat = _flat_usage(prompt_tokens, completion_tokens, cache_read_input_tokens, cache_creation_input_tokens)
    usage = flat if usage_object is None else _read(usage_object, names[0])
    _add_units(usage, **_characters(prompt_characters, completion_characters))
    queries = count_if_given("number_of_queries", number_of_queries) or _searches(rerank_billed_units)
    seconds = amount_if_given("audio_transcription_file_duration", audio_transcription_file_duration)
    time = _seconds("response_time_ms", response_time_ms)
    _add_units(usage, input_queries=queries, input_seconds=seconds, seconds=time)
    terms = _terms(usage_object, usage, call_type, service_tier, data_residency, vertex_location, at)
    own = own_card(custom_cost_per_token, custom_cost_per_second)
    bill = bill_of(_asked(names, custom_llm_provider, region_name, terms, book_of(prices, corrections), own), usage)
    return _dollars(_of_prompt(bill, usage)), _dollars(bill.scaled[1])


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
    corrections: str = CORRECTED,
) -> float:
    """Price one call from its response, or from its texts where there is none: US dollars, tools included.

    Raises:
        UnknownModelError: nothing prices the model.
        PriceError: there is no such version, neither usage nor text, or a rate is no price.
        ArgumentError, ConfigError: an argument is no count, no amount, none of its words, or of a wrong type; names it.
    """
    body, params = read_body(completion_response), mapping("optional_params", optional_params or {})
    named, book = (text("base_model", base_model), text("model", model)), book_of(prices, corrections)
    kind = _kind(call_type, body, named, book, at, drawn=bool(size or quality))
    call = read_call(body, _request(params, messages, prompt, kind), named[1], custom_llm_provider, kind)
    usage, stated, kind = call.usage or Usage(), body.get("usage"), kind or call.endpoint
    tier = first_tier(service_tier, call.service_tier, *(field(each, _TIER) for each in (body, stated, params)))
    terms = _terms(stated, usage, call_type, tier, data_residency, vertex_location or call.region, at)
    names = [*dict.fromkeys(filter(None, (named[0], call.model, named[1])))]
    n, own = count_if_given("n", n), own_card(custom_cost_per_token, custom_cost_per_second)
    asked = _asked(names, custom_llm_provider, region_name or call.region, terms, book, own)
    if kind == "images" and not has_tokens(usage):
        return _dollars(picture_bill(asked, _picture(usage, body, params, n, size, quality, prompt)).scaled[3])
    return _dollars(_sum(asked, call, _complete(usage, call, names, kind, prompt, messages, completion, total_time)))


def _kind(
    call_type: Any, body: Mapping[str, Any], named: tuple[str, str], book: Book, at: datetime | None, *, drawn: bool
) -> str | None:
    """Return the endpoint of a call: as the caller says, as its body shows, as its pictures or its model tell."""
    kind = endpoint_of(text_if_given("call_type", call_type))
    if kind is not None or api_of(body) is not None:
        return kind
    return "images" if drawn else kind_of(book, (named[0], body.get("model"), named[1]), microseconds_of(at))


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


def _request(params: Mapping[str, Any], messages: Any, prompt: _Text, kind: str | None) -> dict[str, Any]:
    """Return as much of a request's body as is known, but its tier, which what was served goes before."""
    request = {**params, "messages": items("messages", messages), _TIER: None}
    return request | {"input": text("prompt", prompt)} if kind == "speech" and prompt else request


def _searches(billed: Any) -> Any:
    return amount_if_given("rerank_billed_units.search_units", field(billed, "search_units"))


def _states_something(usage: Usage) -> bool:
    measured = any(is_measure(unit) for unit in usage.billed_units or ())
    return measured or any(getattr(usage, name) for name in USAGE_COUNTS)


def _complete(
    usage: Usage,
    call: Call,
    names: Sequence[str],
    kind: str | None,
    prompt: _Text,
    messages: Sequence[Any],
    completion: _Text,
    total_time: Any,
) -> Usage:
    """Add to what a call states what its texts and its time tell; where it states 0 and shows no text, it is 0."""
    if kind not in NOT_COUNTED and not _states_something(usage):
        model, completion = names[0] if names else "", text("completion", completion)
        answer = token_counter(model, text=completion) if completion else count_answer(model, call)
        if prompt or messages or answer:
            asked = token_counter(model, messages=messages) if messages else token_counter(model, text=prompt)
            usage.prompt_tokens, usage.completion_tokens = asked, answer
        elif not has_tokens(usage):
            hint = "Give a response with usage, or prompt or messages"
            raise PriceError("neither usage nor text to price", hint=hint)
    _add_units(usage, seconds=_seconds("total_time", total_time))
    return usage


def _picture(
    usage: Usage, body: Mapping[str, Any], params: Mapping[str, Any], number: int | None, *looks: Any
) -> Picture:
    """Return what was drawn: as the caller says, as the response says, as was asked for.

    Args:
        usage: of the call, which counts the pictures that the response holds.
        body: the response.
        params: of the request.
        number: that the caller says.
        looks: size and quality that the caller says, and the prompt.
    """
    named = zip(("size", "quality"), looks, strict=False)
    size, quality = (_first_text(text_if_given(name, look), body.get(name), params.get(name)) for name, look in named)
    held = sum(number for unit, number in (usage.billed_units or {}).items() if unit.startswith("output_images"))
    stated = number if number is not None else count_if_given("n of optional_params", params.get("n"))
    any_at_all = body or any(looks) or size or quality
    return Picture(held or Decimal(int(bool(any_at_all)) if stated is None else stated), size, quality)


def _first_text(*words: Any) -> str | None:
    return next((word for word in words if word and isinstance(word, str)), None)


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


def _asked(
    names: Sequence[str], provider: _Text, region: _Text, terms: Terms, book: Book, own: RateCard | None
) -> Asked:
    provider, region = text_if_given("custom_llm_provider", provider), text_if_given("region_name", region)
    return Asked(book, names, provider, region, terms, own)


def _sum(asked: Asked, call: Call, usage: Usage) -> int:
    """Return what a call costs: its own usage, or that of each of the models that ran in it."""
    cost = 0
    for line in call.iterations or [usage]:
        names = [line.model] if line.model else asked.names
        terms = asked.terms._replace(prompt_tokens=line.prompt_tokens or 0)
        cost += bill_of(asked._replace(names=names, terms=terms), line).scaled[3] or 0
    return cost


def _of_prompt(bill: Bill, usage: Usage) -> int:
    """Return what the prompt costs, and pages and the like, which are neither prompt nor completion and no tools."""
    cost = bill.scaled[0] or 0
    if usage.billed_units:
        cost += sum(each.scaled for each in bill.charges if each.side == "other" and is_measure(each.unit))
    return cost


def _dollars(scaled: int | None) -> float:
    return (scaled or 0) / _DOLLAR
