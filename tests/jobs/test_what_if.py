"""What the same calls would have cost otherwise: models, batches, caches, tiers, prices; what stays, and why."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from callcost import ConfigError, LogError, ReportOptions, report_spend, suggest_savings, what_if
from callcost.jobs.analysis.what_if import AlternativeSpend
from callcost.settings import ReadOptions
from callcost.stages.analysis.alternative_calls import LEAST_CACHED
from callcost.stages.tables.facts import facts_of_pieces
from callcost.tables import Call
from tests.bench.month import write_month
from tests.command import callcost, write_lines

DAY = "2025-09-10T08:00:00Z"


def _row(number: int, model: str = "gpt-4o", prompt: int = 1000, answer: int = 100, **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": prompt, "completion_tokens": answer} | more.pop("usage", {})
    return {"id": f"c{number}", "timestamp": DAY, "model": model, "user": f"u{number}", "usage": usage} | more


def _chat(number: int, model: str = "gpt-4o", content: Any = "Hello there", **request: Any) -> dict[str, Any]:
    answer = {"role": "assistant", "content": "Hello yourself"}
    usage = {"prompt_tokens": 9, "completion_tokens": 2}
    return {
        "id": f"c{number}", "timestamp": DAY, "user": f"u{number}",
        "request": {"model": model, "messages": [{"role": "user", "content": content}]} | request,
        "response": {"id": f"r{number}", "object": "chat.completion", "model": model, "usage": usage,
                     "choices": [{"index": 0, "message": answer, "finish_reason": "stop"}]},
    }  # fmt: skip


def _asked(tmp_path: Path, rows: list[dict[str, Any]], **what: Any) -> AlternativeSpend:
    log = write_lines(tmp_path / "log.jsonl", rows)
    return what_if(ReportOptions(logs=log, by="user"), **what)


def _only(found: AlternativeSpend) -> dict[str, Any]:
    (row,) = found.groups.to_dicts()
    return row


def test_a_model_of_the_same_family_takes_the_stated_tokens_over(tmp_path: Path) -> None:
    row = _only(_asked(tmp_path, [_row(1)], models={"gpt-4o": "gpt-4o-mini"}))
    assert (row["old_cost"], row["new_cost"]) == (Decimal("0.0035"), Decimal("0.00021"))
    assert row["saved_cost"] == Decimal("0.00329")
    assert (row["old_tokens"], row["new_tokens"], row["token_error"]) == (1100, 1100, 0)
    assert (row["changed_calls"], row["kept_calls"], row["recounted_calls"]) == (1, 0, 0)


def test_caches_hold_the_same_share_and_are_plain_input_where_they_have_no_price(tmp_path: Path) -> None:
    usage = {"prompt_tokens_details": {"cached_tokens": 400}}
    row = _only(_asked(tmp_path, [_row(1, usage=usage)], models={"gpt-4o": "gpt-4o-mini"}))
    assert row["new_cost"] == 600 * Decimal("15E-8") + 400 * Decimal("75E-9") + 100 * Decimal("6E-7")
    written = {"cache_creation_input_tokens": 400, "input_tokens": 600, "output_tokens": 100}
    claude = {"id": "m1", "timestamp": DAY, "user": "u1", "model": "claude-sonnet-4-5", "usage": written}
    row = _only(_asked(tmp_path, [claude], models={"claude*": "claude-haiku-4-5"}))
    assert row["new_cost"] * 3 == row["old_cost"]


def test_texts_are_counted_again_over_logs_and_scaled_over_their_report(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_chat(1)])
    options = ReportOptions(logs=log, by="user")
    row = _only(what_if(options, models=["gpt-4o=claude-sonnet-4-5"]))
    renamed = write_lines(tmp_path / "renamed.jsonl", [_chat(1, "claude-sonnet-4-5")])
    lines = json.loads(renamed.read_text())
    del lines["response"]["usage"]
    write_lines(renamed, [lines])
    wanted = report_spend(ReportOptions(logs=renamed, by="user")).spend.row(0, named=True)
    assert (row["new_cost"], row["new_tokens"]) == (wanted["total_cost"], wanted["total_tokens"])
    assert (row["recounted_calls"], row["scaled_calls"]) == (1, 0)
    report_spend(ReportOptions(logs=log, out=tmp_path / "held", calls=True))
    held = _only(what_if(ReportOptions(logs=tmp_path / "held", by="user"), models={"gpt-4o": "gpt-4-turbo"}))
    assert (held["old_cost"], held["scaled_calls"], held["kept_calls"]) == (row["old_cost"], 1, 0)
    assert held["token_error"] > 0


def test_of_a_log_only_the_calls_that_move_are_read_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, laid = write_month(tmp_path / "month.jsonl", 1_500), Counter[str]()

    def spied(pieces: Iterable[tuple[Sequence[Call], int, int]]) -> pl.DataFrame:
        held = list(pieces)
        laid.update(call.model for calls, _, _ in held for call in calls)
        return facts_of_pieces(held)

    monkeypatch.setattr("callcost.stages.tables.facts.facts_of_pieces", spied)
    asked = partial(what_if, ReportOptions(logs=log, by="user,model"), models="gpt-4o=claude-haiku-4-5")
    found = asked()
    assert laid["gpt-4o"] > 200
    assert sum(laid.values()) - laid["gpt-4o"] < 100
    monkeypatch.setattr("callcost.stages.columnar.stretches.COLUMN_BYTES", 1 << 40)  # nothing is read by columns
    plain = asked()
    assert found.groups.equals(plain.groups)
    assert found.kept.equals(plain.kept)
    assert found.groups["recounted_calls"].sum() > 200


def test_what_a_model_cannot_take_stays_at_its_cost_and_says_why(tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    picture = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
    rows = [
        _chat(1, tools=[tool]), _chat(2, content=picture), _row(3, prompt=20_000), _row(4, answer=5000),
        _row(5, "acme-9"), _row(6, "gpt-4o-audio-preview", usage={"prompt_tokens_details": {"audio_tokens": 5}}),
        {"id": "e", "timestamp": DAY, "user": "u7", "model": "text-embedding-3-small", "usage": {"prompt_tokens": 9}},
    ]  # fmt: skip
    found = _asked(tmp_path, rows, models={"*": "gpt-3.5-turbo"})
    reasons = {row["user"]: [each["reason"] for each in row["kept"]] for row in found.groups.to_dicts()}
    assert reasons == {
        "u1": [], "u2": ["no_image"], "u3": ["prompt_too_long"], "u4": ["answer_too_long"], "u5": ["unpriced"],
        "u6": ["media"], "u7": ["other_kind"],
    }  # fmt: skip
    for row in found.groups.filter(pl.col("kept_calls") > 0).to_dicts():
        assert (row["new_cost"], row["kept_cost"]) == (row["old_cost"], row["old_cost"])
    assert found.kept["calls"].sum() == 6
    assert found.kept["cost"].sum() == found.groups["kept_cost"].sum()


def test_calls_by_batch_and_in_another_tier_cost_what_these_cost(tmp_path: Path) -> None:
    rows = [_row(1), _row(2, "o3"), _row(3, "grok-3")]
    batch = _asked(tmp_path, rows, batch="gpt-4o*").groups
    halves = {row["user"]: row["new_cost"] / row["old_cost"] for row in batch.to_dicts()}
    assert halves == {"u1": Decimal("0.5"), "u2": 1, "u3": 1}
    flex = {row["user"]: row for row in _asked(tmp_path, rows, tier="flex").groups.to_dicts()}
    assert flex["u2"]["new_cost"] * 2 == flex["u2"]["old_cost"]
    assert [each["reason"] for each in flex["u1"]["kept"]] == ["rate_fallback"]
    assert (flex["u1"]["new_cost"], flex["u1"]["changed_calls"]) == (flex["u1"]["old_cost"], 0)


def test_without_caches_and_with_all_in_them(tmp_path: Path) -> None:
    half = {"prompt_tokens_details": {"cached_tokens": 1000}}
    rows = [_row(1, prompt=2000, usage=half), _row(2, prompt=LEAST_CACHED - 1), _row(3, prompt=2000)]
    none = {row["user"]: row for row in _asked(tmp_path, rows, cache="none").groups.to_dicts()}
    assert none["u1"]["new_cost"] == none["u3"]["old_cost"] == none["u3"]["new_cost"]
    assert (none["u1"]["changed_calls"], none["u3"]["changed_calls"]) == (1, 0)
    whole = {row["user"]: row for row in _asked(tmp_path, rows, cache="all").groups.to_dicts()}
    assert whole["u1"]["new_cost"] == whole["u3"]["new_cost"] == 2000 * Decimal("125E-8") + 100 * Decimal("1E-5")
    assert whole["u2"]["changed_calls"] == 0
    found = _asked(tmp_path, [_row(1, "claude-haiku-4-5", 4000), _row(2, "claude-haiku-4-5", 4100)], cache="all")
    assert {row["user"]: row["changed_calls"] for row in found.groups.to_dicts()} == {"u1": 0, "u2": 1}


def test_other_prices_move_every_call(tmp_path: Path) -> None:
    row = _only(_asked(tmp_path, [_row(1)], prices="2024-06-01"))
    assert (row["old_cost"], row["new_cost"]) == (Decimal("0.0035"), Decimal("0.0065"))


def test_costs_that_these_prices_do_not_give_stay(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[[discounts]]\nprovider = "openai"\npercent = 10\n', encoding="utf-8")
    log = write_lines(tmp_path / "log.jsonl", [_row(1)])
    assert callcost("report", log, "--prices-override", own, "--out", tmp_path / "held", "--calls").code == 0
    row = _only(what_if(ReportOptions(logs=tmp_path / "held", by="user"), models={"gpt-4o": "gpt-4o-mini"}))
    assert ([each["reason"] for each in row["kept"]], row["saved_cost"]) == (["priced_otherwise"], 0)
    known = callcost("what-if", tmp_path / "held", "--model", "gpt-4o=gpt-4o-mini", "--prices-override", own,
                     "--format", "csv")  # fmt: skip
    (line,) = csv.DictReader(io.StringIO(known.stdout))
    assert Decimal(line["new_cost"]) == Decimal("0.00021") * Decimal("0.9")


def test_what_makes_no_sense_is_refused(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_row(1)])
    options = ReportOptions(logs=log)
    for what in ({}, {"models": {"gpt-4o": "gpt-4o-mimi"}}, {"models": "gpt-4o"}, {"cache": "some"}, {"tier": "fast"}):
        with pytest.raises(ConfigError):
            what_if(options, **what)
    with pytest.raises(LogError):
        what_if(ReportOptions(logs=tmp_path / "nowhere"), tier="flex")
    assert callcost("what-if", log).code == 2
    assert "gpt-4o-mini" in callcost("what-if", log, "--model", "gpt-4o=gpt-4o-mimi").stderr


def test_the_command_shows_what_stays_and_how_tokens_were_found(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_chat(1), _row(2, prompt=200_000)])
    done = callcost("what-if", log, "--model", "gpt-4o=gpt-4o-mini", "--by", "user")
    assert done.code == 0, done.stderr
    titles = ["user", "calls", "changed_calls", "kept_calls", "old", "new", "saved"]
    assert done.stdout.splitlines()[0].split() == titles
    assert "the other model takes no prompt that long" in done.stdout
    assert "1 call: their texts counted again" in done.stderr
    assert "no call is otherwise: none is of 'claude*'" in callcost("what-if", log, "--batch", "claude*").stderr
    asked = callcost("what-if", log, "--model", "gpt-4o=gpt-4o-mini", "--format", "json").stdout
    assert json.loads(asked.splitlines()[0])["kept"][0]["reason"] == "prompt_too_long"


def _saved(
    rows: list[dict[str, Any]], tmp_path: Path, **more: Any
) -> dict[tuple[str, str], tuple[int, Decimal, Decimal]]:
    log = write_lines(tmp_path / "log.jsonl", rows)
    table = suggest_savings(ReportOptions(logs=log, **more)).savings
    return {
        (row["kind"], row["model"]): (row["calls"], row["saved_cost"], row["month_cost"]) for row in table.to_dicts()
    }


def test_batches_are_suggested_for_calls_of_no_session(tmp_path: Path) -> None:
    rows = [_row(1), _row(2, session="s"), _row(3, timestamp="2025-09-12T08:00:00Z")]
    assert _saved(rows, tmp_path) == {("batch", "gpt-4o"): (2, Decimal("0.0035"), Decimal("0.035"))}


def test_prompts_just_over_a_threshold_are_suggested_to_be_shortened(tmp_path: Path) -> None:
    model, edge = "gemini-2.5-pro", 200_000
    rows = [_row(n, model, prompt, session="s") for n, prompt in enumerate((edge, edge + 1, edge + 10, edge * 2))]
    found = _saved(rows, tmp_path)
    calls, saved, _ = found["threshold", model]
    assert calls == 2
    assert 2 * edge * Decimal("125E-8") < saved < 2 * edge * Decimal("13E-7")


def test_an_hour_long_cache_that_is_read_once_is_suggested_to_be_left_out(tmp_path: Path) -> None:
    def call(number: int, user: str, written: int, read: int) -> dict[str, Any]:
        usage = {"input_tokens": 10, "output_tokens": 10, "cache_read_input_tokens": read,
                 "cache_creation": {"ephemeral_1h_input_tokens": written, "ephemeral_5m_input_tokens": 0},
                 "cache_creation_input_tokens": written}  # fmt: skip
        return {"id": f"m{number}", "timestamp": DAY, "model": "claude-sonnet-4-5", "user": user, "usage": usage,
                "session": user}  # fmt: skip

    rows = [call(1, "once", 1000, 0), call(2, "once", 0, 1000), call(3, "often", 1000, 0), call(4, "often", 0, 9000)]
    ((kind, found),) = _saved(rows, tmp_path).items()
    assert kind == ("hour_writes", "claude-sonnet-4-5")
    assert found[:2] == (2, 1000 * (Decimal("6E-6") + Decimal("3E-7") - 2 * Decimal("3E-6")))


def test_the_command_lists_suggestions_and_what_is_not_known(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [_row(1)])
    done = callcost("what-if", log, "--suggest")
    assert (done.code, "send by batch" in done.stdout, "CALLCOST_FINGERPRINT_KEY" in done.stderr) == (0, True, True)
    assert callcost("what-if", log, "--suggest", "--tier", "flex").code == 2


def test_prompts_that_begin_alike_are_suggested_to_be_cached_and_repeated_calls_to_be_kept(tmp_path: Path) -> None:
    rows = []
    for number, (text, minute) in enumerate((("Hello", 0), ("Hello", 1), ("Bye", 2), ("Late", 50))):
        row = _chat(number, "claude-sonnet-4-5", text)
        row["request"]["system"] = "Be brief."
        row["response"] = {
            "id": f"m{number}", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
            "content": [{"type": "text", "text": "Yes"}], "usage": {"input_tokens": 2000, "output_tokens": 5},
        }  # fmt: skip
        rows.append(row | {"timestamp": f"2025-10-10T08:{minute:02}:00Z"})
    found = _saved(rows, tmp_path, read=ReadOptions(fingerprint_key="a key of the test"))
    once = 2000 * Decimal("3E-6")
    saved = 4 * once - 2 * once * Decimal("0.1") - 2 * once * Decimal("1.25")
    assert found["cache", "claude-sonnet-4-5"][:2] == (4, saved)
    assert found["repeated_call", "claude-sonnet-4-5"][:2] == (1, once + 5 * Decimal("15E-6"))
