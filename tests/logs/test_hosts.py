"""A URL says where a request went."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from callcost.logs.responses.bodies import ENDPOINTS
from callcost.logs.values.api_urls import _ENDPOINTS, _PROVIDERS, Route, read_host, read_route
from callcost.models import PROVIDERS
from tests.logs.outcomes import calls_of, read_lines


@pytest.mark.parametrize(
    ("url", "route"),
    [
        ("https://api.openai.com/v1/chat/completions", Route("openai", "chat")),
        ("https://eu.api.openai.com:443/v1/responses/resp_1?include=x", Route("openai", "responses")),
        ("https://api.openai.com/v1/responses/resp_1/cancel", Route("openai")),
        ("https://api.anthropic.com/v1/messages?beta=true", Route("anthropic", "anthropic")),
        ("https://api.anthropic.com/v1/messages/count_tokens", Route("anthropic")),
        ("https://a-b.openai.azure.com/openai/deployments/my%20gpt/chat/completions?api-version=1",
         Route("azure", "chat", "my gpt")),
        ("https://us-east5-aiplatform.googleapis.com/v1/projects/p/locations/us-east5/publishers/anthropic/models/"
         "claude-haiku-4-5@20251001:streamRawPredict", Route("vertex_ai", "anthropic", "claude-haiku-4-5@20251001")),
        ("https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
         Route("gemini", "gemini", "gemini-2.5-pro")),
        ("http://localhost:11434/api/chat", Route("ollama", "ollama")),
        ("https://bedrock-mantle.us-east-1.api.aws/v1/responses", Route("bedrock_mantle", "responses")),
        ("https://dashscope-intl.aliyuncs.com/compatible-mode/v1/chat/completions", Route("dashscope", "chat")),
        ("http://gateway.internal:4000/v1/chat/completions/", Route(None, "chat")),
        ("https://example.com/?next=https://api.openai.com/v1/models", Route()),
        ("https://api.openai.com.example.org/v1/chat/completions", Route(None, "chat")),
        (None, Route()), ({}, Route()), ("", Route()),
    ],
)  # fmt: skip
def test_a_url_says_where_a_request_went(url: Any, route: Route) -> None:
    assert read_route(url) == route


def test_providers_and_endpoints_are_those_of_the_tables() -> None:
    assert {provider for provider, _ in _PROVIDERS} <= PROVIDERS
    assert {endpoint for endpoint, _ in _ENDPOINTS} <= ENDPOINTS.keys()


def test_a_url_says_what_decides_the_rate() -> None:
    found = {"provider": "bedrock", "region": "eu-west-1"}
    assert read_host("https://bedrock-runtime.eu-west-1.amazonaws.com/model/x/invoke") == found
    assert read_host("https://bedrock-mantle.eu-west-1.api.aws/v1/responses") == found | {"provider": "bedrock_mantle"}
    assert read_host("https://gateway.internal/v1/locations/x") == {}
    assert read_host(7) == {}


def test_a_url_says_who_was_asked_where_the_record_does_not(tmp_path: Path) -> None:
    usage = {"model": "m", "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    asked = {"request": {"model": "m"}, "response": usage, "url": "http://localhost:11434/v1/chat/completions"}

    lines = [json.dumps(asked | more).encode() for more in ({}, {"provider": "openai"})]

    assert [call.provider for call in calls_of(read_lines(tmp_path / "a.jsonl", *lines))] == ["ollama", "openai"]
