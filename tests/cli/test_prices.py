"""`callcost prices`: plain text in pipes, JSON for programs, and clear errors."""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from callcost.cli.root import run
from callcost.cli.terminal.listing import show_rows
from callcost.jobs.diff_prices import revalue_calls
from callcost.net.price_maps import LITELLM_MAP
from callcost.prices.book.catalog import load_catalog
from callcost.settings import ReportOptions
from tests.command import ROOT, SAMPLES, write_lines
from tests.net.server import sends, serving


class Said:
    """What a command printed, and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def rows(self) -> list[list[str]]:
        return [line.split() for line in self.out.splitlines()]

    @property
    def content(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def prices(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run `callcost prices` with an empty user folder."""
    monkeypatch.setenv("CALLCOST_DATA_DIR", str(tmp_path / "user"))

    def call(*words: str) -> Said:
        code = run(["prices", *words])
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


@pytest.fixture
def map_file(tmp_path: Path) -> Path:
    """The newest map with one more model, as a file."""
    catalog = load_catalog()
    entries = {name: dict(entry) for name, entry in catalog.map_of(catalog.newest).items()}
    entries["mine/model"] = {"input_cost_per_token": 1e-6, "litellm_provider": "mine"}
    path = tmp_path / "map.json"
    path.write_text(json.dumps(entries, default=float), encoding="utf-8")
    return path


def test_list_shows_every_version(prices: Any) -> None:
    said = prices("list")
    assert said.code == 0
    assert len(said.rows) == 1 + len(load_catalog().versions)
    assert said.rows[1][:4] == ["2023-10-20T16:32:26Z", "litellm-0.11.1", "90", "bundled"]
    first = prices("list", "--format", "json").content[0]
    assert (first["version"], first["models"], first["origin"]) == ("litellm-0.11.1", 90, "bundled")
    assert len(first["sha256"]) == 64


def test_show_has_the_rates_of_the_day(prices: Any) -> None:
    said = prices("show", "gpt-4o", "--at", "2024-06-01")
    assert said.code == 0
    assert said.out.startswith("gpt-4o: openai, chat\ntokencost-0.1.8 of 2024-05-22T01:06:50Z: in_force\n")
    assert ["input_cost_per_token", "0.000005", "5"] in said.rows
    assert ["output_cost_per_token", "0.000015", "15"] in said.rows
    assert ["max_tokens", "4096"] in said.rows


def test_show_says_on_which_basis(prices: Any) -> None:
    retired = prices("show", "claude-3-5-sonnet-20241022", "--at", "2026-11-20", "--format", "json").content
    assert (retired["basis"], retired["version"]) == ("retired", "litellm-1.82.0")
    assert retired["entry"]["input_cost_per_token"] == 0.000003
    early = prices("show", "gpt-4o", "--at", "2024-05-14", "--format", "json").content
    assert early["basis"] == "first_listed_later"


def test_show_of_one_version_is_that_versions_word(prices: Any) -> None:
    old, now = (
        prices("show", "gpt-4o", "--prices", which, "--format", "json").content["entry"]["input_cost_per_token"]
        for which in ("tokencost-0.1.12", "latest")
    )
    assert (old, now) == (0.000005, 0.0000025)


def test_show_finds_a_name_as_a_log_spells_it(prices: Any) -> None:
    assert prices("show", "openai/GPT-4o", "--at", "2025-01-01", "--format", "json").content["model"] == "gpt-4o"


def test_show_says_what_the_users_own_prices_do(prices: Any, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        """
        aliases = { "our-bot" = "gpt-4o" }
        rates."gpt-4o".input_cost_per_token = 2e-6
        discounts = [{ model = "gpt-4o", percent = 10 }]
        """
    )
    said = prices("show", "our-bot", "--at", "2025-01-01", "--prices-override", str(path))
    assert said.out.startswith('gpt-4o: openai, chat\nmine.toml: rates."gpt-4o": in_force\nname found by: alias\n')
    assert "discount of mine.toml: discounts[0]: 0.9 of each rate is charged\n" in said.out
    assert ["input_cost_per_token", "0.000002", "2"] in said.rows
    assert ["output_cost_per_token", "0.00001", "10"] in said.rows


def test_show_of_a_model_without_a_price_says_so(prices: Any) -> None:
    catalog = load_catalog()
    fields = {
        model: {field for _, entry in catalog.history(model) for field in entry or {}} for model in catalog.models
    }
    never = next(
        model for model, names in fields.items() if not any("cost" in name or "pric" in name for name in names)
    )
    assert "\nunpriced: no_rate\n" in prices("show", never).out


