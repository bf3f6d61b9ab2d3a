"""What helpers take for a count, an amount and a text, and how they name what is none."""

from __future__ import annotations

import functools
import pickle
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from callcost import completion_cost, cost_per_token, decode, encode, get_model_info, register_model, token_counter
from callcost.errors import ArgumentError, CallcostError, ConfigError
from callcost.helpers.parameters import check_keys
from callcost.tables import MAX_COUNT

NO_COUNTS: tuple[Any, ...] = (None, float("nan"), float("inf"), "5", "", b"5", True, -1, 1.5,
             Decimal("NaN"), Decimal("sNaN"), Decimal("0.5"),
             MAX_COUNT + 1, 1e30, 10**400, 1j, [5], {}, object())  # fmt: skip
COUNTS = ("prompt_tokens", "completion_tokens", "cache_creation_input_tokens", "cache_read_input_tokens",
          "prompt_characters", "completion_characters", "number_of_queries")  # fmt: skip
AMOUNTS = ("response_time_ms", "audio_transcription_file_duration")
NEEDED = ("prompt_tokens", "completion_tokens")
FIVE: Any = 5  # where a text or a list belongs
NO_TEXTS: list[Any] = [[None], [{}], ["a", 5], [["a"]], [{"role": "user", "content": "a"}]]  # lists of no texts
HALF = "\ud800"  # of a pair of UTF-16
RATE: dict[str, Any] = {"input_cost_per_token": 1e-6}
WORD: Any = "abc"  # where a list belongs
TEXTS = ("custom_llm_provider", "region_name", "service_tier", "data_residency", "vertex_location", "request_model",
         "call_type")  # fmt: skip


@pytest.mark.parametrize(
    "value", NO_COUNTS, ids=lambda value: str(value)[:20] if type(value) is not object else "object"
)
@pytest.mark.parametrize("name", COUNTS)
def test_what_is_no_count_is_an_error_that_names_the_argument(name: str, value: Any) -> None:
    if value is None and name not in NEEDED:
        left_out: dict[str, Any] = {name: None}
        assert cost_per_token("gpt-4o", 10, 10, **left_out) == cost_per_token("gpt-4o", 10, 10)
        return
    with pytest.raises(CallcostError, match=f"^{name}: .* is no count"):
        cost_per_token("gpt-4o", **{"prompt_tokens": 10, name: value})


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), "5", True, -0.5, Decimal("NaN"), 1e13, [1]], ids=str)
@pytest.mark.parametrize("name", AMOUNTS)
def test_what_is_no_amount_is_an_error_that_names_the_argument(name: str, value: Any) -> None:
    with pytest.raises(CallcostError, match=f"^{name}: .* is no amount"):
        cost_per_token("gpt-4o", 10, 10, **{name: value})


@pytest.mark.parametrize("value", [5, 5.0, Decimal(5), Decimal("5.00"), Fraction(5)])
def test_whole_numbers_of_any_kind_are_counts(value: Any) -> None:
    assert cost_per_token("gpt-4o", value, value) == cost_per_token("gpt-4o", 5, 5)


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_no_text_is_an_error_that_names_the_argument(name: str) -> None:
    with pytest.raises(CallcostError, match=f"^{name}: .* is no text"):
        cost_per_token("gpt-4o", 10, 10, **{name: FIVE})


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: cost_per_token(FIVE), "model"),
        (lambda: cost_per_token("gpt-4o", 1, 1, at=WORD), "at"),
        (lambda: cost_per_token("gpt-4o", 1, 1, prices=FIVE), "prices"),
        (lambda: cost_per_token("gpt-4o", 1, 1, custom_cost_per_token=FIVE), "custom_cost_per_token"),
        (lambda: cost_per_token("gpt-4o", 1, 1, usage_object=FIVE), "usage"),
        (lambda: cost_per_token("gpt-4o", 1, 1, usage_object={"prompt_tokens": -1}), "usage"),
        (lambda: completion_cost({"model": "gpt-4o", "usage": {"prompt_tokens": float("nan"), "completion_tokens": 5}}),
         "usage.prompt_tokens"),
        (lambda: cost_per_token("gpt-4o", 1, 1, rerank_billed_units={"search_units": "x"}), "rerank_billed_units"),
        (lambda: completion_cost(FIVE), "completion_response"),
        (lambda: completion_cost(model="gpt-4o", prompt="a", n=WORD), "n"),
        (lambda: completion_cost(model="gpt-4o", completion=FIVE), "completion"),
        (lambda: get_model_info(FIVE), "model"),
        (lambda: encode("gpt-4o", FIVE), "text"),
        (lambda: decode("gpt-4o", WORD), "tokens"),
        (lambda: token_counter("gpt-4o", text=FIVE), "text"),
        *((functools.partial(token_counter, "gpt-4o", text=held), "text") for held in NO_TEXTS),
        (lambda: register_model(HALF), "model_cost"),
        (lambda: register_model(f"http://127.0.0.1:1/{HALF}"), "model_cost"),
        (lambda: register_model({HALF: RATE}), "model_cost"),
        (lambda: register_model({"m": RATE | {HALF: 1}}), "model_cost"),
        (lambda: register_model({"m": RATE | {"litellm_provider": HALF}}), "model_cost"),
        (lambda: register_model({"m": RATE}, custom_llm_provider=HALF), "custom_llm_provider"),
        (lambda: token_counter("gpt-4o", messages=WORD), "messages"),
        (lambda: token_counter("gpt-4o", messages=[{5: "a"}]), "messages"),
        (lambda: token_counter("gpt-4o", messages=[], tools=FIVE), "tools"),
    ],
)
def test_every_helper_names_the_argument(call: Any, name: str) -> None:
    with pytest.raises(ArgumentError, match=f"^{name}\\b") as caught:
        call()
    assert isinstance(caught.value, (ConfigError, ValueError))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_error_never_shows_what_a_text_says() -> None:
    for value in ("the canary", ["the canary"]):
        arguments: dict[str, Any] = {"prompt_tokens": value}
        with pytest.raises(CallcostError) as caught:
            cost_per_token("gpt-4o", **arguments)
        assert "canary" not in str(caught.value)


def test_what_lies_in_itself_is_refused() -> None:
    own: list[Any] = []
    own.append(own)
    with pytest.raises(ArgumentError, match="messages: lies in itself"):
        check_keys("messages", own)
