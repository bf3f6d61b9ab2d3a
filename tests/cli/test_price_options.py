"""--prices and --prices-override, wherever a command takes them: what is refused, and with which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcost.cli.root import run
from tests.command import write_lines

COMMANDS = {
    "report": ("report", "{log}", "--out", "{out}"),
    "explain": ("explain", "{log}", "--call", "c1"),
    "reconcile": ("reconcile", "{log}", "--out", "{out}"),
    "backfill": ("backfill", "{log}", "--out", "{out}"),
    "show": ("prices", "show", "gpt-4o"),
}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    usage = {"prompt_tokens": 2, "completion_tokens": 0}
    call = {"model": "gpt-4o", "id": "c1", "timestamp": "2025-11-03T08:00:00Z", "messages": [], "usage": usage}
    return write_lines(tmp_path / "calls.jsonl", [call])


def words_of(command: str, log: Path, *more: str) -> list[str]:
    return [word.format(log=log, out=log.parent / "out") for word in COMMANDS[command]] + list(more)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_rate_over_a_dollar_a_token_needs_force(
    command: str, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('[rates."gpt-4o"]\ninput_cost_per_token = 2.5\n', encoding="utf-8")
    words = words_of(command, log, "--prices-override", str(mine))

    assert run(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert f"{mine}: rates.\"gpt-4o\".input_cost_per_token: '2.5' is over 1 dollar a token" in said.err
    assert "--force takes them" in said.err
    assert not (tmp_path / "out").exists()
    assert run([*words, "--force"]) == 0


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("value", ["nan", "-1", "1e30", '"abc"', "true"])
def test_what_is_no_price_is_refused_with_force_too(
    command: str, value: str, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(f'[rates."gpt-4o"]\ninput_cost_per_token = {value}\n', encoding="utf-8")

    assert run(words_of(command, log, "--prices-override", str(mine), "--force")) == 2
    assert 'rates."gpt-4o".input_cost_per_token: ' in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("which", "words"),
    [
        ("litellm-1.106.5", ("no price version 'litellm-1.106.5'", "litellm-1.106.4")),
        ("2025-13-01", ("no price version '2025-13-01'", "callcost prices list")),
        ("2020-01-01", ("no price version was in force on 2020-01-01", "The first one is of 2023-10-20")),
    ],
)
def test_a_version_that_is_not_there_is_named_with_the_nearest(
    command: str, which: str, words: tuple[str, ...], log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(words_of(command, log, "--prices", which)) in {1, 2}
    said = capsys.readouterr().err
    assert all(word in said for word in words)
    assert "PriceOptions" not in said


@pytest.mark.parametrize(
    ("call", "total"),
    [
        ({}, "total  0.000005 USD: the report's figure"),
        ({"model": "gpt-9"}, "total  unpriced (unknown_model): in the report, too"),
        ({"model": "gpt-9", "usage": {"prompt_tokens": 0, "completion_tokens": 0}}, "total  unpriced (unknown_model)"),
        ({"status": "failure", "usage": None, "messages": None}, "total  "),
        ({"service_tier": "priority", "model": "o1-mini"}, "USD, partly priced (rate_fallback): the report's figure"),
    ],
)
def test_an_explanation_never_says_0_of_what_has_no_price(
    call: dict[str, object], total: str, log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = {"prompt_tokens": 2, "completion_tokens": 0}
    known = {"model": "gpt-4o", "id": "c1", "timestamp": "2025-11-03T08:00:00Z", "messages": [], "usage": usage}
    write_lines(log, [known | call])
    assert run(words_of("explain", log)) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert total in said
    assert not said.startswith("total  0 USD: ")


def test_a_free_call_is_said_to_be_free(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine.toml"
    rates = "input_cost_per_token = 0\noutput_cost_per_token = 0\nreplace = true\n"
    mine.write_text(f'[rates."gpt-4o"]\n{rates}', encoding="utf-8")
    assert run(words_of("explain", log, "--prices-override", str(mine))) == 0
    assert "total  0 USD, free (free_model): the report's figure" in capsys.readouterr().out