def test_an_unknown_model_is_an_error_with_near_names(prices: Any) -> None:
    for verb in ("show", "history"):
        said = prices(verb, "gpt-4oo")
        assert (said.code, said.out) == (1, "")
        assert said.err.startswith("callcost: ")
        assert "'gpt-4oo'" in said.err
        assert "gpt-4o" in said.err.split("'gpt-4oo'")[1]


def test_a_time_that_is_none_is_a_usage_error(prices: Any) -> None:
    said = prices("show", "gpt-4o", "--at", "yesterday")
    assert (said.code, said.err) == (
        2,
        "callcost: 'yesterday' is not a time. Write 2026-11-20 or 2026-11-20T13:00:00Z\n",
    )


def test_history_names_what_corrects_the_maps(prices: Any) -> None:
    rows = [row for row in prices("history", "gpt-5.6-luna", "--format", "json").content if row["event"] == "corrected"]
    (cell,) = [row for row in rows if row["field"] == "input_cost_per_token"]
    assert (cell["effective_from"], cell["effective_to"]) == ("2026-07-30T00:00:00Z", "2026-08-09T01:36:53Z")
    assert (cell["after"], cell["confidence"], cell["known_from"]) == (2e-7, "stated", "2026-11-30T00:00:00Z")
    text = prices("history", "gpt-5.6-luna").out
    assert [line for line in text.splitlines() if "corrected" in line and " 0.0000002 " in line]


def test_history_draws_a_chart(prices: Any, tmp_path: Path) -> None:
    said = prices("history", "openai/gpt-4o", "--svg", str(tmp_path / "chart.svg"))
    assert said.code == 0
    assert said.rows[0][:5] == ["charged", "from", "known", "from", "event"]
    assert "<title id=\"t\">Prices of gpt-4o</title>" in (tmp_path / "chart.svg").read_text(encoding="utf-8")
    refused = prices("history", "gpt-4o", "--svg", str(tmp_path / "chart.svg/none.svg"))
    assert (refused.code, refused.out) == (1, "")


def test_history_is_every_price_that_a_model_had(prices: Any) -> None:
    rows = prices("history", "o3").rows
    assert [row[3:6] for row in rows if row[-1:] == ["litellm-1.72.6"]] == [
        ["cache_read_input_token_cost", "0.0000025", "0.0000005"],
        ["input_cost_per_token", "0.00001", "0.000002"],
        ["output_cost_per_token", "0.00004", "0.000008"],
    ]
    events = [row["event"] for row in prices("history", "claude-3-5-sonnet-20241022", "--format", "json").content]
    assert (events[0], events[-1]) == ("listed", "dropped")


def test_diff_counts_and_lists(prices: Any) -> None:
    said = prices("diff", "2025-06-01T12:00:00", "2025-06-15")
    assert said.code == 0
    assert said.out.startswith("litellm-1.72.0 of 2025-06-01T02:12:50Z -> litellm-1.72.6 of 2025-06-14T21:43:08Z\n")
    assert ["o3", "input_cost_per_token", "0.00001", "0.000002", "0.2"] in said.rows
    content = prices("diff", "litellm-1.72.0", "litellm-1.72.6", "--format", "json").content
    assert {"model": "o3", "field": "input_cost_per_token", "before": 0.00001, "after": 0.000002} in content["prices"]
    assert content["added"]
    assert prices("diff", "latest", "latest", "--format", "json").content["prices"] == []


