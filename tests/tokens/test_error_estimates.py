"""How far a count can be trusted: what calls of its kind have shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from callcost.data_folders import data_dir
from callcost.tokens import error_estimates
from callcost.tokens.error_estimates import (
    GROUPS,
    MAX_CALIBRATED,
    Promise,
    estimate_error,
    judge,
    kinds_of,
    promises,
    shape_of_answer,
    shape_of_prompt,
)
from callcost.tokens.frame import CALIBRATED, ESTIMATED, EXACT, relative_error
from callcost.tokens.model_families import FAMILIES, choose
from callcost.tokens.requests.bodies import read_answer, read_offer, read_prompt
from tests.bench.counting import Compared, held_out, promises_of

FRAMINGS = {row.framing for row in FAMILIES} | {"other"}
SHAPES = ("plain", "tools", "form", "history", "encrypted", "text", "unread", "answer.text", "answer.calls")
GPT, CLAUDE = choose("gpt-4o-2024-08-06", "openai"), choose("claude-sonnet-4-5", "anthropic")


def test_the_table_is_of_families_and_of_lines_that_were_exact() -> None:
    for kind, row in promises().items():
        name = kind.removeprefix("~")
        known = any(name == framing or name.startswith(f"{framing}.") for framing in FRAMINGS | set(GROUPS.values()))
        assert kind.startswith("=") or known, kind
        assert row.sides >= row.repositories >= 1
        assert row.error > 0
        assert not kind.startswith("=") or (row.exact >= 0.97 and row.repositories >= 2), kind


def test_the_head_of_the_table_says_when_it_was_made_and_from_what() -> None:
    head = (data_dir() / "counting" / "promises.tsv").read_text().splitlines()[:3]
    assert all(line.startswith("#") for line in head)
    assert "on 2026-11-30 from 45369 sides" in head[2]


def test_promises_of_well_known_kinds() -> None:
    """Pinned: a new table changes what reports say of their counts."""
    said = {
        (model, provider, shape): estimate_error(choose(model, provider), "chat", shape)
        for model, provider in (("gpt-4o", "openai"), ("claude-sonnet-4-5", "anthropic"), ("nobody", "nowhere"))
        for shape in ("plain", "answer.text", "unread")
    }
    assert said["gpt-4o", "openai", "plain"] == (EXACT, 0.01)
    assert said["claude-sonnet-4-5", "anthropic", "plain"][0] == CALIBRATED
    assert EXACT not in {said[model, provider, "unread"][0] for model, provider, _ in said}
    assert said["nobody", "nowhere", "plain"][0] == ESTIMATED


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5.2", "claude-sonnet-4-5", "qwen3-32b", "gemini-2.5-pro", "nobody"])
def test_exact_is_claimed_of_measured_lines_only(model: str, shape: str) -> None:
    for provider in ("openai", "azure", "anthropic", "gemini", "openrouter", ""):
        choice = choose(model, provider)
        method, error = estimate_error(choice, "chat", shape)
        assert (method == EXACT) == (choice.native and next(kinds_of(choice, "chat", shape)) in promises())
        assert method != CALIBRATED or error <= MAX_CALIBRATED


def test_a_stand_in_and_a_line_that_is_newer_than_the_table_are_never_exact() -> None:
    assert all(estimate_error(choose("qwen3-32b", "groq"), "chat", shape)[0] != EXACT for shape in SHAPES)
    assert all(estimate_error(choose("gpt-5.99", "openai"), "responses", shape)[0] != EXACT for shape in SHAPES)


def test_the_date_of_a_model_is_not_of_its_line() -> None:
    names = ("gpt-4o", "gpt-4o-2024-08-06", "openai/gpt-4o", "gpt-4o-latest", "gpt-4o-0806", "gpt-4o@20240806")
    assert {next(kinds_of(choose(name, "openai"), "chat", "plain")) for name in names} == {"=gpt-4o.chat.openai.plain"}


def test_a_kind_without_recordings_is_estimated() -> None:
    assert judge({}, GPT, "chat", "encrypted") == (ESTIMATED, 0.5)


def test_what_was_not_understood_or_not_shown_has_a_shape_of_its_own() -> None:
    messages = [{"role": "user", "content": "Hi"}]
    odd = {"role": "user", "content": [{"type": "hologram"}]}
    assert shape_of_prompt(read_prompt("chat", {"messages": messages})) == "plain"
    assert shape_of_prompt(read_prompt("chat", {"messages": [*messages, odd]})) == "unread"
    assert shape_of_prompt(read_prompt("responses", {"input": "Hi", "previous_response_id": "r-1"})) == "unread"
    answer = read_answer({"choices": [{"message": {"content": "Two."}}]})
    assert shape_of_answer(answer, read_offer({"messages": messages}), GPT) == "answer.text"
    assert shape_of_answer(answer, read_offer({"messages": messages, "stop": ["\n"]}), GPT) == "answer.stopped"


def test_the_error_of_a_small_count_is_wider() -> None:
    assert relative_error(0.1, 10, CALIBRATED) == 0.2
    assert relative_error(0.1, 0, ESTIMATED) == relative_error(0.1, 1, ESTIMATED) == 1
    assert relative_error(1.5, 1, ESTIMATED) == 1.5
    assert relative_error(0.1, 2_000_000, ESTIMATED) == pytest.approx(0.1, rel=1e-4)
    assert relative_error(0.01, 1, EXACT) == 0.01


def sides(repository: str, counted: int, stated: int, times: int) -> Iterator[Compared]:
    return (Compared(repository, GPT, "chat", "plain", counted, stated) for _ in range(times))


def test_a_line_is_exact_where_two_repositories_say_so_and_none_says_otherwise() -> None:
    line = "=gpt-4o.chat.openai.plain"
    two = [*sides("a", 9, 9, 5), *sides("b", 9, 9, 5)]
    assert line in promises_of(two)
    assert line not in promises_of(sides("a", 9, 9, 100))
    assert line not in promises_of([*two, *sides("c", 9, 8, 5)])
    assert line in promises_of([*two, *sides("a", 9, 9, 100), *sides("c", 9, 9, 10), *sides("c", 9, 8, 1)])
    assert line not in promises_of([*sides("a", 9, 9, 5), *sides("b", 9, 9, 4)])


def test_an_error_covers_what_the_calls_of_a_kind_showed_and_more_where_few_repositories_did() -> None:
    wide = promises_of([*sides("a", 1_000, 1_250, 20), *sides("b", 1_000, 1_000, 20)])["gpt-4.chat.plain"]
    assert wide.error == pytest.approx(2 * 0.2 / 1.02, rel=0.01)
    every = promises_of([*sides("a", 1_000, 1_250, 20), *sides("b", 1_000, 1_000, 20)])["gpt-4"]
    assert every.error == pytest.approx(1.5 * wide.error, rel=0.01)  # of every shape together
    assert promises_of(sides("a", 9, 8, 9)) == {}
    assert promises_of(sides("a", 9, 8, 10)).keys() == {"gpt-4"}


def test_a_promise_is_judged_where_it_was_not_made() -> None:
    rows = [*sides("a", 100, 100, 10), *sides("b", 100, 100, 10), *sides("c", 100, 150, 10)]
    kept = {row.repository: kept for row, _, kept in held_out(rows)}
    methods = {row.repository: method for row, method, _ in held_out(rows)}
    assert kept["a"]
    assert not kept["c"]
    assert methods == {"a": ESTIMATED, "b": ESTIMATED, "c": EXACT}


def test_a_row_is_written_as_it_is_read() -> None:
    promise = Promise(12, 3, 0.875, 0.125)
    assert error_estimates._read_row(error_estimates.write_row("gpt-4.chat.plain", promise).rstrip()) == (
        "gpt-4.chat.plain",
        promise,
    )


def test_a_host_of_its_own_is_asked_before_all_hosts() -> None:
    table = {"claude.chat.plain": Promise(10, 2, 0.5, 0.2), "claude.chat.anthropic.plain": Promise(10, 2, 0.5, 0.1)}
    own = replace(CLAUDE, wanted=CLAUDE.vocabulary)
    assert judge(table, own, "chat", "plain") == (CALIBRATED, 0.1)
    assert judge(table, replace(own, provider="vertex"), "chat", "plain") == (CALIBRATED, 0.2)
