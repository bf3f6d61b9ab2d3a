"""What is known of models: one live mapping, seen by every helper and every report."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pipeline import UnknownModelError, cost_per_token, get_max_tokens, get_model_info, model_cost, register_model
from pipeline.errors import PriceError
from pipeline.helpers.books import book_of
from pipeline.prices import registered
from pipeline.prices.book import open_book
from pipeline.settings import PriceOptions

OWN = {"my/model": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "litellm_provider": "my"}}


@pytest.fixture(autouse=True)
def nothing_stays_registered() -> Iterator[None]:
    before = registered.snapshot()
    yield
    registered._entries.clear()
    registered.restore(before)


def test_a_registered_model_is_seen_by_all() -> None:
    live = register_model(OWN)

    assert live is model_cost
    assert model_cost["my/model"]["input_cost_per_token"] == 1e-6
    assert "my/model" in list(model_cost)
    assert cost_per_token("my/model", 1000, 1000) == (0.001, 0.002)
    assert get_model_info("model", "my")["key"] == "my/model"
    assert open_book(PriceOptions()).resolve("my/model", None, 0).version == "registered"


def test_new_fields_are_laid_over_a_known_model() -> None:
    before = model_cost["gpt-4o"]
    register_model({"gpt-4o": {"input_cost_per_token": "0.5"}})

    assert cost_per_token("gpt-4o", 2, 0) == (1.0, 0.0)
    assert model_cost["gpt-4o"] == {**before, "input_cost_per_token": 0.5}
    assert cost_per_token("gpt-4o", 10**6, 0, prices="litellm-1.106.4") == (2.5, 0.0)


def test_what_is_registered_travels_to_another_process() -> None:
    register_model({"gpt-4o": {"input_cost_per_token": 0.1, "output_cost_per_token": 3e-7}})
    taken = registered.snapshot()
    registered._entries.clear()

    registered.restore(taken)

    assert cost_per_token("gpt-4o", 3, 10) == (0.3, 3e-6)


def test_a_map_can_be_registered_from_its_address() -> None:
    class Maps(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(OWN).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Maps) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        register_model(f"http://127.0.0.1:{server.server_port}/map.json")

    assert cost_per_token("my/model", 1000, 0) == (0.001, 0.0)


def test_what_is_no_map_is_refused() -> None:
    with pytest.raises(PriceError, match="no mapping"):
        register_model({"m": 5})


def test_a_provider_can_be_given_for_all() -> None:
    register_model({"tiny": {"input_cost_per_token": 1e-6}}, custom_llm_provider="acme")

    assert model_cost["tiny"]["litellm_provider"] == "acme"


def test_info_holds_what_the_map_says_then() -> None:
    info = get_model_info("azure/gpt-4o")
    then = get_model_info("gpt-4o", at=datetime(2024, 6, 1, tzinfo=UTC))

    assert info["key"] == "azure/gpt-4o"
    assert info["litellm_provider"] == "azure"
    assert info["cache_creation_input_token_cost"] is None
    assert then["input_cost_per_token"] == 5e-06
    assert get_model_info("github_copilot/gpt-4o")["mode"] == "chat"
    with pytest.raises(UnknownModelError):
        get_model_info("gpt-9")


def test_the_most_tokens_of_an_answer() -> None:
    assert get_max_tokens("gpt-3.5-turbo") == 4096
    assert get_max_tokens("gpt-4o") == 16384
    assert get_max_tokens("m", prices={"m": {"max_tokens": 7}}) == 7
    assert get_max_tokens("m", prices={"m": {}}) is None


def test_model_cost_is_the_version_in_force_now() -> None:
    version = book_of(None).catalog.newest

    assert len(model_cost) == len(set(book_of(None).catalog.names(version)))
    assert "gpt-9" not in model_cost
    with pytest.raises(KeyError):
        model_cost["gpt-9"]
