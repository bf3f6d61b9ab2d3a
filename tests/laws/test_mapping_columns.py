"""Both readers give the same facts of what mapping files read, and the ordinary records of some are read by columns."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import examples
from tests.laws.records import CLAUDES, MODELS, PEOPLE, TEXTS, Draw, Record, lines, moment
from tests.laws.test_columns import MOST, few_samples, share_by_columns
from tests.laws.test_litellm_columns import assert_same, written

pytestmark = pytest.mark.usefixtures("columns_for_all", few_samples.__name__)
_COUNTS = st.integers(0, 10**6)


def opencode(number: int, draw: Draw) -> Record:
    """Draw a message of OpenCode."""
    cache = {"read": draw(_COUNTS), "write": draw(_COUNTS)}
    tokens = {"input": draw(_COUNTS), "output": draw(_COUNTS), "reasoning": draw(_COUNTS), "cache": cache}
    return {
        "id": f"msg_{number}", "sessionID": f"ses_{number % 3}", "role": draw(st.sampled_from(("assistant", "user"))),
        "time": {"created": 1_772_000_000_000 + number}, "modelID": draw(st.sampled_from(MODELS)), "tokens": tokens,
        "path": {"root": "/w"}, "mode": draw(st.sampled_from(("build", "plan"))), "cost": draw(_COUNTS) / 7,
    }  # fmt: skip


def posthog(number: int, draw: Draw) -> Record:
    """Draw an event of PostHog."""
    properties = {
        "$ai_model": draw(st.sampled_from(MODELS)), "$ai_provider": draw(st.sampled_from(("openai", "anthropic"))),
        "$ai_input_tokens": draw(_COUNTS), "$ai_output_tokens": draw(_COUNTS), "$ai_trace_id": f"t{number}",
        "$ai_cache_read_input_tokens": draw(_COUNTS), "$ai_total_cost_usd": draw(_COUNTS) / 7,
        "$ai_cache_reporting_exclusive": draw(st.sampled_from((None, True, False))),
    }  # fmt: skip
    event = draw(st.sampled_from(("$ai_generation", "$ai_generation", "$pageview")))
    user = draw(st.sampled_from(PEOPLE))
    return {"uuid": f"u-{number}", "event": event, "distinct_id": user, "timestamp": moment(number)} | {
        "properties": properties
    }


def langsmith(number: int, draw: Draw) -> Record:
    """Draw a run of LangSmith."""
    about = {"ls_model_name": draw(st.sampled_from(MODELS)), "user_id": draw(st.sampled_from(PEOPLE))}
    prompt, completion = draw(_COUNTS), draw(_COUNTS)
    return {
        "id": f"r-{number}", "run_type": draw(st.sampled_from(("llm", "llm", "chain"))), "start_time": moment(number),
        "end_time": moment(number + 1), "status": "success", "extra": {"metadata": about}, "tags": ["a"],
        "total_cost": draw(_COUNTS) / 7, "prompt_tokens": prompt, "completion_tokens": completion,
        "total_tokens": prompt + completion, "prompt_token_details": {"cache_read": draw(st.integers(0, prompt))},
        "inputs": {"messages": [{"role": "user", "content": draw(st.sampled_from(TEXTS))}]}, "outputs": {},
    }  # fmt: skip


def helicone(number: int, draw: Draw) -> Record:
    """Draw a row of Helicone."""
    return {
        "request_id": f"h-{number}", "request_created_at": moment(number), "response_status": 200,
        "request_model": draw(st.sampled_from(MODELS)), "request_user_id": draw(st.sampled_from(PEOPLE)),
        "prompt_tokens": draw(_COUNTS), "completion_tokens": draw(_COUNTS), "costUSD": draw(_COUNTS) / 7,
        "prompt_cache_read_tokens": draw(_COUNTS), "request_body": {"model": "gpt-4o", "messages": []},
        "request_properties": json.dumps({"Helicone-Session-Id": f"s{number % 2}"}),
    }  # fmt: skip


def vertex_log(number: int, draw: Draw) -> Record:
    """Draw a row of Vertex AI's log, bodies as text or not."""
    prompt, completion = draw(_COUNTS), draw(_COUNTS)
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": completion, "totalTokenCount": prompt + completion}
    answer = {"candidates": [], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash", "responseId": f"r{number}"}
    return {
        "logging_time": moment(number), "request_id": str(number), "api_method": "GenerateContent",
        "model": "publishers/google/models/gemini-2.5-flash",
        "full_request": {"contents": [], "labels": {"team": draw(st.sampled_from(("a", "b")))}},
        "full_response": json.dumps(answer) if draw(st.booleans()) else answer,
    }  # fmt: skip


def datadog(number: int, draw: Draw) -> Record:
    """Draw a span of Datadog."""
    metrics = {"input_tokens": draw(_COUNTS), "output_tokens": draw(_COUNTS), "cache_read_input_tokens": draw(_COUNTS)}
    return {
        "trace_id": f"{number}", "span_id": f"s{number}", "parent_id": "undefined", "ml_app": "app", "status": "ok",
        "start_ns": 1_707_763_310_981_223_236 + number, "tags": ["env:prod"], "metrics": metrics,
        "meta": {"span": {"kind": draw(st.sampled_from(("llm", "tool")))}, "model_name": draw(st.sampled_from(MODELS))},
    }  # fmt: skip


def opik(number: int, draw: Draw) -> Record:
    """Draw a span of Opik, of Anthropic's counts or of others."""
    usage = {"prompt_tokens": draw(_COUNTS), "completion_tokens": draw(_COUNTS)}
    usage |= {f"original_usage.{name}": draw(_COUNTS) for name in draw(st.sampled_from(_OPIK))}
    return {
        "id": f"s{number}", "trace_id": f"t{number % 4}", "parent_span_id": draw(st.sampled_from((None, "s0"))),
        "type": draw(st.sampled_from(("llm", "llm", "tool"))), "start_time": moment(number), "usage": usage,
        "model": draw(st.sampled_from(MODELS)), "provider": "openai", "total_estimated_cost": draw(_COUNTS) / 7,
    }  # fmt: skip


_OPIK = (
    (), ("prompt_tokens_details.cached_tokens",), ("input_tokens", "output_tokens", "cache_read_input_tokens"),
)  # fmt: skip


def cloudflare(number: int, draw: Draw) -> Record:
    """Draw a row of Cloudflare's gateway."""
    return {
        "id": f"01J{number}", "created_at": moment(number), "provider": "openai",
        "model": draw(st.sampled_from(MODELS)), "status_code": 200, "tokens_in": draw(_COUNTS),
        "cached": draw(st.sampled_from((False, False, True))),
        "tokens_out": draw(_COUNTS), "cost": draw(_COUNTS) / 7, "metadata": {"user": draw(st.sampled_from(PEOPLE))},
    }  # fmt: skip


def envoy(number: int, draw: Draw) -> Record:
    """Draw a row of Envoy's access log."""
    tokens = draw(st.sampled_from((draw(_COUNTS), None, "-")))
    return {
        "x-request-id": f"e{number}", "start_time": moment(number), "response_code": 200, "genai_backend_name": "b",
        "genai_model_name": draw(st.sampled_from((*MODELS, None, "-"))), "genai_model_name_override": None,
        "genai_tokens_input": tokens, "genai_tokens_output": tokens, "genai_tokens_total": None,
    }  # fmt: skip


def apim(number: int, draw: Draw) -> Record:
    """Draw a diagnostic record of Azure's gateway."""
    counts = {name: draw(_COUNTS) for name in ("promptTokens", "promptCachedTokens", "completionTokens")}
    model = draw(st.sampled_from((*MODELS, *CLAUDES)))
    about = {"correlationId": f"c{number}", "modelName": model, "sequenceNumber": 0}
    return {"category": "GatewayLlmLogs", "time": moment(number), "properties": about | counts}


_ORDINARY = [posthog, langsmith, helicone, cloudflare]
_WRITERS = [opencode, posthog, langsmith, helicone, vertex_log, datadog, opik, cloudflare, envoy, apim]


@pytest.mark.parametrize("write", _WRITERS, ids=lambda write: write.__name__)
@given(data=st.data())
@examples(15, 300)
def test_both_readers_say_the_same_of_any_record(write: Callable[[int, Draw], Record], data: st.DataObject) -> None:
    with written(data.draw(lines(write))) as path:
        assert_same(path)


@pytest.mark.parametrize("write", _ORDINARY, ids=lambda write: write.__name__)
def test_ordinary_records_are_read_by_columns(write: Callable[[int, Draw], Record]) -> None:
    assert share_by_columns(write) > MOST