def test_diff_with_logs_says_what_the_change_means_for_these_calls(prices: Any, tmp_path: Path) -> None:
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000}
    rows = [
        {"timestamp": "2025-06-01T12:00:00Z", "model": model, "user": "ana", "usage": usage, "id": f"{model}-{number}"}
        for model, calls in (("o3", 2), ("gpt-4o", 1), ("gpt-9", 1), ("gpt-5", 1))
        for number in range(calls)
    ]
    log = write_lines(tmp_path / "log.jsonl", rows)

    said = prices("diff", "2025-06-01", "2026-11-01", "--logs", str(log), "--format", "json", "--quiet")

    assert said.code == 0
    assert (said.content["a"]["version"], said.content["b"]["version"]) == tuple(
        prices("diff", moment, moment, "--format", "json").content["a"]["version"]
        for moment in ("2025-06-01", "2026-11-01")
    )
    keys = ("model", "calls", "old_cost", "new_cost", "difference", "newly_priced", "no_longer_priced",
            "old_unpriced", "new_unpriced")  # fmt: skip
    assert [tuple(row[key] for key in keys) for row in said.content["models"]] == [
        ("o3", 2, 100, 20, -80, 0, 0, 0, 0),  # 10 + 40 until June 2025, 2 + 8 since
        ("gpt-4o", 1, 12.5, 12.5, 0, 0, 0, 0, 0),
        ("gpt-5", 1, None, 11.25, None, 11.25, 0, 1, 0),
        ("gpt-9", 1, None, None, None, 0, 0, 1, 1),
    ]
    text = prices("diff", "2025-06-01", "2026-11-01", "--logs", str(log), "--where", "model=o3", "--quiet")
    assert text.rows[-1] == ["in", "total", "2", "100", "20", "-80", "0", "0", "0", "0"]
    back = prices("diff", "2026-11-01", "2025-06-01", "--logs", str(log), "--format", "json", "--quiet").content
    (dropped,) = (row for row in back["models"] if row["model"] == "gpt-5")
    assert (dropped["newly_priced"], dropped["no_longer_priced"], dropped["difference"]) == (0, 11.25, None)


def test_the_columns_of_a_diff_add_up_for_every_sample_and_in_total() -> None:
    """Old + difference + newly priced - no longer priced = new, to the last digit, both ways."""
    options = ReportOptions(logs=(str(SAMPLES),))
    for old, new in (("litellm-1.72.0", "litellm-1.106.4"), ("litellm-1.106.4", "litellm-1.72.0")):
        rows = revalue_calls(options, old, new).to_dicts()
        for row in [*rows, {name: sum(row[name] or 0 for row in rows) for name in rows[0] if name != "model"}]:
            changed = (row["difference"] or 0) + row["newly_priced"] - row["no_longer_priced"]
            assert (row["old_cost"] or 0) + changed == (row["new_cost"] or 0)
        assert any(row["newly_priced"] or row["no_longer_priced"] for row in rows)


def test_diff_of_logs_without_calls_fails(prices: Any, tmp_path: Path) -> None:
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"{}")
    assert prices("diff", "2025-06-01", "latest", "--logs", str(empty), "--quiet").code == 1
    assert prices("diff", "2025-06-01", "latest", "--logs", str(tmp_path / "none"), "--quiet").code == 1


def test_diff_of_an_unknown_version_is_an_error(prices: Any) -> None:
    said = prices("diff", "litellm-9", "latest")
    assert said.code == 1
    assert said.err.startswith("callcost: no price version 'litellm-9'. ")
    assert "see `callcost prices list`" in said.err.replace("See", "see")


def test_add_adds_a_version_of_ones_own(prices: Any, map_file: Path) -> None:
    said = prices("add", str(map_file), "--effective-from", "2030-01-15")
    assert said.code == 0
    assert said.out.startswith("added user-2030-01-15\n1 models added, 0 dropped, 0 prices of 0 models changed\n")
    assert prices("list").rows[-1][1] == "user-2030-01-15"
    assert prices("list").rows[-1][3] == "user"
    assert prices("show", "mine/model", "--at", "2030-01-16").code == 0
    again = prices("add", str(map_file), "--effective-from", "2030-01-16")
    assert again.out.startswith("nothing added: it says what the version before it says\n")


def test_add_takes_a_name_a_source_and_stdin(prices: Any, map_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(map_file.read_bytes())))
    words = ("--effective-from", "2030-01-15", "--name", "ours", "--source", "the contract")
    assert prices("add", "-", *words, "--format", "json").content["added"] == "ours"
    last = prices("list", "--format", "json").content[-1]
    assert (last["version"], last["source"], last["effective_from"]) == ("ours", "the contract", "2030-01-15T00:00:00Z")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"{}")))
    taken = prices("add", "-", *words, "--force")
    assert (taken.code, taken.err) == (1, "callcost: there is a price version ours already. Give it another name\n")


