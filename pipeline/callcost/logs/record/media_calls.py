"""What calls are billed for beside their tokens: characters of a speech, queries of a reranking, pictures, a fee.

Such answers are bytes, or state no usage: then the request gives the quantity. Where they state tokens without saying
of which kind, the endpoint says it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from callcost.logs.responses.tools import settle_answer
from callcost.logs.usage.unit_quantities import GATEWAY_FEE, SEARCHES, pays_for_requests, read_quantities, request_fee
from callcost.logs.usage.usage import is_zero
from callcost.logs.values.json import Refusal, list_in
from callcost.logs.values.json_path import follow
from callcost.models import PROVISIONED_TIERS
from callcost.tables import Call, Usage

WITHOUT_ANSWER_TOKENS = frozenset(("embeddings", "rerank"))
NOT_COUNTED = frozenset(("images", "speech", "transcription", "rerank", "ocr"))  # no text tells their usage
ASSUMED = "assumed_units"
GATEWAY_FACTS = ("own_key", "gateway_fee")  # of a call: whose key paid for it, and dollars that the gateway asks for it
_DOCUMENTS_PER_QUERY = 100
# Endpoint -> what all tokens of its answers are, where the usage does not split them.
# Source: https://platform.openai.com/docs/api-reference/images, .../audio/speech-audio-done-event
_ANSWERS = {"images": "image_output_tokens", "speech": "audio_output_tokens"}


def settle_media(call: Call) -> None:
    """Complete what a call states, in place; a request counts only where it was answered."""
    usage, kind = call.usage, _ANSWERS.get(call.endpoint or "")
    if usage is not None and kind:
        settle_answer(usage, kind)
    if usage is not None and usage.billed_units and call.endpoint == "images":
        usage.billed_units = _of_size(usage.billed_units, call.request)
    if usage is not None and call.provider == "perplexity" and pays_for_requests(call.model.lower()):
        _add_fee(call, usage)
    count = _BY_REQUEST.get(call.endpoint or "")
    if count is None or call.status != "success":
        return
    if usage is None or (is_zero(usage) and not call.iterations):
        units, sure = count(call.request if type(call.request) is dict else {})
        if units:
            call.usage = usage = usage or Usage()
            usage.billed_units = units
            call.flags += [] if sure else [ASSUMED]


def settle_gateway(call: Call, values: Mapping[str, Any]) -> None:
    """Add what a gateway asks for a call that was paid with a key of one's own; and see whose capacity served it.

    Capacity that OpenRouter paid for is sold by tokens at the standard rate, as its recorded costs say: tier "default".
    Source: https://openrouter.ai/docs/guides/features/service-tiers, .../use-cases/usage-accounting

    Args:
        call: changed in place.
        values: of its record, GATEWAY_FACTS among them.
    """
    own_key, tier = values.get("own_key") is True, (call.service_tier or "").lower()
    if call.provider == "openrouter" and not own_key and tier in PROVISIONED_TIERS:
        call.service_tier = "default"
    stated = values.get("gateway_fee")
    if not stated:
        return
    try:
        fee = read_quantities({GATEWAY_FEE: stated})
    except Refusal:
        call.flags.append("bad_logged_cost")
        return
    if fee:
        call.usage = call.usage or Usage()
        for usage in (call.usage, *call.iterations[:1]):
            usage.billed_units = (usage.billed_units or {}) | fee


def _add_fee(call: Call, usage: Usage) -> None:
    """Add Perplexity's fee of a request where its usage does not state the size of the search context."""
    units = usage.billed_units or {}
    if not any(unit.startswith(SEARCHES) for unit in units):
        asked = follow(call.request, _SIZE_ASKED)
        usage.billed_units = units | request_fee(asked)
        call.flags += [] if asked else [ASSUMED]


def _of_size(units: dict[str, Decimal], request: Any) -> dict[str, Decimal]:
    """Name pictures by the size and quality that were asked for, where these are not the usual ones."""
    asked = [request.get(key) for key in ("quality", "size")] if type(request) is dict else []
    words = "".join(f"_{word}" for word in asked if type(word) is str and word.lower() not in _USUAL)
    return {f"{unit}{words}" if unit == _PICTURES else unit: number for unit, number in units.items()}


_SIZE_ASKED = ("web_search_options", "search_context_size")
_PICTURES, _USUAL = "output_images", frozenset(("standard", "auto", "1024x1024", ""))
Count = tuple[dict[str, Decimal], bool]  # quantities, and whether nothing was assumed


def _characters(request: Mapping[str, Any]) -> Count:
    """Count the characters of the text that was spoken, blanks too."""
    text = _text_of(request.get("input") or request.get("text") or request.get("messages"))
    return ({"input_characters": Decimal(len(text))}, True) if text else ({}, True)


def _text_of(value: Any) -> str:
    if type(value) is list:
        return "".join(map(_text_of, value))
    if type(value) is dict:
        return _text_of(value.get("content") or value.get("text"))
    return value if type(value) is str else ""


def _queries(request: Mapping[str, Any]) -> Count:
    """Count a reranking that states nothing: one query for each hundred documents, one where they are not known.

    Source: https://docs.aws.amazon.com/bedrock/latest/userguide/rerank-pricing.html, https://cohere.com/pricing
    """
    documents = len(list_in(request.get("documents") or request.get("sources")))
    return {"input_queries": Decimal(max(1, -(-documents // _DOCUMENTS_PER_QUERY)))}, bool(documents)


_BY_REQUEST: Mapping[str, Callable[[Mapping[str, Any]], Count]] = {"speech": _characters, "rerank": _queries}
