"""What other tables said, and when: names, hosts, the last word of each, and genai-prices where it is installed."""

from __future__ import annotations

import sys
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import zstandard

from callcost.errors import PriceError
from callcost.prices.upstream.other_tables import (
    OtherTables,
    SeenRate,
    host_of,
    plain_name,
    read_bundled,
    read_genai_prices,
    undated,
)


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "claude-sonnet-4-5-20250929"),
        ("anthropic.claude-3-5-sonnet-20241022-v2:0", "claude-3-5-sonnet-20241022"),
        ("amazon.titan-embed-text-v2:0", "titan-embed-text-v2"),
        ("amazon.titan-embed-text-v1", "titan-embed-text"),
        ("vertex_ai/claude-3-opus@20240229", "claude-3-opus-20240229"),
        ("vertex_ai/mistral-small-2503@001", "mistral-small-2503"),
        ("novita/zai-org/GLM-4.7", "glm-4-7"),
        ("gpt-3.5-turbo", "gpt-3-5-turbo"),
        ("openrouter/x/y:free", "y:free"),
    ],
)
def test_names_are_compared_in_one_spelling(name: str, plain: str) -> None:
    assert plain_name(name) == plain_name(plain) == plain


@pytest.mark.parametrize(
    ("name", "without"),
    [("claude-3-opus-20240229", "claude-3-opus"), ("gpt-4o-2024-08-06", "gpt-4o"), ("qwen3-235b-a22b-2507",) * 2],
)
def test_dates_are_left_out_where_hosts_are_compared(name: str, without: str) -> None:
    assert undated(name) == without


@pytest.mark.parametrize(
    ("provider", "host"),
    [
        ("bedrock_converse", "bedrock"), ("aws", "bedrock"), ("vertex_ai-language-models", "vertex_ai"),
        ("fireworks_ai-embedding-models", "fireworks_ai"), ("huggingface_together", "together_ai"), ("x-ai", "xai"),
        ("huggingface", "huggingface"), ("", ""), ("nobody", "nobody"),
    ],
)  # fmt: skip
def test_all_apis_of_a_host_are_one(provider: str, host: str) -> None:
    assert host_of(provider) == host


def row(value: str, since: str, until: str, table: str = "x", model: str = "a") -> SeenRate:
    return SeenRate(table, "groq", model, "text_input", Decimal(value), since, until)


def test_the_last_word_of_a_day_is_known() -> None:
    tables = OtherTables([
        row("1", "2026-01-01", "2026-01-31"), row("2", "2026-02-01", "2026-03-31"),
        row("3", "2026-01-15", "2026-02-10"), row("4", "2026-01-01", "2026-01-02", table="y"),
        row("5", "2026-01-01", "2026-12-31", model="a-20260101"),
    ])  # fmt: skip

    def known(day: str) -> list[int]:
        return sorted(int(each.value) for each in tables.known("a", "text_input", day))

    assert known("2026-01-01") == []  # a table's word counts from the next day on
    assert known("2026-01-02") == [1, 4, 5]
    assert known("2026-02-05") == [2, 3, 4, 5]
    assert known("2026-12-01") == [2, 4, 5]  # it holds until the table says something else
    assert tables.known("a", "text_output", "2026-12-01") == tables.known("b", "text_input", "2026-12-01") == []


def test_genai_prices_is_one_more_table_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def prices(**listed: Decimal | SimpleNamespace) -> SimpleNamespace:
        return SimpleNamespace(**listed)

    def dated(constraint: SimpleNamespace | None, **listed: Decimal) -> SimpleNamespace:
        return SimpleNamespace(constraint=constraint, prices=prices(**listed))

    tiered = SimpleNamespace(base=Decimal(3), tiers=[])
    models = [
        SimpleNamespace(id="acme/Deep-1", prices=prices(input_mtok=tiered, output_mtok=Decimal(12))),
        SimpleNamespace(id="deep-2", prices=[
            dated(None, input_mtok=Decimal(2)),
            dated(SimpleNamespace(start_date=date(2026, 3, 1)), input_mtok=Decimal(1)),
            dated(SimpleNamespace(start_time=time(1), end_time=time(2)), input_mtok=Decimal(9)),
        ]),
    ]  # fmt: skip
    module = ModuleType("genai_prices.data")
    module.providers = [SimpleNamespace(id="together", models=models)]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "genai_prices", ModuleType("genai_prices"))
    monkeypatch.setitem(sys.modules, "genai_prices.data", module)

    assert [each[1:] for each in read_genai_prices()] == [
        ("together_ai", "deep-1", "text_input", Decimal("0.000003"), "", "9999-12-31"),
        ("together_ai", "deep-1", "text_output", Decimal("0.000012"), "", "9999-12-31"),
        ("together_ai", "deep-2", "text_input", Decimal("0.000002"), "", "2026-03-01"),
        ("together_ai", "deep-2", "text_input", Decimal("0.000001"), "2026-03-01", "9999-12-31"),
    ]
    monkeypatch.setitem(sys.modules, "genai_prices.data", None)
    assert list(read_genai_prices()) == []


@pytest.mark.parametrize("content", [b"no archive", zstandard.compress(b"host,model\na,b\n")])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices" / "other_tables.csv.zst").write_bytes(content)
    monkeypatch.setattr("callcost.prices.upstream.other_tables.data_dir", lambda: tmp_path)
    with pytest.raises(PriceError, match=r"cannot read the rates of other tables .*other_tables\.csv\.zst"):
        list(read_bundled())
