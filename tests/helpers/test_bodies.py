"""completion_cost prices what a body states, as a report does; what is not priced by tokens never costs 0.0."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from callcost import PriceError, UnknownModelError, completion_cost, cost_per_token, token_counter
from callcost.helpers.books import book_of, microseconds_of
from callcost.helpers.measures import NOT_COUNTED, picture_names
from callcost.logs.usage.usage import has_tokens, is_zero
from callcost.prices.calls import price_line
from tests.logs.outcomes import calls_of, read_file

CASES = Path(__file__).parents[1] / "cases"
OCTOBER = datetime(2026, 10, 15, tzinfo=UTC)
GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Yes."}]}, "finishReason": "STOP"}],
    "usageMetadata": {
        "promptTokenCount": 1000, "candidatesTokenCount": 200, "thoughtsTokenCount": 300,
        "cachedContentTokenCount": 400, "totalTokenCount": 1500,
    },
    "modelVersion": "gemini-2.5-flash",
}  # fmt: skip
TOOLS = {"web_search_requests", "maps_queries", "web_search_requests_low", "web_search_requests_high"}
PICTURES = {"created": 1760000000, "data": [{"url": "https://host/1.png"}, {"url": "https://host/2.png"}]}
OWN: Mapping[str, Any] = {
    "tts": {"input_cost_per_character": 2e-6, "mode": "audio_speech"},
    "whisper": {"input_cost_per_second": 1e-4, "output_cost_per_second": 1e-4, "mode": "audio_transcription"},
    "rerank": {"input_cost_per_query": 2e-3, "input_cost_per_token": 0.0, "mode": "rerank"},
    "ocr": {"ocr_cost_per_page": 4e-3, "annotation_cost_per_page": 5e-3, "mode": "ocr"},
    "painter": {"input_cost_per_image": 0.04, "mode": "image_generation"},
    "hd/1024-x-1792/painter": {"input_cost_per_pixel": 1e-7, "output_cost_per_pixel": 0.0, "mode": "image_generation"},
    "512-x-512/painter": {"output_cost_per_image": 0.02, "mode": "image_generation"},
    "cloud/low/1024-x-1024/painter": {"output_cost_per_image": 0.01, "mode": "image_generation"},
    "container": {"code_interpreter_cost_per_session": 0.03, "mode": "chat"},
    "machine": {"cost_per_second": 0.01, "mode": "chat"},
    "gift": {"input_cost_per_token": 0.0, "output_cost_per_token": 0.0, "mode": "chat"},
    "chat": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "mode": "chat"},
}


def cost(*arguments: Any, **more: Any) -> float:
    return completion_cost(*arguments, prices=OWN, **more)


BODIES = sorted(
    path for name in ("pair", "gemini", "anthropic", "openai_chat", "openai_responses", "ollama", "openai_embeddings")
    for path in (CASES / name).glob("*/record.*")
    if path.parent.name != "usage_by_other_names"  # which stands beside the body
)  # fmt: skip


@pytest.mark.parametrize("path", BODIES, ids=lambda path: f"{path.parent.parent.name}-{path.parent.name}")
def test_a_body_costs_what_it_costs_in_a_report(path: Path) -> None:
    book = book_of("latest")
    for call in calls_of(read_file(path)):
        if not isinstance(call.response, dict) or call.usage is None or is_zero(call.usage):
            continue
        if not has_tokens(call.usage) and call.endpoint not in NOT_COUNTED:
            continue  # its text is counted
        bills = [price_line(book, call, line)[1] for line in call.iterations or [call.usage]]
        if "unpriced" in {bill.status for bill in bills} or call.status != "success":
            continue
        if any(unit.startswith("output_images_") for unit in call.usage.billed_units or ()):
            continue  # a report has no price for a picture's size
        expected = float(sum(bill.total_cost or 0 for bill in bills))
        priced = completion_cost(
            call.response, call.model, optional_params=call.request, custom_llm_provider=call.provider,
            service_tier=call.service_tier, region_name=call.region, vertex_location=call.region,
            data_residency=call.data_residency, prices="latest",
        )  # fmt: skip

        assert priced == pytest.approx(expected, rel=1e-12)


def test_a_body_of_gemini_is_priced() -> None:
    plain = cost_per_token("gemini-2.5-flash", 1000, 500, cache_read_input_tokens=400, at=OCTOBER)

    assert completion_cost(GEMINI, at=OCTOBER) == pytest.approx(sum(plain))
    assert completion_cost(GEMINI, model="vertex_ai/gemini-2.5-flash", at=OCTOBER) == pytest.approx(sum(plain))
    snake = {**GEMINI, "usage_metadata": SimpleNamespace(**GEMINI["usageMetadata"])}  # type: ignore[arg-type]
    del snake["usageMetadata"]
    assert completion_cost(SimpleNamespace(**snake), at=OCTOBER) == pytest.approx(sum(plain))


def test_an_answer_without_usage_is_counted_whosever_it_is() -> None:
    silent = {name: value for name, value in GEMINI.items() if name != "usageMetadata"}
    zero = {"model": "chat", "choices": [{"message": {"content": "Yes."}}],
            "usage": {"prompt_tokens": 0, "completion_tokens": 0}}  # fmt: skip

    assert completion_cost(silent, prompt="Is it warm?", at=OCTOBER) > 0
    assert cost(zero) == token_counter("chat", text="Yes.") * 2e-6  # stated zeros beside a text are no usage
    assert cost({"model": "chat", "usage": zero["usage"]}) == 0.0
    with pytest.raises(PriceError, match="neither usage nor text"):
        cost({"model": "chat"})


def test_a_response_may_be_any_object_that_holds_data() -> None:
    class Tier(Enum):
        FLEX = "flex"

    @dataclass
    class Usage:
        prompt_tokens: int
        completion_tokens: int

    @dataclass
    class Response:
        model: str
        usage: Usage
        service_tier: Tier
        connection: object

    body = Response("gpt-5", Usage(10**6, 0), Tier.FLEX, object())

    assert completion_cost(body) == cost_per_token("gpt-5", 10**6, 0, service_tier="flex")[0]


def test_a_reranking_is_priced_by_its_search_units() -> None:
    body = {"id": "1", "results": [{"index": 0, "relevance_score": 0.9}], "meta": {"billed_units": {"search_units": 3}}}

    assert cost(body, model="rerank") == 3 * 2e-3
    assert cost_per_token("rerank", number_of_queries=2, prices=OWN) == (4e-3, 0.0)


def test_a_speech_is_priced_by_the_characters_that_were_spoken() -> None:
    assert cost(model="tts", prompt="Hello, you.") == 11 * 2e-6
    assert cost(model="tts", prompt="Hello, you.", call_type="aspeech") == 11 * 2e-6
    assert cost_per_token("tts", prompt_characters=11, call_type="speech", prices=OWN) == (11 * 2e-6, 0.0)


def test_time_is_charged_with_the_prompt() -> None:
    assert cost_per_token("machine", response_time_ms=2500, prices=OWN) == (0.025, 0.0)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, 0.04),
        ({"size": "1024x1024", "quality": "standard"}, 0.04),
        ({"n": 3}, 0.12),
        ({"size": "1024x1792", "quality": "hd"}, 1024 * 1792 * 1e-7),
        ({"size": "1024-x-1792", "quality": "hd", "n": 2}, 2 * 1024 * 1792 * 1e-7),
        ({"optional_params": {"size": "512x512", "n": 2}}, 0.04),
        ({"model": "cloud/painter", "size": "1024x1024", "quality": "low"}, 0.01),
    ],
)
def test_pictures_are_priced_by_size_and_quality(more: dict[str, Any], expected: float) -> None:
    assert cost(**{"model": "painter", "prompt": "a cat", **more}) == pytest.approx(expected, rel=1e-12)


def test_a_response_says_how_many_pictures_there_are() -> None:
    assert cost(PICTURES, model="painter", call_type="image_generation") == 0.08
    assert cost({**PICTURES, "size": "512x512"}, model="painter", n=5) == 0.04
    assert cost(PICTURES, model="painter", optional_params={"size": "512x512"}, n=5) == 0.04


def test_a_transcription_is_priced_by_its_seconds() -> None:
    for body in ({"text": "Hi.", "duration": 60.5}, {"text": "Hi.", "usage": {"type": "duration", "seconds": 60.5}}):
        assert cost(body, model="whisper") == pytest.approx(60.5e-4)
        assert cost(body, model="whisper", call_type="atranscription") == pytest.approx(60.5e-4)
    assert cost_per_token("whisper", audio_transcription_file_duration=60.5, prices=OWN)[0] == pytest.approx(60.5e-4)


def test_pages_are_charged_with_the_prompt() -> None:
    assert cost_per_token("ocr", usage_object={"pages_processed": 3}, prices=OWN) == (3 * 4e-3, 0.0)
    assert cost({"pages": [], "usage_info": {"pages_processed": 3}}, model="ocr") == 3 * 4e-3


def test_a_size_that_no_map_lists_is_no_other_size() -> None:
    for look in ({"size": "4096x4096"}, {"size": "1:1"}, {"quality": "hd"}):
        with pytest.raises(PriceError, match="no price for pictures of 'painter' of the look"):
            cost(model="painter", prompt="a cat", **look)


def test_pictures_are_listed_under_their_quality_and_size() -> None:
    assert list(picture_names("azure/dall-e-3", "1024x1792", "hd")) == [
        "azure/hd/1024-x-1792/dall-e-3",
        "hd/1024-x-1792/azure/dall-e-3",
    ]
    assert list(picture_names("dall-e-2", "256x256", None)) == ["standard/256-x-256/dall-e-2", "256-x-256/dall-e-2"]


def test_dall_e_costs_what_openai_asked() -> None:
    for look, dollars in (
        (("1024x1024", "standard"), 0.04), (("1792x1024", "standard"), 0.08), (("1024x1024", "hd"), 0.08),
        (("1024x1792", "hd"), 0.12),
    ):  # fmt: skip
        priced = completion_cost(model="dall-e-3", prompt="a cat", size=look[0], quality=look[1], at=OCTOBER)
        assert priced == pytest.approx(dollars, rel=1e-3)  # the map's rates by pixel are rounded


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("tts", "characters.*prompt_characters"),
        ("whisper", "seconds of audio.*audio_transcription_file_duration"),
        ("rerank", "queries.*number_of_queries"),
        ("ocr", "pages.*pages_processed"),
        ("painter", "pictures.*size"),
        ("machine", "seconds.*response_time_ms"),
        ("container", "code interpreter sessions.*a response"),
    ],
)
def test_what_is_not_priced_by_tokens_never_costs_nothing(model: str, words: str) -> None:
    for call in (
        lambda: cost_per_token(model, 10, 10, prices=OWN),
        lambda: cost_per_token(model, prices=OWN),
        lambda: cost({"model": model, "usage": {"prompt_tokens": 10, "completion_tokens": 10}}),
        lambda: cost(model=model, call_type="completion", prompt="Hello"),
    ):
        with pytest.raises(PriceError, match=f"'{model}' is priced by {words}") as caught:
            call()
        assert not isinstance(caught.value, UnknownModelError)


def test_no_model_of_the_map_costs_nothing_but_what_is_free() -> None:
    """Every model now listed: tokens cost something, or all its rates are 0, or the error says what to give."""
    book = book_of("latest")
    for model in book.catalog.names(book.catalog.newest):
        tariff = book.resolve(model, None, microseconds_of(OCTOBER)).tariff
        try:
            paid = sum(cost_per_token(model, 10**6, 10**6, prices="latest"))
        except PriceError:
            continue
        rates = tariff.rates.items() if tariff else ()
        charged = [placed.unit for placed, listed in rates if listed.rate and placed.unit not in TOOLS]
        assert paid > 0 or not charged, model


def test_what_is_free_costs_nothing() -> None:
    assert cost_per_token("gift", 10, 10, prices=OWN) == (0.0, 0.0)
    assert cost({"model": "gift", "usage": {"prompt_tokens": 10, "completion_tokens": 10}}) == 0.0
    assert cost_per_token("chat", 0, 0, prices=OWN) == (0.0, 0.0)


def test_a_charge_of_several_models_is_the_sum_of_theirs() -> None:
    runs = [
        {"type": "message", "model": "chat", "input_tokens": 100, "output_tokens": 10},
        {"type": "message", "model": "other", "input_tokens": 100, "output_tokens": 10},
    ]
    body = {"type": "message", "role": "assistant", "model": "chat", "content": [],
            "usage": {"input_tokens": 200, "output_tokens": 20, "iterations": runs}}  # fmt: skip
    other = {"other": {"input_cost_per_token": 1e-5, "output_cost_per_token": 2e-5}}

    assert completion_cost(body, prices={**OWN, **other}) == pytest.approx(float(Decimal("0.00132")))
    with pytest.raises(UnknownModelError, match="'other'"):
        completion_cost(body, prices=OWN)
