"""Bills are read with the right amounts: every folder of cases/bills is a bill and what it says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from callcost.errors import LogError
from callcost.logs.bills import bill_dialects
from callcost.logs.bills.labels import read_label
from callcost.logs.bills.lines import BadLine, BillLine, read_amount, read_moment, read_month
from callcost.logs.bills.names import model_key, paid_provider
from callcost.logs.bills.reader import BillFile, read_bill
from callcost.logs.bills.restate import natural, settle_bill
from callcost.logs.io.inputs import find_inputs
from tests.command import ROOT

CASES = sorted(path.parent for path in (ROOT / "tests/cases/bills").glob("*/expected.json"))


def _read(path: Path) -> BillFile:
    return read_bill(find_inputs([str(path)])[0])


def _as_json(line: BillLine) -> dict[str, Any]:
    day = None if line.start_at is None else datetime.fromtimestamp(line.start_at / 1_000_000, UTC).date().isoformat()
    figures = {name: value and f"{value:f}" for name, value in (("quantity", line.quantity), ("amount", line.amount))}
    figures = {name: "0" if value == 0 else value for name, value in figures.items()}
    stated = {"kind": line.kind, "provider": line.provider, "day": day, "model": line.model,
            "token_class": line.token_class, **figures}  # fmt: skip
    return stated | {name: value for name in ("tier", "region", "call_id") if (value := getattr(line, name))}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_bill_says_what_it_says(case: Path) -> None:
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    found = _read(next(case.glob("bill.*")))
    lines, _ = settle_bill([found])
    assert found.dialects == {expected["dialect"]}
    assert found.rejects == []
    assert [_as_json(line) for line in lines] == expected["lines"]


def test_every_dialect_has_a_case() -> None:
    named = {json.loads((case / "expected.json").read_text(encoding="utf-8"))["dialect"] for case in CASES}
    assert named == {dialect.name for dialect in bill_dialects()}


def test_a_dialect_recognises_its_own_bills_and_no_others() -> None:
    """Asked in any order, so that none leans on its place."""
    for case in CASES:
        expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))["dialect"]
        text = next(case.glob("bill.*")).read_text(encoding="utf-8")
        header = {name.strip('"').lower().replace("/", "_") for name in text.split("\n")[0].split(",")}
        if not text.startswith("{") and not expected.startswith("aws_c"):
            assert [dialect.name for dialect in bill_dialects() if dialect.recognises(frozenset(header))] == [expected]


@pytest.mark.parametrize(
    ("text", "amount"),
    [("41280.000000", "41280.000000"), ("1.29e-05", "0.0000129"), ("$1,234.50", "1234.50"), ("-3", "-3"), ("0", "0")],
)
def test_an_amount_is_what_is_written(text: str, amount: str) -> None:
    assert read_amount(text) == Decimal(amount)


@pytest.mark.parametrize("value", ["three", "1.2.3", "NaN", "Infinity", "1e40", True, {}, []])
def test_what_is_no_amount_is_refused(value: Any) -> None:
    with pytest.raises(BadLine) as caught:
        read_amount(value)
    assert (caught.value.reason, caught.value.detail) == ("bad_amount", "amount")


@pytest.mark.parametrize(
    "text", ["", "11/2025", "2025-13", "2025-11-05/2025-11-01", "9999-12", "9999-12-31", "1969-12"]
)
def test_a_period_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadLine):
        read_month(text, "period")


def test_a_bill_may_write_times_as_the_united_states_do() -> None:
    moment = read_moment("2025-11-10T15:04:00Z", "date")
    assert read_moment("11/10/2025 3:04 PM", "date", us_dates=True) == moment
    for text in ("11/10/2025 3:04 XM", "13/10/2025", "11/10/2025 15:04 AM", "12/31/9999"):
        with pytest.raises(BadLine) as caught:
            read_moment(text, "date", us_dates=True)
        assert (caught.value.reason, caught.value.detail) == ("bad_period", "date")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Claude Sonnet 4.5", "claude-sonnet-4-5"),
        ("Claude Sonnet 3.5", "claude-3-5-sonnet"),
        ("Claude4.6Opus", "us.anthropic.claude-opus-4-6-v1:0"),
        ("Claude4.6Opus", "ca.anthropic.claude-opus-4-6-v1:0"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5-20250929"),
        ("gpt 4o 1120", "gpt-4o-2024-11-20"),
        ("openai/gpt-4.1-2025-04-14", "gpt-4.1-2025-04-14"),
        ("gemini-2.5-flash", "vertex_ai/gemini-2.5-flash"),
        ("Nova2.0Lite", "eu.amazon.nova-2-lite-v1:0"),
        ("claude-opus-4-0", "Claude Opus 4"),
    ],
)
def test_names_of_one_model_are_one(one: str, other: str) -> None:
    assert model_key(one) == model_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("gpt-4o-2024-05-13", "gpt-4o-2024-08-06"), ("gpt-4o", "gpt-4o-mini"), ("gpt-3.5", "gpt-5.3"),
     ("deepseek-v3", "deepseek-v2"), ("claude-opus-4-1", "claude-opus-4-5")],
)  # fmt: skip
def test_names_of_two_models_are_two(one: str, other: str) -> None:
    assert model_key(one) != model_key(other)


def test_providers_have_one_spelling() -> None:
    assert paid_provider("AWS") == paid_provider("bedrock_converse") == paid_provider("aws.bedrock") == "bedrock"
    assert paid_provider("Google Cloud") == paid_provider("gemini") == paid_provider("vertex_ai-anthropic") == "google"
    assert paid_provider("OpenAI") == "openai"


def test_a_cache_is_found_before_the_input_that_its_name_contains() -> None:
    assert read_label("cache-write-input-token-count").token_class == "cache_write"
    assert read_label("CacheWrite1hInputTokenCount").token_class == "cache_write_1h"
    assert read_label("uncached input").token_class == "input"


@pytest.mark.parametrize(
    ("label", "model", "token_class"),
    [
        ("5.4 Pro LongCo cd inp Dz 1M Tokens", "5.4-pro", "cache_read"),
        ("gpt 4o rt aud 1217 Inp glbl Tokens", "gpt-4o-realtime-1217", "audio_input"),
        ("gpt-image-1 txt Inp glbl Tokens", "gpt-image-1", "input"),
        ("Gemini 3.1 Flash Image Text Output - Predictions", "gemini-3.1-flash-image", "output"),
        ("Gemini 2.5 Pro Long Text Input - Predictions", "gemini-2.5-pro", "input"),
        ("Generate_content image output token count for Gemini 3 Pro Image", "gemini-3-pro-image", "image_output"),
        ("Grounding with Google Maps - Gemini 2.5", None, "maps_queries"),
        ("Guardrail-ContextualGroundingPolicyUnitsConsumed", None, "guardrail_units"),
        ("InputTokenCount_LCtx_Global-Units", None, "input"),
        ("CohereRerank-v3.5-search-units", None, "input_queries"),
    ],
)
def test_a_label_names_a_model_and_a_class(label: str, model: str | None, token_class: str) -> None:
    assert read_label(label)[:2] == (model, token_class)
    assert not read_label(label).is_fee


@pytest.mark.parametrize(
    "label", ["Reserved_1Month_InputTPM_Global", "Nova2.0Lite-ProvisionedThroughput-NoCommit-ModelUnits", "PTU hours"]
)
def test_capacity_is_a_fee(label: str) -> None:
    assert read_label(label).is_fee


# --- What cannot be read ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("half.json", '{"object": "page", "data": [{"object": "bucket", "start_time": 17621', "cut off"),
        ("nan.json", '{"amount": NaN, "currency": "usd", "starting_at": "2025-11-03"}', "no JSON"),
        ("other.csv", "one,two,three\n1,2,3\n", "looks like no bill"),
        ("other.json", '[{"one": 1}]', "looks like no bill"),
        ("list.json", "[1, 2]", "looks like no bill"),
        ("deep.json", "[" * 300 + "]" * 300, "nests too deeply"),
    ],
)
def test_what_is_no_whole_bill_is_an_error(tmp_path: Path, name: str, text: str, message: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LogError, match=message) as caught:
        _read(path)
    assert name in caught.value.message


def test_bytes_that_are_no_text_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "bill.csv").write_bytes(b"\xff\xfea\x00,\x00")
    with pytest.raises(LogError, match="cannot be read"):
        _read(tmp_path / "bill.csv")


def test_a_row_that_cannot_be_read_is_listed_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "bill.csv"
    path.write_text(
        "usage_date_utc,model,token_type,cost_usd\n2025-11-03,Claude Sonnet 4.5,output,1.5\n"
        "2025-11-03,Claude Sonnet 4.5,input_no_cache,a lot\nsome day,Claude Sonnet 4.5,output,2\n2025-11-03,cut\n",
        encoding="utf-8",
    )
    found = _read(path)
    assert [(reject.source_row, reject.reason) for reject in found.rejects] == [
        (3, "bad_amount"), (4, "bad_period"), (5, "bad_row"),
    ]  # fmt: skip
    assert "a lot" not in repr(found.rejects)
    assert [line.amount for record in found.records for line in record.lines] == [Decimal("1.5")]


# --- What holds in the end --------------------------------------------------------------------------------------------

HEADER = "usage_date_utc,model,token_type,cost_usd\n"


def _settled(tmp_path: Path, *files: str) -> Decimal:
    found = []
    for number, text in enumerate(files):
        path = tmp_path / f"{number}.csv"
        path.write_text(HEADER + text, encoding="utf-8")
        found.append(_read(path))
    return sum((line.amount or Decimal(0) for line in settle_bill(found)[0]), Decimal(0))


def test_a_restated_bucket_replaces_and_never_adds(tmp_path: Path) -> None:
    old, new = "2025-11-03,Claude Sonnet 4.5,output,1.5\n", "2025-11-03,Claude Sonnet 4.5,output,1.75\n"
    assert _settled(tmp_path, old, new) == Decimal("1.75")
    assert _settled(tmp_path, new, old) == Decimal("1.5")


def test_an_old_page_given_again_brings_nothing_back(tmp_path: Path) -> None:
    old, new = "2025-11-03,Claude Sonnet 4.5,output,1.5\n", "2025-11-03,Claude Sonnet 4.5,output,1.75\n"
    assert _settled(tmp_path, old, new, old) == Decimal("1.75")


def test_equal_lines_of_an_itemised_bill_add_but_the_same_file_does_not(tmp_path: Path) -> None:
    header = "SubscriptionId,Date,MeterCategory,MeterName,Quantity,Cost,BillingCurrency,UnitOfMeasure\n"
    row = "s,11/03/2025,Foundry Models,gpt 4o 1120 Inp glbl Tokens,1,0.5,USD,1K\n"
    files = []
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("\ufeff" + header + row * 2, encoding="utf-8")
        files.append(_read(tmp_path / name))
    assert sum(line.amount or 0 for line in settle_bill(files[:1])[0]) == 1
    lines, fates = settle_bill(files)
    assert sum(line.amount or 0 for line in lines) == 1
    assert fates["repeated"] == 2


def test_pages_are_in_the_order_of_their_numbers() -> None:
    assert sorted(["page-10", "page-2", "page-1"], key=natural) == ["page-1", "page-2", "page-10"]
