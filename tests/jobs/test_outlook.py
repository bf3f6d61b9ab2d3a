"""Budgets, the forecast and unusual days in a report: from logs, a report and a state the same, never of the clock."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from callcost import Budget, ConfigError, ReportOptions, report_spend
from callcost.cli.terminal.summary import MOST_LINES
from tests.command import callcost, write_lines

TOLD = ("as_of", "budgets", "forecast", "unusual", "gates")
SPIKE = "2026-11-09"
BUDGETS = (
    Budget(amount=30, name="all"),
    Budget(amount=10, period="week", group={"team": "a"}, name="team a"),
    Budget(amount=1, period="day", group={"team": "nobody"}, name="nobody"),
    Budget(amount=Decimal("0.5"), period="day", group={"model": "gpt-*", "tag:env": "prod"}, name="gpt"),
)


def _row(day: str, number: int, tokens: int = 100_000, **more: Any) -> dict[str, Any]:
    model = ("gpt-4o", "claude-sonnet-4-5")[number % 2]
    return {
        "id": f"{day} {number}", "timestamp": f"{day}T{8 + number:02}:00:00Z", "model": model,
        "user": ("ana", "bo")[number // 2 % 2], "team": "ab"[number % 2], "tags": {"env": "prod"},
        "usage": {"prompt_tokens": tokens + 500 * (int(day[-2:]) % 7) * number, "completion_tokens": 1000}, **more,
    }  # fmt: skip


def _rows() -> list[dict[str, Any]]:
    days = [f"2026-{month:02}-{day:02}" for month, last in ((9, 30), (10, 31), (11, 18)) for day in range(1, last + 1)]
    rows = [_row(day, number) for day in days for number in range(4)]
    rows += [_row(SPIKE, number, 400_000, id=f"spike {number}") for number in (4, 6, 8)]
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Logs of eleven weeks with one unusual day, a report that holds their calls, and a state."""
    place = tmp_path_factory.mktemp("outlook")
    log = write_lines(place / "logs/a.jsonl", _rows())
    report_spend(ReportOptions(logs=log, out=place / "report", calls=True))
    done = callcost("report", place / "logs", "--out", place / "nightly", "--state", place / "state", "--quiet")
    assert done.code == 0, done.stderr
    return place


def _told(logs: Path, **words: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"budget": BUDGETS, **words}
    manifest = report_spend(ReportOptions(logs=logs, **given)).manifest
    return {name: manifest[name] for name in TOLD}


def _cost(spend_of: Path, by: str, **words: Any) -> dict[Any, Decimal]:
    spend = report_spend(ReportOptions(logs=spend_of, by=by, **words)).spend
    return dict(spend.select(by, "total_cost").iter_rows())


def test_what_was_spent_is_what_the_report_says(folder: Path) -> None:
    told = _told(folder / "report")
    whole, team, nobody, gpt = told["budgets"]
    assert Decimal(whole["spent"]) == sum(_cost(folder / "report", "day", since="2026-11").values())
    assert Decimal(team["spent"]) == _cost(folder / "report", "team", since="2026-11-16")["a"]
    assert Decimal(gpt["spent"]) == _cost(folder / "report", "model", since="2026-11-18")["gpt-4o"]
    assert (nobody["spent"], nobody["left"], nobody["expected"]) == ("0", "1", None)
    for row in told["budgets"]:
        assert Decimal(row["amount"]) - Decimal(row["spent"]) == Decimal(row["left"])
        assert row["expected"] is None or Decimal(row["expected"]) >= Decimal(row["spent"])
    assert (team["first_day"], team["last_day"]) == ("2026-11-16", "2026-11-22")
    crossed = {gate["gate"]: gate["crossed"] for gate in told["gates"]}
    assert crossed == {f"--budget: {row['name']}": Decimal(row["left"]) < 0 for row in told["budgets"]}
    assert crossed["--budget: gpt"] is True
    assert crossed["--budget: nobody"] is False


