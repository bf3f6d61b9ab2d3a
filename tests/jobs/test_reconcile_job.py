"""Bills call by call, logged costs, other currencies, days that may still change, bills that are not right."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from callcost.cli.commands.reconcile import summary_lines
from callcost.errors import ConfigError, LogError
from callcost.jobs.reconcile import Reconciliation, read_tolerance, reconcile_costs
from callcost.settings import PriceOptions, ReconcileOptions
from tests.command import write_lines
from tests.jobs.bill_faults import FAULTS, make_world, write_world

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
IN, OUT, READ = Decimal("0.000002"), Decimal("0.000008"), Decimal("0.0000005")  # gpt-4.1, US dollars a token


def _run(log: Path, *bills: Path, **more: Any) -> Reconciliation:
    paths = tuple(str(bill) for bill in bills)
    return reconcile_costs(ReconcileOptions(logs=(str(log),), bills=paths, **{"as_of": AS_OF, **more}))


def _causes(result: Reconciliation, against: str = "bill") -> dict[str, Decimal]:
    rows = result.causes.filter(pl.col("against") == against)
    return dict(rows.group_by("cause").agg(pl.col("amount").sum()).sort("cause").iter_rows())


def _body(number: int, **usage: Any) -> dict[str, Any]:
    """One call to gpt-4.1 through OpenRouter."""
    prompt, completion = 1_000 + number, 100 + number
    return {
        "timestamp": f"2025-11-03T1{number % 10}:00:00Z",
        "provider": "openrouter",
        "request": {"model": "openai/gpt-4.1", "messages": [{"role": "user", "content": f"question {number}"}]},
        "response": {
            "id": f"gen-{number}", "object": "chat.completion", "model": "openai/gpt-4.1",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
                      **usage},
        },
    }  # fmt: skip


def _cost(number: int) -> Decimal:
    return (1_000 + number) * IN + (100 + number) * OUT


COLUMNS = (
    "generation_id", "created_at", "cost_total", "cost_web_search", "tokens_prompt", "tokens_completion",
    "model_permaslug",
)  # fmt: skip


def _activity(path: Path, rows: list[tuple[int, Decimal, Decimal]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, total, search in rows:
            writer.writerow((f"gen-{number}", f"2025-11-03T1{number % 10}:00:05Z", total, search, 1_000 + number,
                             100 + number, "openai/gpt-4.1-2025-04-14"))  # fmt: skip
    return path


def test_openrouter_activity_joins_call_by_call(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_body(number) for number in range(6)])
    search = Decimal("0.01")
    rows = [(number, _cost(number), Decimal(0)) for number in range(3)]
    rows += [(3, _cost(3) + search, search), (4, _cost(4) + Decimal("0.123"), Decimal(0)), (77, _cost(9), Decimal(0))]
    result = _run(log, _activity(tmp_path / "activity.csv", rows))
    assert _causes(result) == {
        "billed_not_logged": _cost(9),  # gen-77 is in no log
        "logged_not_billed": -_cost(5),
        "server_tools": search,
        "unexplained": Decimal("0.123"),
    }
    assert Decimal(result.manifest["bill"]["stated"]) == sum(total for _, total, _ in rows)


def test_activity_that_agrees_with_every_body_leaves_nothing(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_body(number) for number in range(5)])
    result = _run(log, _activity(tmp_path / "a.csv", [(number, _cost(number), Decimal(0)) for number in range(5)]))
    assert result.causes.is_empty()
    assert result.rows["difference"].to_list() == [0]
    assert result.rows["token_difference"].to_list() == [0]


# --- Logged costs -----------------------------------------------------------------------------------------------------


def test_logged_costs_are_explained_without_a_bill(tmp_path: Path) -> None:
    cached = {"prompt_tokens_details": {"cached_tokens": 500}}
    right = 500 * IN + 500 * READ
    rows = [
        _body(0, cost=float(_cost(0))),
        _body(1, cost=float(_cost(1) / 2)),  # as a batch
        _body(2, cost=0),
        _body(3, cost=float(_cost(3) * 100)),
        _body(4, cost=float(_cost(4)) + 0.0123),
        _body(0, **cached, cost=float(_cost(0))) | {"timestamp": "2025-11-03T19:00:00Z"},
    ]
    rows[-1]["response"]["id"] = "gen-cached"
    result = _run(write_lines(tmp_path / "log.jsonl", rows))
    found = _causes(result, "log")
    assert found["tier_or_batch"] == -_cost(1) / 2
    assert found["logged_not_billed"] == -_cost(2)
    assert found["unit_error"] == 99 * _cost(3)
    assert found["unexplained"] == Decimal("0.0123")
    assert found["cache"] == 1_000 * IN - right
    assert result.manifest["bill"] is None
    assert sum(found.values()) == Decimal(result.manifest["log"]["difference"])


@pytest.mark.parametrize(
    ("off", "words"),
    [
        (500 * READ, "twice"),
        (-500 * READ, "not at all"),
        (500 * IN, "as input, too"),
        (500 * (IN - READ), "at the price of input"),
    ],
)
def test_cached_tokens_counted_wrongly_are_seen_in_one_call(tmp_path: Path, off: Decimal, words: str) -> None:
    cost = 500 * IN + 500 * READ + 100 * OUT + off
    row = _body(0, prompt_tokens_details={"cached_tokens": 500}, cost=float(cost))
    result = _run(write_lines(tmp_path / "log.jsonl", [row]))
    assert result.causes.select("cause", "amount").rows() == [("cache", off)]
    assert result.causes["evidence"][0].endswith(words)


def test_a_discount_is_seen_over_many_calls(tmp_path: Path) -> None:
    factor = Decimal("0.83")
    rows = [_body(number, cost=float(_cost(number) * factor)) for number in range(8)]
    found = _causes(_run(write_lines(tmp_path / "log.jsonl", rows)), "log")
    assert set(found) <= {"discount", "rounding"}
    assert found["discount"] == pytest.approx(-sum(_cost(number) for number in range(8)) * (1 - factor))


def _payload(number: int, cost: Decimal, rates: Any, **more: Any) -> dict[str, Any]:
    """One call to gpt-4.1 as LiteLLM logs it, with the entry of its cost map."""
    prompt, completion = 1_000 + number, 100 + number
    return {
        "id": f"chatcmpl-{number}", "call_type": "acompletion", "status": "success", "custom_llm_provider": "openai",
        "startTime": f"2025-11-03 1{number % 10}:00:00.5", "model": "gpt-4.1", "response_cost": float(cost),
        "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
        "model_map_information": {"model_map_key": "gpt-4.1", "model_map_value": rates}, **more,
    }  # fmt: skip


OLD = {"input_cost_per_token": 1e-06, "output_cost_per_token": 4e-06, "litellm_provider": "openai", "mode": "chat"}
OLD_IN, OLD_OUT = Decimal("0.000001"), Decimal("0.000004")


def _at_old_rates(number: int) -> Decimal:
    return (1_000 + number) * OLD_IN + (100 + number) * OLD_OUT


def test_the_rates_that_a_log_states_are_the_evidence_of_another_version(tmp_path: Path) -> None:
    """Half of every rate would be a batch, if the log did not say at which rates it was charged."""
    rows = [
        _payload(0, _cost(0), {**OLD, "input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06}),
        _payload(1, _at_old_rates(1), OLD),
        _payload(2, _at_old_rates(2), json.dumps(OLD)),
        _payload(3, Decimal(0), {**OLD, "input_cost_per_token": 0, "output_cost_per_token": 0}),
        _payload(4, _at_old_rates(4) + Decimal("0.0123"), OLD),  # not these rates, either
        _payload(5, _at_old_rates(5), None),
    ]
    result = _run(write_lines(tmp_path / "log.jsonl", rows))
    found = _causes(result, "log")
    stated = [*((_at_old_rates(number), _cost(number)) for number in (1, 2)), (Decimal(0), _cost(3))]
    assert found["price_version"] == sum(logged - ours for logged, ours in stated)
    assert found["tier_or_batch"] == _at_old_rates(5) - _cost(5)
    assert found["unexplained"] == _at_old_rates(4) + Decimal("0.0123") - _cost(4)
    assert sum(found.values()) == Decimal(result.manifest["log"]["difference"])
    evidence = result.causes.filter(pl.col("cause") == "price_version")["evidence"].to_list()
    assert evidence == [
        "the rates that the log states: text_input 0, text_output 0",
        "the rates that the log states: text_input 0.000001, text_output 0.000004",
    ]


def test_stated_rates_before_our_discount_are_a_discount(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('[[discounts]]\nprovider = "openai"\npercent = 25\n', encoding="utf-8")
    rates = {**OLD, "input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06}
    log = write_lines(tmp_path / "log.jsonl", [_payload(1, _cost(1), rates)])
    result = _run(log, prices=PriceOptions(override=str(mine)))
    assert _causes(result, "log") == {"discount": _cost(1) / 4}


@pytest.mark.parametrize("rates", [{"input_cost_per_token": 1e300}, {"mode": "chat"}, "[", [], 7, {"x_cost": {}}])
def test_stated_rates_that_are_none_are_no_evidence(tmp_path: Path, rates: Any) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_payload(1, _at_old_rates(1), rates)])
    assert _causes(_run(log), "log") == {"tier_or_batch": _at_old_rates(1) - _cost(1)}


# --- Currencies -------------------------------------------------------------------------------------------------------


def _console_cost(path: Path, rows: list[str]) -> Path:
    path.write_text("period,provider,amount,currency\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_a_bill_in_euros_needs_rates(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_body(0)])
    bill = _console_cost(tmp_path / "bill.csv", ["2025-11,openrouter,0.0024,EUR"])
    with pytest.raises(ConfigError, match="EUR") as caught:
        _run(log, bill)
    assert "--fx" in caught.value.hint


def test_a_bill_in_euros_is_compared_in_euros(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_body(0)])
    fx = tmp_path / "fx.csv"
    rates = ("2025-11-01,EUR,0.8", "2025-11-04,EUR,0.9", "2025-11-01,GBP,0.5")
    fx.write_text("\n".join(("date,currency,rate", *rates, "")), encoding="utf-8")
    due = _cost(0) * Decimal("0.8")
    result = _run(log, _console_cost(tmp_path / "bill.csv", [f"2025-11,openrouter,{due},EUR"]), fx=str(fx))
    row = result.rows.row(0, named=True)
    assert (row["currency"], row["computed_cost"], row["difference"]) == ("EUR", due, 0)


def test_bills_in_two_currencies_are_refused(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_body(0)])
    bill = _console_cost(tmp_path / "bill.csv", ["2025-11,openrouter,1,EUR", "2025-11,openai,1,USD"])
    with pytest.raises(ConfigError, match="EUR and USD"):
        _run(log, bill)


@pytest.mark.parametrize(
    "text",
    [
        "date,currency\n2025-11-01,EUR\n",
        "date,currency,rate\nx,EUR,1\n",
        "date,currency,rate\n2025-11-01,EUR,0\n",
        "date,currency,rate\n2025-11-01,GBP,1\n",
    ],
)
def test_rates_that_cannot_be_used_are_refused(tmp_path: Path, text: str) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_body(0)])
    (tmp_path / "fx.csv").write_text(text, encoding="utf-8")
    bill = _console_cost(tmp_path / "bill.csv", ["2025-11,openrouter,1,EUR"])
    with pytest.raises(ConfigError):
        _run(log, bill, fx=str(tmp_path / "fx.csv"))


# --- Days, invoices, tolerance ----------------------------------------------------------------------------------------


def test_days_whose_bill_may_still_change_are_marked_and_not_alarmed(tmp_path: Path) -> None:
    world = make_world()
    for (day, _, _), entry in world.bill.entries.items():
        if day == "2025-11-10":
            entry.tokens, entry.amount = 0, Decimal(0)
    log, bill = write_world(tmp_path, world)
    early = datetime(2025, 11, 11, 12, tzinfo=UTC)
    open_result = _run(log, bill, as_of=early, tolerance="0.01")
    last = open_result.rows.filter(pl.col("day") == datetime(2025, 11, 10).date())  # noqa: DTZ001 - a date
    assert set(last["status"]) == {"open"}
    assert set(open_result.rows.filter(pl.col("day") < last["day"][0])["status"]) == {"final"}
    assert open_result.exit_code == 0
    assert Decimal(open_result.manifest["bill"]["open_difference"]) < 0
    assert _run(log, bill, tolerance="0.01").exit_code == 3


def test_an_invoice_is_compared_as_a_whole(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_body(number) for number in range(3)])
    due = sum(_cost(number) for number in range(3))
    result = _run(log, _console_cost(tmp_path / "bill.csv", [f"2025-11,OpenRouter,{due},USD"]))
    assert result.rows.select("day", "model", "difference").rows() == [(datetime(2025, 11, 1).date(), None, 0)]  # noqa: DTZ001


def test_an_invoice_beside_a_bill_is_a_control_and_adds_nothing(tmp_path: Path) -> None:
    log, bill = write_world(tmp_path, make_world())
    invoice = _console_cost(tmp_path / "invoice.csv", ["2025-11,Anthropic,2.50,USD"])
    result = _run(log, bill, invoice)
    assert result.causes.is_empty()
    assert [row["invoice"] for row in result.manifest["invoices"]] == ["2.5"]


@pytest.mark.parametrize(
    ("text", "meaning"), [("0.5%", ("0.5", True)), ("$1,000.50", ("1000.50", False)), ("0", ("0", False))]
)
def test_a_tolerance_is_a_percentage_or_an_amount(text: str, meaning: tuple[str, bool]) -> None:
    assert read_tolerance(text) == (Decimal(meaning[0]), meaning[1])


@pytest.mark.parametrize("text", ["much", "-1", "%", "NaN"])
def test_a_tolerance_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--tolerance"):
        read_tolerance(text)


def test_only_the_interval_is_compared_on_both_sides(tmp_path: Path) -> None:
    log, bill = write_world(tmp_path, make_world())
    days = {"since": datetime(2025, 11, 4, tzinfo=UTC), "until": datetime(2025, 11, 6, tzinfo=UTC)}
    result = _run(log, bill, **days)
    assert result.causes.is_empty()
    assert [day.day for day in result.rows["day"].unique().sort()] == [4, 5]


def test_a_bill_of_counts_explains_tokens_and_states_no_money(tmp_path: Path) -> None:
    world = make_world()
    FAULTS["lose_calls"](world)
    log, bill = write_world(tmp_path, world)
    for path in bill.glob("*-costs.json"):
        path.unlink()
    result = _run(log, bill)
    assert set(result.causes["cause"]) == {"billed_not_logged"}
    assert result.causes["amount"].null_count() == result.causes.height
    assert result.rows["difference"].null_count() == result.rows.height
    assert result.causes["tokens"].sum() == result.rows["token_difference"].sum() > 0


# --- Bills that are not right -----------------------------------------------------------------------------------------


def test_the_bill_of_another_year_is_said_to_be_one(tmp_path: Path) -> None:
    log, bill = write_world(tmp_path, make_world())
    for path in bill.iterdir():
        path.write_text(path.read_text(encoding="utf-8").replace("2025-11", "2024-11"), encoding="utf-8")
    for path in bill.glob("openai*"):
        path.unlink()
    result = _run(log, bill)
    assert set(_causes(result)) == {"billed_not_logged"} | {"server_tools"} & set(_causes(result))
    assert any("no call of the logs falls in the days of the bill" in note for note in result.manifest["notes"])
    assert set(result.manifest["not_compared"]["calls_outside_the_bill"]) == {"anthropic", "openai"}


def test_calls_without_a_price_that_no_bill_covers_are_not_of_nothing(tmp_path: Path) -> None:
    _, bill = write_world(tmp_path, make_world())
    call: dict[str, Any] = {"id": "1", "model": "no-such-model", "provider": "elsewhere"}
    call |= {"timestamp": "2025-11-04T10:00:00Z", "usage": {"prompt_tokens": 9, "completion_tokens": 1}}
    result = _run(write_lines(tmp_path / "other.jsonl", [call]), bill)
    assert list(result.manifest["not_compared"]["calls_outside_the_bill"].values()) == [None]
    assert any(line.endswith(" calls without a price") for line in summary_lines(result))


def test_credits_are_discounts_and_rows_without_meaning_are_listed(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_body(0)])
    bill = tmp_path / "bill.csv"
    bill.write_text(
        "usage_date_utc,model,token_type,cost_usd\n2025-11-03,Claude Sonnet 4.5,credit,-2.5\n"
        "2025-11-03,Claude Sonnet 4.5,starlight,1.25\n2025-11-03,Claude Sonnet 4.5,output,oops\n",
        encoding="utf-8",
    )
    result = _run(log, bill)
    assert _causes(result) == {"discount": Decimal("-2.5"), "unmapped_line_item": Decimal("1.25")}
    assert result.manifest["bill"]["unmapped"] == [
        {"provider": "anthropic", "line_item": "starlight", "amount": "1.25"}
    ]
    assert result.manifest["bill_rejects"] == [
        {"path": "bill.csv", "row": 4, "reason": "bad_amount", "detail": "cost_usd"}
    ]


def test_capacity_is_a_fee_and_no_line_that_nobody_knows(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_body(0)])
    bill = tmp_path / "bill.csv"
    bill.write_text(
        "Date,MeterCategory,MeterName,Quantity,Cost,BillingCurrency,UnitOfMeasure\n"
        "11/03/2025,Foundry Models,Provisioned Managed Global Unit,24,24,USD,1 Hour\n",
        encoding="utf-8",
    )
    result = _run(log, bill)
    assert _causes(result) == {"fee": Decimal(24)}
    assert (result.manifest["bill"]["unmapped"], result.manifest["bill"]["fees"]) == (
        [], [{"provider": "azure", "line_item": "Provisioned Managed Global Unit", "amount": "24"}]
    )  # fmt: skip


def test_a_bill_of_other_things_is_said_to_be_one(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_body(0)])
    bill = tmp_path / "bill.csv"
    bill.write_text(
        "BilledCost,BillingCurrency,ChargeCategory,ChargePeriodStart,ConsumedQuantity,ConsumedUnit,ServiceCategory,"
        "ServiceName\n5,USD,Usage,2025-11-03T00:00:00Z,3,GB,AI and Machine Learning,Azure Machine Learning\n",
        encoding="utf-8",
    )
    result = _run(log, bill)
    assert result.manifest["notes"] == ["no line of this bill is about LLM calls: 1 is of another service"]
    assert not result.manifest["bill"]["states_amounts"]
    assert not result.manifest["bill"]["states_counts"]


def test_causes_say_whose_they_are_by_the_bills_keys_and_the_logs_names(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [{**_body(0), "user": "ann"}, {**_body(1), "user": "bob"}])
    results = [
        {"object": "organization.costs.result", "amount": {"value": value, "currency": "usd"}, "api_key_id": key,
         "line_item": "gpt-4.1, input", "project_id": "p", "quantity": tokens, "quantity_unit": "tokens"}
        for key, tokens, value in (("key_a", 1_000, 0.002), ("key_b", 3_000, 0.006), (None, 500, 0.001))
    ]  # fmt: skip
    bucket = {"object": "bucket", "start_time": 1762128000, "end_time": 1762214400, "results": results}
    bill, keys = tmp_path / "bill.json", tmp_path / "keys.csv"
    bill.write_text(json.dumps({"object": "page", "data": [bucket], "has_more": False}), encoding="utf-8")
    keys.write_text("id,user\nkey_a,ann\nkey_b,bob\n", encoding="utf-8")
    result = _run(log, bill, by="user", keys=keys)
    rows = result.causes.filter(pl.col("against") == "bill").group_by("owner").agg(pl.col("amount").sum())
    found = {owner: f"{amount.normalize():f}" for owner, amount in rows.iter_rows()}
    assert found == {"ann": "0.002", "bob": "0.006", "unattributed": "0.001"}
    (cause,) = result.manifest["bill"]["causes"]
    assert [row["owner"] for row in cause["owners"]] == ["bob", "ann", "unattributed"]
    assert _run(log, bill).causes["owner"].null_count() == 1


def test_half_a_page_is_an_error(tmp_path: Path) -> None:
    log, bill = write_world(tmp_path, make_world())
    path = bill / "openai-costs.json"
    path.write_text(path.read_text(encoding="utf-8")[:2_000], encoding="utf-8")
    with pytest.raises(LogError, match=r"openai-costs\.json is cut off"):
        _run(log, bill)


def test_a_page_that_says_more_follow_is_noted(tmp_path: Path) -> None:
    log, bill = write_world(tmp_path, make_world())
    path = bill / "openai-costs.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"has_more": false', '"has_more": true'), encoding="utf-8")
    assert any("more follow" in note for note in _run(log, bill).manifest["notes"])


def test_two_bills_for_a_day_are_not_added(tmp_path: Path) -> None:
    world = make_world()
    log, bill = write_world(tmp_path, world)
    console = tmp_path / "console.csv"
    console.write_text(
        "usage_date_utc,model,token_type,cost_usd\n2025-11-03,Claude Sonnet 4.5,output,9.99\n", encoding="utf-8"
    )
    result = _run(log, bill, console)
    assert result.causes.is_empty()
    assert result.manifest["not_compared"]["second_bills"] == [
        {"dialect": "anthropic_console_cost", "provider": "anthropic", "amount": "9.99"}
    ]


def test_a_bill_as_parquet_is_read(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_body(0) | {"provider": "openai"}])
    row = {
        "BilledCost": Decimal(1_000) * IN, "BillingCurrency": "USD",
        "ChargePeriodStart": datetime(2025, 11, 3, tzinfo=UTC), "ChargePeriodEnd": datetime(2025, 11, 4, tzinfo=UTC),
        "ChargeCategory": "Usage", "ServiceName": "OpenAI API",
        "ServiceProviderName": "OpenAI", "SkuMeter": "Input Tokens", "x_Model": "gpt-4.1", "ConsumedQuantity": 1_000,
        "ConsumedUnit": "Tokens",
    }  # fmt: skip
    more = {"SkuMeter": "Output Tokens", "ConsumedQuantity": 100, "BilledCost": 100 * OUT}
    pq.write_table(pa.Table.from_pylist([row, {**row, **more}]), tmp_path / "focus.parquet")
    result = _run(log, tmp_path / "focus.parquet")
    assert result.rows["difference"].to_list() == [0, 0]
    assert result.causes.is_empty()


def test_files_are_published_and_the_same_again(tmp_path: Path) -> None:
    log, bill = write_world(tmp_path, make_world())
    outs = [tmp_path / "one", tmp_path / "two"]
    for out in outs:
        _run(log, bill, out=str(out))
    names = ["causes.csv", "manifest.json", "reconcile.html", "reconciliation.csv", "reconciliation.parquet"]
    assert [sorted(path.name for path in out.iterdir()) for out in outs] == [names, names]
    for name in names:
        one, two = ((out / name).read_bytes() for out in outs)
        if name == "manifest.json":
            one, two = (json.dumps({**json.loads(text), "run": None}).encode() for text in (one, two))
        assert one == two, name
