"""What is known of models: one live mapping, seen by every helper and every report."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from callcost import UnknownModelError, cost_per_token, get_max_tokens, get_model_info, model_cost, register_model
from callcost.errors import ConfigError, PriceError
from callcost.helpers.books import book_of
from callcost.jobs.backfill import backfill_usage
from callcost.jobs.explain import explain_call
from callcost.jobs.reconcile import reconcile_costs
from callcost.jobs.report import report_spend
from callcost.jobs.state.close import close_day
from callcost.jobs.state.plan import plan_report
from callcost.jobs.state.report import report_incremental
from callcost.prices.book import registered as registrations
from callcost.prices.book.book import open_book
from callcost.prices.book.registered import registered, with_registered
from callcost.settings import PriceOptions, ReconcileOptions, ReportOptions, StateOptions, WorkOptions

OWN = {"my/model": {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6, "litellm_provider": "my"}}


def forget_registered() -> None:
    """Take all registrations back."""
    for kept in (registrations._entries, registrations._options):
        kept.clear()


@pytest.fixture(autouse=True)
def nothing_stays_registered() -> Iterator[None]:
    yield
    forget_registered()


def test_a_registered_model_is_seen_by_all() -> None:
    live = register_model(OWN)

    assert live is model_cost
    assert model_cost["my/model"]["input_cost_per_token"] == 1e-6
    assert "my/model" in list(model_cost)
    assert cost_per_token("my/model", 1000, 1000) == (0.001, 0.002)
    assert get_model_info("model", "my")["key"] == "my/model"
    assert open_book(with_registered(PriceOptions())).resolve("my/model", None, 0).version == "registered"


def test_every_job_uses_the_new_rate(tmp_path: Path) -> None:
    log = tmp_path / "calls.jsonl"
    usage = {"prompt_tokens": 1000, "completion_tokens": 1000}
    call = {"model": "my/model", "messages": [], "id": "c1", "usage": usage, "timestamp": "2025-11-03T08:00:00Z"}
    log.write_text(json.dumps(call) + "\n", encoding="utf-8")
    options = ReportOptions(logs=(str(log),), out=str(tmp_path / "out"))
    state = StateOptions(folder=str(tmp_path / "state"))
    unpriced = report_incremental(options, state)
    assert plan_report(options, state).repriced is False
    register_model(OWN)

    assert plan_report(options, state).repriced is True
    repriced = report_incremental(options, state)
    filled = backfill_usage(ReportOptions(logs=(str(log),)), dry_run=True)
    costly = tmp_path / "costly.jsonl"
    costly.write_text(json.dumps(call | {"cost": 0.004}) + "\n", encoding="utf-8")
    compared = reconcile_costs(ReconcileOptions(logs=(str(costly),)))

    assert unpriced.spend["total_cost"].to_list() == [None]
    assert repriced.spend["total_cost"].to_list() == [Decimal("0.003")]
    assert repriced.manifest["run"]["inputs_read"] == 0
    assert close_day(date(2025, 11, 3), options, state).closed.facts()["total_cost"].to_list() == [Decimal("0.003")]
    assert filled.totals["added_cost"] == "0.003"
    assert compared.rows["computed_cost"].to_list() == [Decimal("0.003")]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_report_and_an_explanation_use_the_new_rate(tmp_path: Path, workers: int) -> None:
    log = tmp_path / "calls.jsonl"
    usage = {"prompt_tokens": 1000, "completion_tokens": 1000}
    log.write_text(json.dumps({"model": "my/model", "user": "ana", "messages": [], "id": "c1", "usage": usage}) + "\n")
    options = ReportOptions(logs=(str(log),), work=WorkOptions(workers=workers))
    register_model(OWN)

    report = report_spend(options)
    (explained,) = explain_call(options, "c1")

    assert report.spend["total_cost"].to_list() == [Decimal("0.003")]
    assert report.manifest["options"]["prices"]["registered"]
    assert [line.total for line in explained.lines] == [Decimal("0.003")]


def test_model_cost_is_a_dict_to_whoever_takes_one() -> None:
    plain = dict(model_cost)

    assert isinstance(model_cost, dict)
    assert plain.keys() == set(model_cost)
    assert len(plain) == len(model_cost) > 1000
    assert json.loads(json.dumps(model_cost)) == plain == json.loads(json.dumps(model_cost, indent=1))
    pickled = pickle.loads(pickle.dumps(model_cost))
    for copied in (model_cost.copy(), model_cost | {}, {} | model_cost, {**model_cost}, pickled):
        assert type(copied) is dict
        assert copied == plain == model_cost
    assert model_cost | OWN == plain | OWN
    assert (OWN | model_cost)["my/model"] == OWN["my/model"]
    assert "my/model" not in model_cost
    assert repr(model_cost) == repr(plain)
    assert model_cost.get("no-such-model") is None
    assert model_cost.get("gpt-4o") == plain["gpt-4o"] == model_cost.setdefault("gpt-4o", {})


def test_what_is_put_into_model_cost_is_registered() -> None:
    other = {"my/other": {"input_cost_per_token": 3e-6}}
    live = model_cost
    model_cost.update(OWN, **other)
    live |= {"my/third": {"input_cost_per_token": 4e-6}}
    model_cost["gpt-4o"] = {"input_cost_per_token": 5e-6}

    assert live is model_cost
    assert cost_per_token("my/model", 1000, 1000) == (0.001, 0.002)
    assert [cost_per_token(model, 1000)[0] for model in ("my/other", "my/third", "gpt-4o")] == [0.003, 0.004, 0.005]
    assert model_cost["gpt-4o"] == {"input_cost_per_token": 5e-6}  # as with any dict, nothing of before is left
    with pytest.raises(PriceError, match="'bad': input_cost_per_token"):
        model_cost.update({"good": OWN["my/model"], "bad": {"input_cost_per_token": -1}})
    assert "good" not in model_cost
    with pytest.raises(PriceError, match="'gpt-4o' stays in model_cost"):
        model_cost.pop("gpt-4o")
    assert model_cost.pop("no-such-model", None) is None


def test_rows_of_a_map_that_are_no_models_are_not_registered() -> None:
    register_model({"sample_spec": {"input_cost_per_token": 0.0, "max_tokens": "LEGACY parameter"}, **OWN})

    assert "sample_spec" not in model_cost
    assert "my/model" in model_cost


def test_max_tokens_are_those_of_the_answer_else_of_the_prompt_where_a_map_leaves_them_out() -> None:
    for model, limit in (("gpt-3.5-turbo", 4096), ("text-embedding-3-small", 8191)):
        assert "max_tokens" not in (model_cost.entry(model) or {"max_tokens"})
        assert model_cost[model]["max_tokens"] == get_model_info(model)["max_tokens"] == get_max_tokens(model) == limit
    register_model({"my/model": {**OWN["my/model"], "max_tokens": 7, "max_output_tokens": 8}})
    assert model_cost["my/model"]["max_tokens"] == 7
    assert get_max_tokens("my/model") == 8


def test_new_fields_are_laid_over_a_known_model() -> None:
    before = model_cost["gpt-4o"]
    register_model({"gpt-4o": {"input_cost_per_token": "0.5"}})

    assert cost_per_token("gpt-4o", 2, 0) == (1.0, 0.0)
    assert model_cost["gpt-4o"] == {**before, "input_cost_per_token": 0.5}
    assert cost_per_token("gpt-4o", 10**6, 0, prices="litellm-1.106.4") == (2.5, 0.0)


def test_what_is_registered_travels_with_the_options() -> None:
    register_model({"gpt-4o": {"input_cost_per_token": 0.1, "output_cost_per_token": 3e-7}})
    options = pickle.loads(pickle.dumps(with_registered(PriceOptions())))
    forget_registered()

    found = open_book(options).resolve("gpt-4o", "openai", 0)

    assert (found.version, found.basis) == ("registered", "in_force")
    assert found.entry is not None
    assert found.entry["input_cost_per_token"] == Decimal("0.1")


def test_a_pinned_map_is_left_as_it_is() -> None:
    register_model(OWN)

    assert open_book(with_registered(PriceOptions(prices="litellm-1.106.4"))).resolve("my/model").key is None


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
        register_model({"m": 5})  # type: ignore[dict-item]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, "abc", True, 1e30, Decimal("NaN"), 10**400])
def test_what_is_no_price_is_refused_by_name_and_nothing_is_registered(value: Any) -> None:
    models = {"good": {"input_cost_per_token": 1e-6}, "bad": {"output_cost_per_token": value}}
    for force in (False, True):
        with pytest.raises(PriceError, match=r"'bad': output_cost_per_token: .* is no price"):
            register_model(models, force=force)
    assert not registered()


def test_a_rate_above_a_dollar_a_token_needs_force() -> None:
    dear = {"my/model": {**OWN["my/model"], "input_cost_per_token": 2.5}}
    with pytest.raises(PriceError, match=r"'my/model': input_cost_per_token: '2.5' is over 1 dollar a token") as caught:
        register_model(dear)
    assert "force=True" in caught.value.hint
    assert not registered()

    register_model(dear, force=True)

    assert cost_per_token("my/model", 2, 0) == (5.0, 0.0)


@pytest.mark.parametrize("models", [None, 5, ["m"], {5: {"input_cost_per_token": 1e-6}}])
def test_what_names_no_models_is_refused(models: Any) -> None:
    with pytest.raises(ConfigError, match="model_cost"):
        register_model(models)


def test_fields_that_lie_in_themselves_are_refused() -> None:
    fields: dict[str, Any] = {}
    fields["search_context_cost_per_query"] = fields
    with pytest.raises(PriceError, match="the fields of 'm' lie too deep"):
        register_model({"m": fields})


@pytest.mark.parametrize("limit", ["abc", True, [5]])
def test_a_limit_that_is_no_number_is_an_error(limit: Any) -> None:
    with pytest.raises(PriceError, match="limit of 'm' is no number"):
        get_max_tokens("m", prices={"m": {"max_tokens": limit}})


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