def test_the_month_and_the_unusual_day_are_told(folder: Path) -> None:
    told = _told(folder / "report")
    forecast, (unusual,) = told["forecast"], told["unusual"]
    assert (forecast["month"], forecast["to_date"], forecast["days"]) == ("2026-11", told["budgets"][0]["spent"], 56)
    low, expected, high = (Decimal(forecast[name]) for name in ("low", "expected", "high"))
    days = _cost(folder / "report", "day", since="2026-11-10", until="2026-11-18")
    usual = sum(days.values(), Decimal(0)) / len(days)
    assert Decimal(forecast["to_date"]) < low < expected < high
    assert abs(expected - Decimal(forecast["to_date"]) - usual * Decimal("12.5")) < usual
    assert forecast["expected"] == told["budgets"][0]["expected"]
    assert (unusual["day"], unusual["driver"]["value"]) == (SPIKE, "gpt-4o")
    assert Decimal(unusual["cost"]) == sum(_cost(folder / "report", "day", since=SPIKE, until="2026-11-10").values())
    assert told["as_of"] == "2026-11-18T11:00:00+00:00"


@pytest.mark.parametrize(
    "words",
    [{}, {"timezone": "Asia/Tokyo", "as_of": "2026-11-10T10:30"}, {"since": "2026-10-15", "until": "2026-11-12"}],
    ids=["whole", "as of", "interval"],
)
def test_every_source_tells_the_same(folder: Path, words: dict[str, Any]) -> None:
    plain = _told(folder / "logs", **words)
    for source in ("report", "state", "nightly"):
        assert _told(folder / source, **words) == plain, source


def test_a_state_tells_what_its_logs_do_and_keeps_closed_days(folder: Path, tmp_path: Path) -> None:
    out, state = tmp_path / "out", tmp_path / "state"
    log = write_lines(tmp_path / "logs/a.jsonl", _rows())
    words = ("report", log.parent, "--out", out, "--state", state, "--quiet")
    assert callcost(*words).code == 0
    assert callcost("close", SPIKE, "--state", state).code == 0
    write_lines(tmp_path / "logs/late.jsonl", [_row(SPIKE, 5, 900_000, id="late")])
    limits = tmp_path / "budgets.toml"
    limits.write_text('[[budget]]\namount = 30\nname = "all"\n', encoding="utf-8")
    assert callcost(*words, "--budget", limits).code == 0
    manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    plain = _told(folder / "logs", budget=BUDGETS[:1])
    assert {name: manifest[name] for name in TOLD} == plain
    limits.write_text('[[budget]]\namount = 3\nname = "all"\n', encoding="utf-8")
    assert callcost(*words, "--budget", limits).code == 3  # another amount in the same file is another report


