"""Newer prices are hinted at where they are wanted, and fetched, once, where they were asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from callcost.net import price_maps
from callcost.net.http import Answer
from callcost.prices.book.archive import isoformat
from callcost.prices.book.catalog import load_catalog
from tests.command import callcost, report, write_lines
from tests.net.server import sends, serving

USAGE = {"prompt_tokens": 1_000_000, "completion_tokens": 0}
ACME = {"acme-llm-9": {"input_cost_per_token": 2e-6, "litellm_provider": "acme", "mode": "chat"}}
HINT = "`callcost prices pull` fetches the published prices"


def write_log(folder: Path, model: str = "gpt-4o", moment: str = "2025-11-01T10:00:00Z") -> Path:
    return write_lines(folder / "logs/a.jsonl", [{"id": "c", "model": model, "timestamp": moment, "usage": USAGE}])


def published() -> bytes:
    """The newest map with one more model."""
    entries = {name: dict(entry) for name, entry in load_catalog().map_of(load_catalog().newest).items()}
    return json.dumps({**entries, **ACME}, default=float).encode()


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No prices of the user's own, and no proxy."""
    monkeypatch.setenv("CALLCOST_DATA_DIR", str(tmp_path / "own"))
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count what is fetched; there is no network."""
    asked: list[int] = []

    def fetch(*_words: Any, **_more: Any) -> Answer:
        asked.append(1)
        return Answer(published(), "")

    monkeypatch.setattr(price_maps, "fetch", fetch)
    return asked


@pytest.mark.parametrize(
    ("model", "moment", "flags", "wanted", "line"),
    [
        ("gpt-4o", "2025-11-01T10:00:00Z", (), (0, None), ""),
        ("acme-llm-9", "2025-11-01T10:00:00Z", (), (1, None), f"1 call of unknown models: {HINT}"),
        ("gpt-4o", "2035-01-01T00:00:00Z", (), (0, True), f"days newer than all prices: {HINT}"),
        ("gpt-4o", "2035-01-01T00:00:00Z", ("--prices", "2025-11-01"), (0, None), ""),
        ("gpt-4o", "2035-01-01T00:00:00Z", ("--as-known", "2026-01-01"), (0, None), ""),
        ("acme-llm-9", "2025-11-01T10:00:00Z", ("--prices", "litellm-1.106.4"), (1, None), ""),
    ],
)
def test_newer_prices_are_hinted_at_where_they_are_wanted(
    tmp_path: Path,
    asked: list[int],
    model: str,
    moment: str,
    flags: tuple[str, ...],
    wanted: tuple[int, Any],
    line: str,
) -> None:
    done = report([write_log(tmp_path, model, moment)], tmp_path / "out", *flags)
    found = done.manifest["newer_prices"]
    assert (found["unknown_calls"], found["days_behind"] and found["days_behind"] > 7) == wanted
    assert (found["hint"] is not None) == bool(line)
    assert line in done.stderr
    assert ("prices pull" in done.stderr) == bool(line)
    assert not asked


@pytest.mark.parametrize("days", [7, 8])
def test_seven_days_are_no_delay(tmp_path: Path, days: int) -> None:
    moment = isoformat(load_catalog().newest.effective_from + days * 86_400_000_000)
    done = report([write_log(tmp_path, moment=moment)], tmp_path / "out")
    assert done.manifest["newer_prices"]["days_behind"] == (8 if days > 7 else None)


@pytest.mark.parametrize("kept", [(), ("--state", "state"), ("--work-dir", "work")])
def test_what_is_asked_for_is_fetched_once_and_prices_the_same_calls(
    tmp_path: Path, asked: list[int], kept: tuple[str, ...]
) -> None:
    flags = [*kept[:1], *(str(tmp_path / word) for word in kept[1:])]
    log = write_log(tmp_path, "acme-llm-9")
    done = report([log], tmp_path / "out", *flags, "--prices-refresh")
    assert done.total("total_cost") == 2
    assert "prices refreshed: litellm-2" in done.stderr
    assert HINT not in done.stderr
    assert len(asked) == 1
    assert done.manifest["price_status"] == {"priced": 1}
    assert report([log], tmp_path / "out", *flags, "--prices-refresh").total("total_cost") == 2
    assert len(asked) == 1


def test_a_state_that_has_nothing_to_read_gets_newer_prices_too(tmp_path: Path, asked: list[int]) -> None:
    flags = ("--state", tmp_path / "state")
    log = write_log(tmp_path, "acme-llm-9")
    assert report([log], tmp_path / "out", *flags).total("total_cost") == 0
    done = report([log], tmp_path / "out", *flags, "--prices-refresh")
    assert done.total("total_cost") == 2
    assert len(asked) == 1
    assert done.manifest["run"]["prices_refresh"]["why_not"] is None
    assert done.manifest["run"]["inputs_read"] == 0


def test_nothing_is_fetched_that_is_not_wanted(tmp_path: Path, asked: list[int]) -> None:
    report([write_log(tmp_path)], tmp_path / "out", "--prices-refresh")
    assert not asked


@pytest.mark.parametrize("flags", [(), ("--state", "state")])
def test_without_a_network_it_says_so_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    with serving(sends(b"")) as server:
        url = server.url  # it no longer listens
    monkeypatch.setattr(price_maps, "LITELLM_MAP", url)
    monkeypatch.setattr(price_maps.pull_map, "__defaults__", (url,))
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    kept = [*flags[:1], *(str(tmp_path / word) for word in flags[1:])]
    for _ in range(2):
        done = callcost(
            "report", write_log(tmp_path, "acme-llm-9"), "--out", tmp_path / "out", "--prices-refresh", *kept
        )
        assert done.code == 0
        assert f"prices not refreshed: cannot fetch {url}" in done.stderr