def test_add_refuses_what_looks_wrong(prices: Any, tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    path.write_text('{"m": {"input_cost_per_token": 1e-6}}', encoding="utf-8")
    said = prices("add", str(path), "--effective-from", "2030-01-15")
    assert (said.code, said.out) == (1, "")
    newest = load_catalog().sizes()[-1]
    assert f"the map of small.json looks wrong: it lists only 0 of the {newest:,} models" in said.err
    forced = prices("add", str(path), "--effective-from", "2030-01-15", "--force")
    assert (forced.code, forced.out.splitlines()[0]) == (0, "added user-2030-01-15")
    assert f"looks wrong: it lists only 0 of the {newest:,} models" in forced.out


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("NaN", "input_cost_per_token: 'nan' is no price"),
        ("1e999", "input_cost_per_token: '1E+999' is no price"),
        ("1e30", "input_cost_per_token: '1E+30' is no price"),
        ("-1", "input_cost_per_token: '-1' is no price"),
        ('"abc"', "input_cost_per_token: 'abc' is no price"),
        ("true", "input_cost_per_token: 'True' is no price"),
        ("2.5", "input_cost_per_token: '2.5' is over 1 dollar a token"),
    ],
)
def test_add_refuses_what_is_no_price_by_name(prices: Any, map_file: Path, value: str, why: str) -> None:
    text = map_file.read_text(encoding="utf-8")
    field = '"mine/model": {"input_cost_per_token": '
    wrong = text.replace(f"{field}1e-06", f"{field}{value}")
    assert wrong != text
    map_file.write_text(wrong, encoding="utf-8")

    said = prices("add", str(map_file), "--effective-from", "2030-01-15")

    assert (said.code, said.out) == (1, "")
    assert f"mine/model ({why}" in said.err
    assert len(prices("list").rows) == 1 + len(load_catalog().versions)
    assert load_catalog().newest.origin == "bundled"