def test_pseudonyms_stand_for_names_in_budgets_and_days_too(folder: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("a key of more than sixteen signs", encoding="utf-8")
    own = [Budget(amount=1, group={"user": "ana"}, name="ana"), Budget(amount=1, period="day", group={"user": ""})]
    plain, hidden = _told(folder / "report", budget=own), _told(folder / "report", budget=own, pseudonyms=key)
    assert [row["spent"] for row in hidden["budgets"]] == [row["spent"] for row in plain["budgets"]]
    assert plain["budgets"][0]["spent"] != "0"
    assert '"ana"' in json.dumps(plain)
    assert "ana" not in json.dumps(hidden)
    with pytest.raises(ConfigError, match="user cannot be a pattern with --pseudonyms"):
        _told(folder / "report", budget=[Budget(amount=1, group={"user": "a*"})], pseudonyms=key)


def test_a_month_of_which_a_part_is_left_out_has_no_forecast(folder: Path) -> None:
    told = _told(folder / "report", since="2026-11-05")
    assert told["forecast"] is None
    whole, team, *_ = told["budgets"]
    assert (whole["expected"], whole["since"]) == (None, "2026-11-05")
    assert Decimal(whole["spent"]) == sum(_cost(folder / "report", "day", since="2026-11-05").values())
    assert team["since"] is None


def test_a_period_that_is_over_is_expected_to_cost_what_it_cost(folder: Path) -> None:
    told = _told(folder / "report", until="2026-11")
    assert (told["as_of"], told["forecast"]) == ("2026-11-01T00:00:00+00:00", None)
    whole, *_ = told["budgets"]
    assert (whole["first_day"], whole["last_day"]) == ("2026-10-01", "2026-10-31")
    assert whole["expected"] == whole["spent"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"where": "team=a"}, "--where cannot go with --budget"),
        ({"as_of": "2026-11-20", "until": "2026-11-19"}, "is after --until"),
        ({"as_of": "2026-11-02", "since": "2026-11-02"}, "is not after --since"),
        ({"max_cost": -1}, "max_cost: -1 is not an amount"),
        ({"max_cost": "1"}, "max_cost: '1' is not an amount"),
    ],
)
def test_what_cannot_be_meant_is_refused(folder: Path, words: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _told(folder / "report", **words)


@pytest.mark.parametrize(
    "rows",
    [[], [{"id": "a", "model": "gpt-4o", "usage": {"prompt_tokens": 9}}], [_row("2026-11-18", 0)]],
    ids=["no call", "no time", "one day"],
)
def test_of_little_little_is_told(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    lines: list[Any] = [*rows] or [b"{"]
    log = write_lines(tmp_path / "a.jsonl", lines)
    told = _told(log)
    assert (told["forecast"], told["unusual"]) == (None, [])
    assert [row["expected"] for row in told["budgets"]] == [None] * 4
    dated = bool(rows) and "timestamp" in rows[0]
    assert (told["as_of"] is not None) == dated == (told["budgets"][0]["first_day"] is not None)
    assert (told["budgets"][0]["spent"] != "0") == dated


def test_the_command_shows_what_was_spent_and_ends_with_3(folder: Path, tmp_path: Path) -> None:
    text = "".join(
        f'[[budget]]\namount = {amount}\nname = "{name}"\ngroup = {{ team = "{name[0]}" }}\n'
        for amount, name in [(1000, "b high"), *((n / 10, f"a low {n}") for n in range(1, 12))]
    )
    (tmp_path / "budgets.toml").write_text(text, encoding="utf-8")
    words = ("report", folder / "report", "--budget", tmp_path / "budgets.toml")
    done = callcost(*words, "--max-cost", "10", "--out", tmp_path / "out")
    assert done.code == 3
    lines = done.stderr.splitlines()
    assert len(lines) <= MOST_LINES
    assert any(line.startswith("budget 'a low 1' 2026-11-01 to 2026-11-30: spent $") for line in lines)
    assert "8 more budgets: see manifest.json" in lines
    assert any(line.startswith("2026-11: $") and "(80 %: $" in line and "estimate" in line for line in lines)
    assert any(line.startswith(f"unusual: {SPIKE} $") and "model gpt-4o" in line for line in lines)
    assert any(line.startswith("--max-cost crossed: spent $") and line.endswith(" of $10") for line in lines)
    assert lines[-1] == "--budget crossed: 6 more, see manifest.json"
    assert callcost(*words, "--quiet").stderr.count("crossed") == 6
    assert callcost("report", folder / "report", "--max-cost", "1e6").code == 0
    for wrong in ("ten", "-1", "nan"):
        assert callcost("report", folder / "report", "--max-cost", wrong).code == 2


def test_what_is_not_priced_is_said_beside_a_budget(tmp_path: Path) -> None:
    log = write_lines(tmp_path / "a.jsonl", [_row("2026-11-18", 0), _row("2026-11-18", 1, model="acme-9")])
    done = callcost("report", log, "--max-cost", "100", "--out", tmp_path / "out")
    assert done.code == 0
    assert "without what 1 call not fully priced cost" in done.stderr
    (row,) = _told(log, budget=[Budget(amount=1)])["budgets"]
    assert row["unpriced"] == 1