def test_pull_adds_and_lists_what_is_remarkable(prices: Any, map_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    monkeypatch.delenv("http_proxy", raising=False)
    content = json.loads(map_file.read_bytes())
    content["gpt-4o"]["input_cost_per_token"] *= 4  # no power of ten: it jumps, but an error would look otherwise
    content["mine/model"]["input_cost_per_smell"] = 1
    with serving(sends(json.dumps(content).encode(), ETag='"one"'), sends(b"", status=304)) as server:
        dry = prices("pull", "--url", server.url, "--dry-run")
        assert dry.out.startswith("nothing added: this is a dry run\n1 models added, 0 dropped, 1 prices of 1 models")
    with serving(sends(json.dumps(content).encode(), ETag='"one"'), sends(b"", status=304)) as server:
        said, again = prices("pull", "--url", server.url), prices("pull", "--url", server.url)
    assert said.out.startswith("added litellm-2")
    assert ["gpt-4o", "input_cost_per_token", "0.0000025", "0.00001", "4"] in said.rows
    assert ["input_cost_per_smell", "1"] in said.rows
    assert again.out == "nothing new: the map has not changed since it was last pulled\n"
    verified = prices("verify")
    assert verified.code == 1
    assert ["input_cost_per_smell", said.rows[0][1], "1", "mine/model"] in verified.rows


@pytest.fixture
def suspicious(map_file: Path) -> Path:
    """That map with a price of gpt-4o off by ten, and an entry that nobody filled in."""
    content = json.loads(map_file.read_bytes())
    content["gpt-4o"]["input_cost_per_token"] *= 10
    content["groq/new"] = {"input_cost_per_token": 0, "output_cost_per_token": 0, "litellm_provider": "groq"}
    map_file.write_text(json.dumps(content), encoding="utf-8")
    return map_file


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Three calls of gpt-4o after that map came into force, one before, and one of another model."""
    calls = [("gpt-4o", "2026-11-29")] * 3 + [("gpt-4o", "2026-11-01"), ("gpt-4o-mini", "2026-11-29")]
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 1_000}
    rows = [
        {"timestamp": f"{day}T12:00:00Z", "model": model, "user": "ana", "usage": usage, "id": f"call-{number}"}
        for number, (model, day) in enumerate(calls)
    ]
    return write_lines(tmp_path / "log.jsonl", rows)


def test_pull_refuses_suspicious_prices_and_says_what_they_mean_in_money(
    prices: Any, suspicious: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    monkeypatch.delenv("http_proxy", raising=False)
    content = suspicious.read_bytes()
    with serving(sends(content), sends(content), sends(content)) as server:
        words = ("pull", "--url", server.url, "--logs", str(log), "--quiet")
        said, exact = prices(*words), prices(*words, "--format", "json")
        versions = len(prices("list").rows)
        forced = prices(*words, "--force")
    assert (said.code, exact.code, forced.code) == (1, 1, 0)
    assert said.out.startswith("nothing added: it looks wrong\n")
    assert "3 prices are suspicious, such as gpt-4o (input_cost_per_token 0.000025: off by a power of ten" in said.err
    (row,) = (row for row in said.rows if row[:2] == ["gpt-4o", "input_cost_per_token"] and "off" in row)
    assert row[2:5] == ["0.0000025", "0.000025", "90"]  # 4 calls of a million tokens, at 25 instead of 2.5
    cells = {(each["model"], each["field"]): each for each in exact.content["suspicions"]}
    assert cells["gpt-4o", "input_cost_per_token"]["moves"] == 90
    assert cells["gpt-4o", "input_cost_per_token"]["expected"] == 0.0000025
    assert (cells["groq/new", "input_cost_per_token"]["kind"], cells["groq/new", "input_cost_per_token"]["moves"]) == (
        "zero", 0,
    )  # fmt: skip
    assert exact.content["added"] is None
    assert len(prices("list").rows) == versions + 1
    assert forced.out.startswith("added litellm-2")


def test_what_was_forced_stays_an_open_suspicion(prices: Any, suspicious: Path, log: Path, tmp_path: Path) -> None:
    """Of both readers of prices, in processes that open the book anew."""

    def callcost(*words: str) -> str:
        line = [sys.executable, "-m", "callcost", *words]
        said = subprocess.run(line, cwd=ROOT, capture_output=True, check=True, text=True)
        return said.stdout + said.stderr

    assert prices("add", str(suspicious), "--effective-from", "2026-11-28").code == 1
    assert prices("add", str(suspicious), "--effective-from", "2026-11-28", "--force").code == 0

    said = callcost("report", str(log), "--out", str(tmp_path / "out"))
    assert "3 calls partly priced: 'gpt-4o' 3 (suspect rate" in said
    assert "suspicious: off by a power of ten (0.0000025: " in callcost("explain", str(log), "--call", "call-0")
    verified = prices("verify")
    assert verified.code == 0
    assert "prices that are suspicious:" in verified.out
    (tmp_path / "user" / "prices" / "suspicions.csv").unlink()
    assert prices("verify").code == 3  # somebody added it past the gate


def test_pull_offline_says_so(prices: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.setattr("time.sleep", lambda _: None)
    said = prices("pull", "--url", "http://127.0.0.1:9/map.json")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("callcost: cannot fetch http://127.0.0.1:9/map.json in 3 attempts (")
    assert LITELLM_MAP.startswith("https://")


def test_verify_finds_the_shipped_versions_sound(prices: Any) -> None:
    said = prices("verify")
    assert said.code == 0
    catalog = load_catalog()
    counts = f"{len(catalog.versions)} versions, {len(catalog.models):,} models"
    assert said.out.startswith(f"{counts}\nevery digest is right\n")
    assert "not understood" not in said.out
    content = prices("verify", "--format", "json").content
    assert (content["damaged"], content["unplaced"]) == ([], [])
    assert "search_free_requests" in content["explained"]


def test_verify_judges_the_versions_from_one_on(prices: Any, log: Path) -> None:
    words = ("verify", "--from", "litellm-1.109.1", "--logs", str(log), "--quiet", "--format", "json")
    said = prices(*words)
    assert said.code == 0  # they are on record
    found = {(each["model"], each["field"]): each["moves"] for each in said.content["suspicions"]}
    assert found["mistral/mistral-large-4", "cache_read_input_token_cost"] == 0


def test_verify_names_a_damaged_version(prices: Any, map_file: Path, tmp_path: Path) -> None:
    prices("add", str(map_file), "--effective-from", "2030-01-15")
    index = tmp_path / "user" / "prices" / "index.jsonl"
    index.write_text(index.read_text().replace('"sha256":"', '"sha256":"0'), encoding="utf-8")
    said = prices("verify")
    assert said.code == 1
    assert "damaged price versions: user-2030-01-15" in said.err


def test_on_a_terminal_rows_are_a_table(prices: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callcost.cli.terminal.listing.on_terminal", lambda: True)
    said = prices("show", "gpt-4o", "--at", "2024-06-01")
    assert "─" in said.out
    assert "0.000005" in said.out


def test_no_figure_is_cut_where_the_terminal_is_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callcost.cli.terminal.listing.on_terminal", lambda: True)
    row = ["a name that may stand on several lines", *["$1,234.5678"] * 6]
    for width in (30, 80, 95, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        with contextlib.redirect_stdout(io.StringIO()) as screen:
            show_rows(["name", *"abcdef"], [row], numbers="abcdef")
        assert screen.getvalue().count("$1,234.5678") == 6


def test_help_names_every_verb(prices: Any) -> None:
    said = prices("--help")
    assert said.code == 0
    for verb in ("list", "show", "history", "diff", "add", "pull", "verify"):
        assert f"\n  {verb} " in said.out
